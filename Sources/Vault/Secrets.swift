public import Crypto

/// What may be told of a secret: anything but its value.
public struct SecretInfo: Sendable, Equatable {
  public let name: String
  /// From 1; one more whenever the value is replaced.
  public let version: Int64
  /// Seconds since 1970, UTC.
  public let created: Int64
  public let updated: Int64
  /// Bytes, rounded up to blocks of 64 together with the length.
  public let paddedCount: Int
}

extension Vault {
  /// Stores a new secret, or the next version of one; returns the version.
  /// - Parameter now: seconds since 1970, UTC.
  /// - Throws: `VaultError.badName`, `.tooLarge`, `.tooMany`, `.inputOutput`.
  @discardableResult
  public func setSecret(_ name: String, _ value: Secret, now: Int64) throws(VaultError) -> Int64 {
    try Vault.check(name)
    guard value.count <= Secret.limit else { throw VaultError(.tooLarge, name, "it has \(value.count) bytes") }
    return try change { () throws(VaultError) in
      let (keyID, key) = try sealingKey(now: now)
      var (id, version) = try find(name) ?? (0, 0)
      version += 1
      if version == 1 {
        guard try database.integer("SELECT count(*) FROM secret") < Vault.capacity else {
          throw VaultError(.tooMany, path, "it holds \(Vault.capacity) secrets")
        }
        // The row's number is part of what is sealed, so it is made first.
        var row = try database.prepare(
          """
          INSERT INTO secret (name, version, created, updated, data_key, salt, nonce, sealed)
          VALUES (?, 1, ?, 0, ?, x'', x'', x'')
          """)
        try row.bind(name)
        try row.bind(now)
        try row.bind(keyID)
        _ = try row.step()
        id = database.lastInsertedRow
      }
      try seal(value, name, id: id, version: version, keyID, key)
      var row = try database.prepare("UPDATE secret SET version = ?, updated = ? WHERE id = ?")
      for number in [version, now, id] { try row.bind(number) }
      _ = try row.step()
      return version
    }
  }

  /// The newest version's value; nil if there is no such secret.
  /// - Throws: `VaultError.secretMismatch` if the row is not the one that was written.
  public func secret(_ name: String) throws(VaultError) -> Secret? {
    var row = try database.prepare(Vault.rows + " WHERE name = ?")
    try row.bind(name)
    guard try row.step() else { return nil }
    return try open(row)
  }

  /// False if there is none to remove.
  @discardableResult
  public func removeSecret(_ name: String) throws(VaultError) -> Bool {
    let isRemoved = try change { () throws(VaultError) in
      var row = try database.prepare("DELETE FROM secret WHERE name = ?")
      try row.bind(name)
      _ = try row.step()
      return database.changedRows > 0
    }
    // The log still has its pages. It is removed whether or not they go now.
    if isRemoved { try? checkpoint() }
    return isRemoved
  }

  /// By name.
  public func secretList() throws(VaultError) -> [SecretInfo] {
    var row = try database.prepare(
      "SELECT name, version, created, updated, length(sealed) FROM secret ORDER BY name")
    var list: [SecretInfo] = []
    while try row.step() {
      list.append(
        SecretInfo(
          name: row.text(0), version: row.integer(1), created: row.integer(2), updated: row.integer(3),
          paddedCount: Int(row.integer(4)) - AESGCM.tagCount))
    }
    return list
  }

  /// A name is 1 to 128 bytes: letters, digits and `._-`, in parts joined by single slashes.
  public static func isSecretName(_ name: String) -> Bool {
    guard (1...128).contains(name.utf8.count) else { return false }
    return name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).allSatisfy { part in
      !part.isEmpty
        && part.allSatisfy { byte in
          switch byte {
          case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
          default: false
          }
        }
    }
  }

  private static func check(_ name: String) throws(VaultError) {
    guard isSecretName(name) else { throw VaultError(.badName, String(name.prefix(128))) }
  }

  /// A transaction after whose failure the data keys are what the store says.
  func change<Result>(_ body: () throws(VaultError) -> Result) throws(VaultError) -> Result {
    do throws(VaultError) {
      return try database.transaction(body)
    } catch {
      try? readDataKeys()
      throw error
    }
  }

  private func find(_ name: String) throws(VaultError) -> (id: Int64, version: Int64)? {
    var row = try database.prepare("SELECT id, version FROM secret WHERE name = ?")
    try row.bind(name)
    return try row.step() ? (row.integer(0), row.integer(1)) : nil
  }

  // MARK: Rows

  static let rows = "SELECT id, name, version, data_key, salt, nonce, sealed FROM secret"

  /// Opens every secret once.
  func checkSecrets() throws(VaultError) {
    var row = try database.prepare(Vault.rows)
    while try row.step() { _ = try open(row) }
  }

  /// - Parameter row: of `rows`.
  func open(_ row: borrowing Statement) throws(VaultError) -> Secret {
    let identity = secretIdentity(row.text(1), id: row.integer(0), version: row.integer(2), key: row.integer(3))
    let envelope = Envelope(salt: row.blob(4), nonce: row.blob(5), sealed: row.blob(6))
    guard let key = dataKeys[identity.key], let value = envelope.open(under: key, as: identity) else {
      throw VaultError(.secretMismatch, path, identity.owner)
    }
    return value
  }

  func seal(
    _ value: Secret, _ name: String, id: Int64, version: Int64, _ keyID: Int64, _ key: Secret
  ) throws(VaultError) {
    let identity = secretIdentity(name, id: id, version: version, key: keyID)
    let envelope = Envelope.seal(value.span, under: key, as: identity)
    var row = try database.prepare("UPDATE secret SET data_key = ?, salt = ?, nonce = ?, sealed = ? WHERE id = ?")
    try row.bind(keyID)
    for blob in [envelope.salt, envelope.nonce, envelope.sealed] { try row.bind(blob) }
    try row.bind(id)
    _ = try row.step()
    try countSeal(under: keyID)
  }

  private func secretIdentity(_ name: String, id: Int64, version: Int64, key: Int64) -> RowIdentity {
    RowIdentity(
      store: uuid, table: "secret", row: id, column: "sealed", owner: name, kind: "secret", key: key, version: version)
  }
}
