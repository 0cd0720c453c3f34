internal import Crypto

/// The keys that seal secrets: random, in the store, wrapped by the master key. The newest seals, older ones only open.
extension Vault {
  /// A data key is replaced after this many seals, and after this many seconds.
  static let sealsPerDataKey: Int64 = 1 << 31
  static let lifeOfDataKey: Int64 = 90 * 86_400

  var newestDataKey: Int64? { dataKeys.keys.max() }

  func readDataKeys() throws(VaultError) {
    dataKeys = [:]
    var row = try database.prepare("SELECT id, salt, nonce, sealed FROM data_key")
    while try row.step() {
      let envelope = Envelope(salt: row.blob(1), nonce: row.blob(2), sealed: row.blob(3))
      let identity = dataKeyIdentity(row.integer(0), generation: record.generation)
      guard let key = envelope.open(under: wrappingKey, as: identity), key.count == AESGCM.keyCount else {
        throw VaultError(.dataKeyMismatch, path)
      }
      dataKeys[row.integer(0)] = key
    }
  }

  /// Makes the data key that seals from now on; call `readDataKeys` if the transaction around it fails.
  func addDataKey(now: Int64) throws(VaultError) {
    var row = try database.prepare(
      "INSERT INTO data_key (created, seals, salt, nonce, sealed) VALUES (?, 0, x'', x'', x'')")
    try row.bind(now)
    _ = try row.step()
    let id = database.lastInsertedRow
    let key = Random.secret(AESGCM.keyCount)
    try wrap(key, id: id, under: wrappingKey, generation: record.generation)
    dataKeys[id] = key
  }

  func wrap(_ key: Secret, id: Int64, under wrappingKey: Secret, generation: Int64) throws(VaultError) {
    let envelope = Envelope.seal(key.span, under: wrappingKey, as: dataKeyIdentity(id, generation: generation))
    var row = try database.prepare("UPDATE data_key SET salt = ?, nonce = ?, sealed = ? WHERE id = ?")
    for blob in [envelope.salt, envelope.nonce, envelope.sealed] { try row.bind(blob) }
    try row.bind(id)
    _ = try row.step()
  }

  /// The data key that seals, made or replaced if it is time.
  func sealingKey(now: Int64) throws(VaultError) -> (id: Int64, key: Secret) {
    var row = try database.prepare("SELECT id, created, seals FROM data_key ORDER BY id DESC LIMIT 1")
    let isUsable = try row.step() && Vault.isYoung(row.integer(1), now) && row.integer(2) < Vault.sealsPerDataKey
    if !isUsable { try addDataKey(now: now) }
    guard let id = newestDataKey, let key = dataKeys[id] else {
      throw VaultError(.damaged, path, "it has no data key")
    }
    return (id, key)
  }

  /// What was made in the future is not: the clock or the row is wrong.
  private static func isYoung(_ created: Int64, _ now: Int64) -> Bool {
    let (age, overflow) = now.subtractingReportingOverflow(created)
    return !overflow && (0..<lifeOfDataKey).contains(age)
  }

  func countSeal(under id: Int64) throws(VaultError) {
    try database.run("UPDATE data_key SET seals = seals + 1 WHERE id = \(id)")
  }

  private func dataKeyIdentity(_ id: Int64, generation: Int64) -> RowIdentity {
    RowIdentity(
      store: uuid, table: "data_key", row: id, column: "sealed", owner: "", kind: "data-key", key: 0,
      version: generation)
  }
}
