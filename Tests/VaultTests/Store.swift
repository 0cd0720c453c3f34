import CSQLite
import Crypto
import Glibc
import Vault

/// A store in a directory of its own, which goes when the test does.
final class Store {
  let directory: String
  var path: String { directory + "/store.db" }
  var keyPath: String { directory + "/master.key" }
  let key = MasterKey.generate()

  /// - Parameter secrets: name and value, stored one after the other.
  init(_ secrets: KeyValuePairs<String, String> = [:], created: Bool = true) throws {
    var template = Array("/tmp/chatelaine-vault-XXXXXX".utf8CString)
    precondition(mkdtemp(&template) != nil)
    directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard created else { return }
    try Vault.create(path: path, key: key, now: 1000)
    let vault = try open()
    for (name, value) in secrets { try vault.setSecret(name, secret(value), now: 2000) }
  }

  deinit {
    for name in names { unlink(directory + "/" + name) }
    rmdir(directory)
  }

  func open() throws(VaultError) -> Vault { try Vault(path: path, key: key) }

  var names: [String] {
    guard let entries = opendir(directory) else { return [] }
    defer { closedir(entries) }
    var names: [String] = []
    while let entry = readdir(entries) {
      names.append(
        withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
    }
    return names.filter { $0 != "." && $0 != ".." }.sorted()
  }

  /// Runs SQL behind the vault's back.
  func tamper(_ sql: String) {
    var database: OpaquePointer?
    precondition(sqlite3_open(path, &database) == SQLITE_OK)
    precondition(sqlite3_exec(database, sql, nil, nil, nil) == SQLITE_OK, String(cString: sqlite3_errmsg(database)))
    precondition(sqlite3_close(database) == SQLITE_OK)
  }

  func contents(_ name: String = "store.db") -> [UInt8] {
    guard let file = fopen(directory + "/" + name, "r") else { return [] }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    let count = fread(&bytes, 1, bytes.count, file)
    return Array(bytes.prefix(count))
  }

  func write(_ bytes: [UInt8], to name: String = "store.db", mode: mode_t = 0o600) {
    let path = directory + "/" + name
    unlink(path)
    let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode)
    precondition(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
    close(descriptor)
  }
}

func secret(_ text: String) -> Secret { Secret(copying: Array(text.utf8).span) }

extension Secret {
  /// Only a test may look.
  var text: String { String(decoding: span.indices.map { span[$0] }, as: UTF8.self) }
}
