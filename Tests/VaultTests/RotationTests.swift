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
    store.write(Array("chatelaine-mas".utf8), to: "master.key.new", mode: 0o400)
    #expect(try source.prepareNext() == .file(store.keyPath + ".new"))
    let next = store.contents("master.key.new")
    #expect(try open().secret("a")?.text == "1")
    #expect(try source.prepareNext() == .file(store.keyPath + ".new"))
    #expect(store.contents("master.key.new") == next)
    do {
      let vault = try open()
      try vault.rotateMasterKey(
        to: MasterKeySource.file(store.keyPath + ".new").load(credentialsDirectory: nil), now: 1)
    }
    #expect(try open().secret("a")?.text == "1")
    #expect(store.contents("master.key") == next)
    #expect(store.names == ["master.key", "master.key.1", "store.db", "store.db.lock"])
  }
}
