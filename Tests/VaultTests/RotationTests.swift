import Crypto
import Glibc
import Testing
@testable import Vault

struct RotationTests {
  @Test func `after a rotation the new key opens everything and the old one nothing`() throws {
    let store = try Store(["a": "1", "b": "2"])
    let next = MasterKey.generate()
    do {
      let vault = try store.open()
      try vault.rotateMasterKey(to: next, now: 5)
      #expect(vault.masterKeyGeneration == 2)
      #expect(vault.dataKeys.count == 1)
      #expect(try vault.secret("a")?.text == "1")
      #expect(try vault.setSecret("a", secret("3"), now: 6) == 2)
    }
    #expect(throws: VaultError(.wrongKey, "")) { try store.open() }
    let vault = try Vault(path: store.path, key: next)
    #expect(try vault.secret("a")?.text == "3")
    #expect(try vault.secret("b")?.text == "2")
  }

  @Test func `to a passphrase and back`() throws {
    let store = try Store(["a": "1"])
    let cheap = Scrypt.Cost(n: 16, r: 8, p: 1)
    let passphrase = MasterKey.passphrase(secret("correct horse battery"))
    try store.open().rotateMasterKey(to: passphrase, now: 1, cost: cheap)
    try Vault(path: store.path, key: passphrase).rotateMasterKey(to: store.key, now: 1)
    #expect(try store.open().secret("a")?.text == "1")
  }

  @Test
  func `a data key that is old, or has sealed enough, is replaced, and the old one is destroyed on the next opening`()
    throws
  {
    let store = try Store(["a": "1"])
    let vault = try store.open()
    let first = try #require(vault.newestDataKey)
    try vault.setSecret("b", secret("2"), now: 2000 + Vault.lifeOfDataKey - 1)
    #expect(vault.newestDataKey == first)
    try vault.setSecret("b", secret("2"), now: 2000 + Vault.lifeOfDataKey)
    #expect(vault.newestDataKey == first + 1)
    try vault.database.run("UPDATE data_key SET seals = \(Vault.sealsPerDataKey)")
    try vault.setSecret("b", secret("2"), now: 2000 + Vault.lifeOfDataKey)
    #expect(vault.newestDataKey == first + 2)
    #expect(vault.dataKeys.count == 3)
    try vault.finishRotation()
    #expect(vault.dataKeys.keys.sorted() == [first + 2])
    #expect(try vault.secret("a")?.text == "1")
    #expect(try vault.secret("b")?.text == "2")
  }

  @Test func `a rotation in place that was killed before or after the store took the key is finished`() throws {
    let store = try Store(created: false)
    let source = MasterKeySource.file(store.keyPath)
    func open() throws(VaultError) -> Vault {
      try Vault.open(path: store.path, source: source, credentialsDirectory: nil)
    }
    try MasterKeySource.generateFile(store.keyPath)
    try Vault.create(path: store.path, key: source.load(credentialsDirectory: nil), now: 1)
    try open().setSecret("a", secret("1"), now: 1)

    // Killed while the next key was written; then before the store took it; then before the file took its place.
    store.write(Array("chatelaine-mas".utf8), to: "master.key.new.tmp", mode: 0o400)
    #expect(try next(source) == .file(store.keyPath + ".new"))
    let key = store.contents("master.key.new")
    #expect(try open().secret("a")?.text == "1")
    #expect(try next(source) == .file(store.keyPath + ".new"))
    #expect(store.contents("master.key.new") == key)
    do {
      let vault = try open()
      try vault.rotateMasterKey(
        to: MasterKeySource.file(store.keyPath + ".new").load(credentialsDirectory: nil), now: 1)
    }
    #expect(try open().secret("a")?.text == "1")
    #expect(store.contents("master.key") == key)
    #expect(store.names == ["master.key", "master.key.1", "store.db", "store.db.lock"])
  }

  /// Prepares the next key and gives up.
  private func next(_ source: MasterKeySource) throws(VaultError) -> MasterKeySource? {
    if let replacement = try source.prepareNext() { replacement.next } else { nil }
  }

  @Test func `a key before is never lost to another store's key of the same name`() throws {
    let store = try Store(created: false)
    let source = MasterKeySource.file(store.keyPath)
    try MasterKeySource.generateFile(store.keyPath)
    let first = store.contents("master.key")
    store.write(Array("another store's".utf8), to: "master.key.1", mode: 0o400)
    let kept = try source.prepareNext()?.adopt(generation: 2)
    #expect(kept == store.keyPath + ".1.2")
    #expect(store.contents("master.key.1.2") == first)
    #expect(store.contents("master.key.1") == Array("another store's".utf8))
    #expect(store.contents("master.key") != first)

    // Its own is kept once.
    store.write(store.contents("master.key"), to: "master.key.2", mode: 0o400)
    #expect(try source.prepareNext()?.adopt(generation: 3) == store.keyPath + ".2")
  }

  @Test func `one process at a time replaces a key`() throws {
    let store = try Store(created: false)
    let source = MasterKeySource.file(store.keyPath)
    try MasterKeySource.generateFile(store.keyPath)
    if let replacement = try source.prepareNext() {
      let error = #expect(throws: VaultError(.keyLocked, "")) { try next(source) }
      #expect(error?.exitStatus == 69)
      try replacement.adopt(generation: 2)
    }
    #expect(try next(source) == .file(store.keyPath + ".new"))
  }

  @Test func `a next key that is cut short stays: the store may have taken it`() throws {
    let store = try Store(created: false)
    try MasterKeySource.generateFile(store.keyPath)
    store.write(Array("chatelaine-mas".utf8), to: "master.key.new", mode: 0o400)
    #expect(throws: VaultError(.keyTruncated, "")) { try next(.file(store.keyPath)) }
    #expect(store.contents("master.key.new") == Array("chatelaine-mas".utf8))
  }

  @Test func `a rotation whose end fails has happened, and its end comes later`() throws {
    let store = try Store(["a": "1"])
    let key = MasterKey.generate()
    do {
      let vault = try store.open()
      // As a disk that fills up after the commit.
      try vault.database.run("UPDATE secret SET version = 9")
      try vault.rotateMasterKey(to: key, now: 5)
      #expect(vault.dataKeys.count == 2)
      try vault.database.run("UPDATE secret SET version = 1")
      #expect(vault.masterKeyGeneration == 2)
    }
    let vault = try Vault(path: store.path, key: key)
    #expect(vault.dataKeys.count == 1)
    #expect(try vault.secret("a")?.text == "1")
  }

  @Test func `why the next key does not open the store is said`() throws {
    let store = try Store(created: false)
    let source = MasterKeySource.file(store.keyPath)
    try MasterKeySource.generateFile(store.keyPath)
    try Vault.create(path: store.path, key: .generate(), now: 1)
    try MasterKeySource.generateFile(store.keyPath + ".new")
    chmod(store.keyPath + ".new", 0o440)
    func open() throws(VaultError) { _ = try Vault.open(path: store.path, source: source, credentialsDirectory: nil) }
    #expect(throws: VaultError(.keyPermissions, "")) { try open() }
    chmod(store.keyPath + ".new", 0o400)
    #expect(throws: VaultError(.wrongKey, "")) { try open() }
  }

  @Test(arguments: [Int64.max, .min, 1 << 40]) func `a data key of an impossible time is replaced`(_ created: Int64)
    throws
  {
    let store = try Store(["a": "1"])
    store.tamper("UPDATE data_key SET created = \(created)")
    let vault = try store.open()
    let first = try #require(vault.newestDataKey)
    try vault.setSecret("b", secret("2"), now: 2000)
    #expect(vault.newestDataKey == first + 1)
  }

  @Test func `a secret that was removed is in no file, and a checkpoint leaves all in one`() throws {
    let store = try Store()
    let vault = try store.open()
    try vault.setSecret("gone", secret("1"), now: 1)
    #expect(store.contents("store.db-wal").count > 0)
    try vault.removeSecret("gone")
    #expect(store.contents("store.db-wal").isEmpty)
    try vault.setSecret("kept", secret("1"), now: 1)
    try vault.checkpoint()
    #expect(store.contents("store.db-wal").isEmpty)
    #expect(!vault.path.isEmpty)
  }
}
