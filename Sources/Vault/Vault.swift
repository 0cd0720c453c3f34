public import Crypto

/// The store, open: secrets by name and tokens by route and subject, each sealed for the row it lies in, under data keys that the master key wraps.
///
/// Synchronous, for one owner; it knows no threads and no clock. While it exists no other process opens the store.
/// Whatever it answers is durable: a method that returns has committed with `synchronous = FULL`.
public final class Vault {
  /// Without symbolic links.
  public let path: String
  let database: Database
  private let lock: StoreLock
  /// In the identity of every row.
  let uuid: [UInt8]
  var record: MasterKeyRecord
  /// Wraps data keys.
  var wrappingKey: Secret
  var dataKeys: [Int64: Secret] = [:]

  /// Secrets that a store has at most, and as many tokens.
  public static let capacity = 10_000

  /// Opens a store, after looking at all of it: its owner, its header, its pages, its key, and whether each secret opens.
  /// A store that is refused is left as it is.
  /// - Throws: `VaultError`.
  public init(path: String, key: MasterKey) throws(VaultError) {
    self.path = try StoreFile.resolve(path)
    try StoreFile.checkOwnership(self.path)
    lock = try StoreLock(store: self.path)
    try StoreFile.checkHeader(self.path)
    database = try Database(path: self.path)
    try Vault.checkPages(database)
    uuid = try Vault.readIdentity(database)
    record = try MasterKeyRecord.read(database)
    wrappingKey = try record.open(with: key, store: uuid, path: self.path)
    try readDataKeys()
    try checkSecrets()
    if try database.integer("PRAGMA user_version") >= Schema.firstWithTokens { try checkTokens() }
    try Schema.migrate(database)
    database.mayChangeOnClose = true
    try database.run("PRAGMA journal_mode = WAL")
    // A full disk must not keep from being read what it can be read without.
    try? finishRotation()
  }

  /// Makes a store that has no secrets yet. It appears under its name when it is whole, and never in another's place.
  /// - Parameters:
  ///   - now: seconds since 1970, UTC.
  ///   - cost: of deriving the key from a passphrase.
  /// - Throws: `VaultError.exists`, `.leftoverLog`, `.locked`, `.storePermissions`, `.inputOutput`.
  public static func create(
    path: String, key: MasterKey, now: Int64, cost: Scrypt.Cost = .standard
  ) throws(VaultError) {
    let path = try StoreFile.resolve(path)
    try StoreFile.checkDirectory(of: path)
    guard !StoreFile.exists(path) else { throw VaultError(.exists, path) }
    guard !StoreFile.exists(path + "-wal") else { throw VaultError(.leftoverLog, path) }
    let lock = try StoreLock(store: path)
    let temporary = path + ".new"
    // The lock is ours: what lies here is what a creation that was killed had begun.
    StoreFile.remove(temporary)
    do throws(VaultError) {
      try StoreFile.createEmpty(temporary)
      try fill(temporary, key, now, cost)
      try StoreFile.publish(temporary, as: path)
    } catch {
      StoreFile.remove(temporary)
      throw error
    }
    _ = consume lock
  }

  /// Whether a store is, or ever was, at this path: its file, or what SQLite and the lock leave beside it. Where there is
  /// a trace without a store, something was lost, and making an empty one would hide it.
  public static func hasTrace(_ path: String) -> Bool {
    ["", "-wal", "-shm", ".lock"].contains { StoreFile.exists(path + $0) }
  }

  /// Whether two paths name one store, symbolic links aside.
  public static func isSamePath(_ one: String, _ other: String) -> Bool {
    func resolved(_ path: String) -> String { (try? StoreFile.resolve(path)) ?? path }
    return resolved(one) == resolved(other)
  }

  /// Whether this is the master key in force.
  /// - Throws: `VaultError.wrongKey`, `.wrongKeyKind`.
  public func check(_ key: MasterKey) throws(VaultError) {
    _ = try record.open(with: key, store: uuid, path: path)
  }

  /// Folds the write-ahead log into the store's file, which is then whole by itself, and leaves nothing of what was
  /// overwritten or removed in the log.
  public func checkpoint() throws(VaultError) {
    try database.run("PRAGMA wal_checkpoint(TRUNCATE)")
  }

  private static func fill(
    _ path: String, _ key: MasterKey, _ now: Int64, _ cost: Scrypt.Cost
  ) throws(VaultError) {
    let database = try Database(path: path)
    try database.run("PRAGMA application_id = \(Schema.applicationID)")
    try Schema.migrate(database)
    let uuid = Random.bytes(16)
    let (record, _) = try MasterKeyRecord.make(key, generation: 1, store: uuid, cost: cost)
    try database.transaction { () throws(VaultError) in
      var store = try database.prepare("INSERT INTO store VALUES (1, ?, ?)")
      try store.bind(uuid)
      try store.bind(now)
      _ = try store.step()
      try record.write(to: database)
    }
    database.mayChangeOnClose = true
    try database.run("PRAGMA journal_mode = WAL")
  }

  private static func checkPages(_ database: Database) throws(VaultError) {
    var check = try database.prepare("PRAGMA quick_check(1)")
    guard try check.step(), check.text(0) == "ok" else {
      throw VaultError(.damaged, database.path, check.text(0))
    }
  }

  private static func readIdentity(_ database: Database) throws(VaultError) -> [UInt8] {
    let version = try database.integer("PRAGMA user_version")
    guard version <= Schema.steps.count else {
      throw VaultError(
        .newerSchema, database.path, "its schema is \(version), this version knows \(Schema.steps.count)")
    }
    var row = try database.prepare("SELECT uuid FROM store WHERE id = 1")
    guard try row.step() else { throw VaultError(.damaged, database.path, "its identity is missing") }
    return row.blob(0)
  }
}
