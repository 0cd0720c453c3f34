import Crypto
import Glibc
import Testing
@testable import Vault

struct VaultTests {
  @Test func `a secret comes back after closing and opening, and no other name has it`() throws {
    let store = try Store(["codegate/secret": "canary-1", "codegate/api_key": ""])
    let vault = try store.open()
    #expect(try vault.secret("codegate/secret")?.text == "canary-1")
    #expect(try vault.secret("codegate/api_key")?.count == 0)
    #expect(try vault.secret("codegate") == nil)
  }

  @Test func `replacing counts versions and keeps when it was first made`() throws {
    let store = try Store()
    let vault = try store.open()
    #expect(try vault.setSecret("a", secret("one"), now: 10) == 1)
    #expect(try vault.setSecret("a", secret("two"), now: 20) == 2)
    #expect(try vault.setSecret("b", secret(String(repeating: "x", count: 61)), now: 30) == 1)
    #expect(
      try vault.secretList() == [
        SecretInfo(name: "a", version: 2, created: 10, updated: 20, paddedCount: 64),
        SecretInfo(name: "b", version: 1, created: 30, updated: 30, paddedCount: 128),
      ])
    #expect(try vault.secret("a")?.text == "two")
    #expect(try vault.removeSecret("a"))
    #expect(try !vault.removeSecret("a"))
    #expect(try vault.secret("a") == nil)
  }

  @Test func `neither a value, nor the key, nor a removed value is in any file`() throws {
    let store = try Store(["a": "needle-in-the-haystack", "b": "needle-removed-later"])
    do {
      let vault = try store.open()
      try vault.removeSecret("b")
    }
    #expect(store.names == ["store.db", "store.db.lock"])
    for name in store.names {
      let text = String(decoding: store.contents(name), as: UTF8.self)
      #expect(!text.contains("needle"))
    }
    #expect(String(decoding: store.contents(), as: UTF8.self).contains("CREATE TABLE secret"))
  }

  @Test(arguments: ["", "/a", "a/", "a//b", "a b", "é", "a\n", String(repeating: "n", count: 129)])
  func `a name that is none is refused`(_ name: String) throws {
    let store = try Store()
    let vault = try store.open()
    #expect(throws: VaultError(.badName, name)) { try vault.setSecret(name, secret("v"), now: 1) }
    #expect(try vault.secretList().isEmpty)
  }

  @Test func `64 KiB fit, one byte more does not`() throws {
    let store = try Store()
    let vault = try store.open()
    let most = Secret(copying: [UInt8](repeating: 7, count: Secret.limit).span)
    try vault.setSecret("most", most, now: 1)
    #expect(try vault.secret("most") == most)
    #expect(throws: VaultError(.tooLarge, "more")) {
      try vault.setSecret("more", Secret(copying: [UInt8](repeating: 7, count: Secret.limit + 1).span), now: 1)
    }
  }

  @Test func `while it is open, nobody else opens it, and the holder's pid is told`() throws {
    let store = try Store()
    try withExtendedLifetime(store.open()) {
      let error = #expect(throws: VaultError.self) { try store.open() }
      #expect(error?.code == .locked)
      #expect(error?.message.contains("pid \(getpid())") == true)
      #expect(error?.exitStatus == 69)
    }
    _ = try store.open()
  }

  @Test func `creating never overwrites, and tidies up after a creation that was killed`() throws {
    let store = try Store(["a": "1"])
    let before = store.contents()
    #expect(throws: VaultError(.exists, store.path)) {
      try Vault.create(path: store.path, key: store.key, now: 1)
    }
    #expect(store.contents() == before)

    let fresh = try Store(created: false)
    fresh.write(Array("half a store".utf8), to: "store.db.new")
    fresh.write(Array("somebody's log".utf8), to: "store.db-wal")
    #expect(throws: VaultError(.leftoverLog, fresh.path)) {
      try Vault.create(path: fresh.path, key: fresh.key, now: 1)
    }
    unlink(fresh.path + "-wal")
    try Vault.create(path: fresh.path, key: fresh.key, now: 1)
    #expect(fresh.names == ["store.db", "store.db.lock"])
    _ = try fresh.open()
  }

  @Test func `the store and its lock are private`() throws {
    let store = try Store(["a": "1"])
    for name in store.names {
      var status = stat()
      #expect(stat(store.directory + "/" + name, &status) == 0)
      #expect(status.st_mode & 0o777 == 0o600)
    }
  }

  @Test func `a migration is taken once, and one that fails leaves the schema as it was`() throws {
    let store = try Store(["a": "1"])
    let database = try Database(path: StoreFile.resolve(store.path))
    let steps = Schema.steps + ["CREATE TABLE more (id INTEGER) STRICT", "CREATE TABLE broken ("]
    #expect(throws: VaultError.self) { try Schema.migrate(database, steps: steps) }
    #expect(try database.integer("PRAGMA user_version") == Schema.steps.count + 1)
    try Schema.migrate(database, steps: Array(steps.dropLast()))
    #expect(throws: VaultError(.newerSchema, store.path)) { try Schema.migrate(database) }
  }
}
