internal import Bytes
internal import Crypto

/// How a store recognises its master key: the row of `master_key`.
struct MasterKeyRecord {
  var generation: Int64
  /// Tells a wrong key from a damaged row: it is derived from the key alone.
  var fingerprint: [UInt8]
  /// The fingerprint, sealed under the key.
  var check: Envelope
  /// For a passphrase; empty for a random key.
  var passphraseSalt: [UInt8]
  var cost: Scrypt.Cost

  /// The record for a new key, and the key that wraps data keys.
  static func make(
    _ key: MasterKey, generation: Int64, store: [UInt8], cost: Scrypt.Cost
  ) throws(VaultError) -> (MasterKeyRecord, Secret) {
    let isPassphrase = if case .passphrase = key { true } else { false }
    var record = MasterKeyRecord(
      generation: generation, fingerprint: [], check: Envelope(salt: [], nonce: [], sealed: []),
      passphraseSalt: isPassphrase ? Random.bytes(16) : [], cost: isPassphrase ? cost : .init(n: 0, r: 0, p: 0))
    let wrapping = try record.wrappingKey(key, path: "")
    record.fingerprint = MasterKeyRecord.fingerprint(of: wrapping, store)
    record.check = .seal(record.fingerprint.span, under: wrapping, as: identity(store, generation))
    return (record, wrapping)
  }

  /// The key that wraps data keys, if `key` is the one that this record was made for.
  /// - Throws: `VaultError.wrongKey`, `.wrongKeyKind`; `.damaged` if one half of the record says yes and the other no.
  func open(with key: MasterKey, store: [UInt8], path: String) throws(VaultError) -> Secret {
    let wrapping = try wrappingKey(key, path: path)
    let isKnown = MasterKeyRecord.fingerprint(of: wrapping, store) == fingerprint
    let opens = check.open(under: wrapping, as: MasterKeyRecord.identity(store, generation)) != nil
    switch (isKnown, opens) {
    case (true, true): return wrapping
    case (false, false): throw VaultError(.wrongKey, path)
    default: throw VaultError(.damaged, path, "the check of its master key was changed")
    }
  }

  private func wrappingKey(_ key: MasterKey, path: String) throws(VaultError) -> Secret {
    switch key {
    case .random(let key):
      guard passphraseSalt.isEmpty else { throw VaultError(.wrongKeyKind, path, "a passphrase, not a key file") }
      return key
    case .passphrase(let passphrase):
      guard !passphraseSalt.isEmpty else { throw VaultError(.wrongKeyKind, path, "a key file, not a passphrase") }
      do {
        return try Scrypt.derive(from: passphrase, salt: passphraseSalt.span, cost: cost, count: AESGCM.keyCount)
      } catch {
        throw VaultError(.damaged, path, "the cost of its passphrase is none")
      }
    }
  }

  private static func fingerprint(of wrapping: Secret, _ store: [UInt8]) -> [UInt8] {
    let info = Array("chatelaine-master-key-fingerprint-v1".utf8)
    // It has no more than 8160 bytes to give, and says so; these are 16.
    guard let derived = try? HKDF.derive(.sha256, from: wrapping, salt: store.span, info: info.span, count: 16)
    else { fatalError("cannot derive") }
    return Array(derived.span)
  }

  private static func identity(_ store: [UInt8], _ generation: Int64) -> RowIdentity {
    RowIdentity(
      store: store, table: "master_key", row: 1, column: "sealed", owner: "", kind: "check", key: 0, version: generation
    )
  }
}

extension MasterKeyRecord {
  static func read(_ database: Database) throws(VaultError) -> MasterKeyRecord {
    var row = try database.prepare(
      """
      SELECT generation, fingerprint, salt, nonce, sealed, passphrase_salt, cost_n, cost_r, cost_p FROM master_key
      """)
    guard try row.step() else { throw VaultError(.damaged, database.path, "the check of its master key is missing") }
    return MasterKeyRecord(
      generation: row.integer(0), fingerprint: row.blob(1),
      check: Envelope(salt: row.blob(2), nonce: row.blob(3), sealed: row.blob(4)), passphraseSalt: row.blob(5),
      cost: Scrypt.Cost(
        n: UInt64(max(row.integer(6), 0)), r: UInt64(max(row.integer(7), 0)), p: UInt64(max(row.integer(8), 0))))
  }

  /// Takes the place of the record before it, if there is one.
  func write(to database: Database) throws(VaultError) {
    var row = try database.prepare("REPLACE INTO master_key VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    try row.bind(generation)
    for blob in [fingerprint, check.salt, check.nonce, check.sealed, passphraseSalt] { try row.bind(blob) }
    for number in [cost.n, cost.r, cost.p] { try row.bind(Int64(number)) }
    _ = try row.step()
  }
}
