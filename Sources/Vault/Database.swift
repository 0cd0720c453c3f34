internal import CSQLite

/// The one connection to the store. Everything that reaches it is a prepared statement, or SQL text of this module.
@safe final class Database {
  private let connection: OpaquePointer
  let path: String

  /// Opens a file that exists, alone: until `deinit` no other process reads or writes it.
  /// - Parameter path: absolute, without a symbolic link in it.
  init(path: String) throws(VaultError) {
    self.path = path
    var opened: OpaquePointer?
    let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
    let result = unsafe sqlite3_open_v2(path, &opened, flags, nil)
    guard let opened = unsafe opened else { throw VaultError(.inputOutput, path, "SQLite cannot start") }
    unsafe connection = unsafe opened
    guard result == SQLITE_OK else { throw failure(result) }
    try configure()
  }

  deinit {
    unsafe sqlite3_close_v2(connection)
  }

  private func configure() throws(VaultError) {
    let options: [(option: Int32, on: Int32)] = [
      (SQLITE_DBCONFIG_DEFENSIVE, 1), (SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0), (SQLITE_DBCONFIG_ENABLE_FKEY, 1),
      (SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0), (SQLITE_DBCONFIG_ENABLE_TRIGGER, 0), (SQLITE_DBCONFIG_ENABLE_VIEW, 0),
      (SQLITE_DBCONFIG_DQS_DML, 0), (SQLITE_DBCONFIG_DQS_DDL, 0),
    ]
    for (option, on) in options { try configure(option, on) }
    mayChangeOnClose = false
    // An exclusive lock keeps the write-ahead log's index in memory, and every other SQLite out.
    try run(
      """
      PRAGMA locking_mode = EXCLUSIVE; PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;
      PRAGMA secure_delete = ON; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA journal_size_limit = 1048576;
      """)
  }

  private func configure(_ option: Int32, _ on: Int32) throws(VaultError) {
    let result = unsafe chatelaine_sqlite3_db_config_flag(connection, option, on)
    guard result == SQLITE_OK else { throw failure(result) }
  }

  /// Off until a store has proved to be ours and readable: what is refused is not changed either.
  var mayChangeOnClose = false {
    didSet {
      _ = unsafe chatelaine_sqlite3_db_config_flag(
        connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, mayChangeOnClose ? 0 : 1)
    }
  }

  /// Runs statements whose rows, if any, do not matter.
  func run(_ sql: String) throws(VaultError) {
    let result = unsafe sqlite3_exec(connection, sql, nil, nil, nil)
    guard result == SQLITE_OK else { throw failure(result) }
  }

  func prepare(_ sql: String) throws(VaultError) -> Statement {
    var statement: OpaquePointer?
    let result = unsafe sqlite3_prepare_v2(connection, sql, -1, &statement, nil)
    guard result == SQLITE_OK, let statement = unsafe statement else { throw failure(result) }
    return unsafe Statement(statement, of: self)
  }

  /// The first column of the only row.
  func integer(_ sql: String) throws(VaultError) -> Int64 {
    var statement = try prepare(sql)
    guard try statement.step() else { throw VaultError(.damaged, path, "a value is missing") }
    return statement.integer(0)
  }

  /// All that `body` writes becomes durable at once, or none of it.
  func transaction<Result>(_ body: () throws(VaultError) -> Result) throws(VaultError) -> Result {
    try run("BEGIN IMMEDIATE")
    do throws(VaultError) {
      let result = try body()
      try run("COMMIT")
      return result
    } catch {
      // Some failures have rolled back already; then this one says so, and that is no news.
      try? run("ROLLBACK")
      throw error
    }
  }

  var lastInsertedRow: Int64 { unsafe sqlite3_last_insert_rowid(connection) }
  var changedRows: Int { Int(unsafe sqlite3_changes(connection)) }

  /// SQLite's result codes, in this module's words.
  fileprivate func failure(_ result: Int32) -> VaultError {
    let text = unsafe String(cString: sqlite3_errmsg(connection))
    return switch result & 0xFF {
    case SQLITE_CORRUPT: VaultError(.damaged, path, text)
    case SQLITE_NOTADB: VaultError(.foreign, path, text)
    case SQLITE_BUSY, SQLITE_LOCKED: VaultError(.locked, path, nil)
    case SQLITE_PERM, SQLITE_AUTH, SQLITE_READONLY: VaultError(.storePermissions, path, text)
    case SQLITE_FULL: VaultError(.inputOutput, path, "the disk is full")
    case SQLITE_CONSTRAINT, SQLITE_MISMATCH, SQLITE_ERROR: VaultError(.damaged, path, text)
    default: VaultError(.inputOutput, path, text)
    }
  }
}

/// A prepared statement: bind its parameters, then step through its rows.
@safe struct Statement: ~Copyable {
  private let statement: OpaquePointer
  private let database: Database
  private var next: Int32 = 1

  fileprivate init(_ statement: OpaquePointer, of database: Database) {
    unsafe self.statement = unsafe statement
    self.database = database
  }

  deinit {
    unsafe sqlite3_finalize(statement)
  }

  /// Binds the next parameter.
  mutating func bind(_ value: Int64) throws(VaultError) {
    try check(unsafe sqlite3_bind_int64(statement, next, value))
  }

  mutating func bind(_ value: Int64?) throws(VaultError) {
    guard let value else {
      next += 1
      return
    }
    try bind(value)
  }

  mutating func bind(_ text: String) throws(VaultError) {
    var text = text
    let result = text.withUTF8 { utf8 in
      let start = unsafe UnsafeRawPointer(utf8.baseAddress)?.assumingMemoryBound(to: CChar.self)
      return unsafe sqlite3_bind_text(statement, next, start, Int32(utf8.count), Statement.copied)
    }
    try check(result)
  }

  mutating func bind(_ blob: [UInt8]) throws(VaultError) {
    let result = unsafe blob.withUnsafeBytes {
      unsafe sqlite3_bind_blob(statement, next, $0.baseAddress, Int32($0.count), Statement.copied)
    }
    try check(result)
  }

  private mutating func check(_ result: Int32) throws(VaultError) {
    guard result == SQLITE_OK else { throw database.failure(result) }
    next += 1
  }

  /// True: there is a row to read. False: there are no more, and what was to be done is done.
  mutating func step() throws(VaultError) -> Bool {
    let result = unsafe sqlite3_step(statement)
    switch result {
    case SQLITE_ROW: return true
    case SQLITE_DONE: return false
    default: throw database.failure(result)
    }
  }

  /// A column of the row, from 0.
  borrowing func integer(_ column: Int32) -> Int64 {
    unsafe sqlite3_column_int64(statement, column)
  }

  /// Nil for NULL.
  borrowing func optional(_ column: Int32) -> Int64? {
    unsafe sqlite3_column_type(statement, column) == SQLITE_NULL ? nil : integer(column)
  }

  borrowing func text(_ column: Int32) -> String {
    unsafe sqlite3_column_text(statement, column).map { unsafe String(cString: $0) } ?? ""
  }

  borrowing func blob(_ column: Int32) -> [UInt8] {
    let count = Int(unsafe sqlite3_column_bytes(statement, column))
    return unsafe [UInt8](UnsafeRawBufferPointer(start: sqlite3_column_blob(statement, column), count: count))
  }

  /// SQLite copies what is bound (`SQLITE_TRANSIENT`, a cast that Swift cannot import).
  private static var copied: sqlite3_destructor_type {
    unsafe unsafeBitCast(-1, to: sqlite3_destructor_type.self)
  }
}
