import Crypto
import Glibc
import Testing
@testable import Vault

/// Each kind of damage is refused by its own name, and answered by leaving every byte as it is.
struct DamageTests {
  private func refusal(_ store: Store, key: MasterKey? = nil) -> VaultError? {
    let before = store.contents()
    let error = #expect(throws: VaultError.self) { try Vault(path: store.path, key: key ?? store.key) }
    #expect(store.contents() == before, "what is refused is not changed")
    if let error {
      #expect(!error.message.isEmpty && !error.hint.isEmpty)
    }
    return error
  }

  @Test func `a wrong key`() throws {
    let error = refusal(try Store(["a": "1"]), key: .generate())
    #expect(error?.code == .wrongKey)
    #expect(error?.exitStatus == 78)
  }

  @Test func `a key of another kind`() throws {
    let error = refusal(try Store(), key: .passphrase(secret("four random words here")))
    #expect(error?.code == .wrongKeyKind)
    #expect(error?.exitStatus == 78)
  }

  @Test(arguments: [
    "UPDATE secret SET (salt, nonce, sealed) = (SELECT salt, nonce, sealed FROM secret WHERE name = 'b') WHERE name = 'a'",
    "UPDATE secret SET name = 'c' WHERE name = 'a'",
    "UPDATE secret SET version = 2 WHERE name = 'a'",
    "UPDATE secret SET id = 77 WHERE name = 'a'",
    "UPDATE secret SET sealed = zeroblob(length(sealed)) WHERE name = 'a'",
    "UPDATE secret SET sealed = x'' WHERE name = 'a'",
  ]) func `a swapped, renamed, moved or changed row`(_ sql: String) throws {
    let store = try Store(["a": "1", "b": "2"])
    store.tamper(sql)
    let error = refusal(store)
    #expect(error?.code == .secretMismatch)
    #expect(error?.exitStatus == 65)
    #expect(error?.detail == "a" || error?.detail == "c")
  }

  @Test func `a row from another store under the same master key`() throws {
    let store = try Store(["a": "1"])
    let other = try Store(created: false)
    try Vault.create(path: other.path, key: store.key, now: 1)
    try Vault(path: other.path, key: store.key).setSecret("a", secret("2"), now: 1)
    store.tamper(
      """
      ATTACH '\(other.path)' AS other;
      REPLACE INTO secret SELECT * FROM other.secret;
      """)
    #expect(refusal(store)?.code == .secretMismatch)
    store.tamper(
      """
      ATTACH '\(other.path)' AS other; REPLACE INTO data_key SELECT * FROM other.data_key;
      """)
    #expect(refusal(store)?.code == .dataKeyMismatch)
  }

  @Test(arguments: [
    "UPDATE master_key SET fingerprint = zeroblob(16)", "UPDATE master_key SET sealed = zeroblob(80)",
    "DELETE FROM master_key", "DELETE FROM store", "DROP TABLE master_key",
  ]) func `the check of the master key changed or gone`(_ sql: String) throws {
    let store = try Store(["a": "1"])
    store.tamper(sql)
    let error = refusal(store)
    #expect(error?.code == .damaged)
    #expect(error?.exitStatus == 65)
  }

  @Test func `data keys gone`() throws {
    let store = try Store(["a": "1"])
    store.tamper("PRAGMA foreign_keys = OFF; DELETE FROM data_key")
    #expect(refusal(store)?.code == .secretMismatch)
  }

  @Test func `a file cut short, anywhere`() throws {
    let whole = try Store(["a": "1"]).contents()
    for count in [0, 1, 15, 16, 99, 100, 512, 4095, 4096, whole.count / 2, whole.count - 1] {
      let store = try Store(created: false)
      store.write(Array(whole.prefix(count)))
      let error = refusal(store)
      #expect(error?.code == .truncated, "\(count) bytes")
      #expect(error?.exitStatus == 65)
    }
  }

  @Test func `a foreign file, and a foreign database`() throws {
    let text = try Store(created: false)
    text.write(Array("# somebody's notes\n".utf8))
    #expect(refusal(text)?.code == .foreign)
    #expect(refusal(text)?.exitStatus == 65)

    let database = try Store(created: false)
    database.write([])
    database.tamper("CREATE TABLE notes (text)")
    #expect(refusal(database)?.code == .foreign)
  }

  @Test func `a page overwritten`() throws {
    let store = try Store(["a": "1"])
    var bytes = store.contents()
    for offset in 4096..<8192 { bytes[offset] = 0xA5 }
    store.write(bytes)
    let error = refusal(store)
    #expect(error?.code == .damaged)
    #expect(error?.exitStatus == 65)
  }

  @Test func `no flipped byte yields another value or a silent loss`() throws {
    let store = try Store(["a": "1", "b": "2"])
    let whole = store.contents()
    for offset in stride(from: 3, to: whole.count, by: 241) {
      var bytes = whole
      bytes[offset] ^= 0x40
      store.write(bytes)
      guard let vault = try? store.open() else { continue }
      #expect(try vault.secret("a")?.text == "1", "byte \(offset)")
      #expect(try vault.secret("b")?.text == "2", "byte \(offset)")
    }
  }

  @Test func `a newer schema`() throws {
    let store = try Store(["a": "1"])
    store.tamper("PRAGMA user_version = 99")
    let error = refusal(store)
    #expect(error?.code == .newerSchema)
    #expect(error?.exitStatus == 65)
  }

  @Test func `no store, and none made in its stead`() throws {
    let store = try Store(created: false)
    #expect(refusal(store)?.code == .missing)
    #expect(refusal(store)?.exitStatus == 78)
    #expect(store.names.isEmpty)
    store.write(Array("log".utf8), to: "store.db-wal")
    #expect(refusal(store)?.code == .leftoverLog)
  }

  @Test func `a store or directory that others may read or write, or that is a link`() throws {
    let store = try Store()
    chmod(store.path, 0o640)
    #expect(refusal(store)?.code == .storePermissions)
    #expect(refusal(store)?.exitStatus == 77)
    chmod(store.path, 0o600)
    chmod(store.directory, 0o770)
    #expect(refusal(store)?.code == .storePermissions)
    chmod(store.directory, 0o700)

    let link = try Store(created: false)
    symlink(store.path, link.path)
    #expect(refusal(link)?.code == .storePermissions)
  }

  @Test func `codes have different messages`() {
    let messages = Set(VaultError.Code.allCases.map { VaultError($0, "x", nil).message })
    #expect(messages.count == VaultError.Code.allCases.count)
    #expect(VaultError.Code.allCases.allSatisfy { [64, 65, 69, 74, 77, 78].contains(VaultError($0, "x").exitStatus) })
  }
}
