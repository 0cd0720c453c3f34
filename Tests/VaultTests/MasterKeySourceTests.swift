import Crypto
import Glibc
import Testing
@testable import Vault

struct MasterKeySourceTests {
  private func load(_ source: MasterKeySource, credentials: String? = nil) throws(VaultError) -> MasterKey {
    try source.load(credentialsDirectory: credentials)
  }

  @Test func `a generated key file opens what it made, is mode 0400, and is never overwritten`() throws {
    let store = try Store(created: false)
    try MasterKeySource.generateFile(store.keyPath)
    var status = stat()
    #expect(stat(store.keyPath, &status) == 0 && status.st_mode & 0o777 == 0o400)
    try Vault.create(path: store.path, key: load(.file(store.keyPath)), now: 1)
    _ = try Vault.open(path: store.path, source: .file(store.keyPath), credentialsDirectory: nil)
    _ = try Vault.open(path: store.path, source: .credential("master.key"), credentialsDirectory: store.directory)

    let before = store.contents("master.key")
    #expect(throws: VaultError(.keyExists, "")) { try MasterKeySource.generateFile(store.keyPath) }
    #expect(store.contents("master.key") == before)
  }

  @Test func `a damaged key file is told from a wrong key`() throws {
    let store = try Store(created: false)
    try MasterKeySource.generateFile(store.keyPath)
    let whole = store.contents("master.key")
    for count in [0, 5, 23, 24, 40, whole.count - 2] {
      store.write(Array(whole.prefix(count)), to: "master.key")
      #expect(throws: VaultError(.keyTruncated, ""), "\(count) bytes") { try load(.file(store.keyPath)) }
    }
    for offset in [0, 30, whole.count - 2] {
      var bytes = whole
      bytes[offset] = bytes[offset] == UInt8(ascii: "0") ? UInt8(ascii: "1") : UInt8(ascii: "0")
      store.write(bytes, to: "master.key")
      #expect(throws: VaultError(.keyMalformed, ""), "byte \(offset)") { try load(.file(store.keyPath)) }
    }
    store.write(whole + whole, to: "master.key")
    #expect(throws: VaultError(.keyMalformed, "")) { try load(.file(store.keyPath)) }
  }

  @Test func `a key that others may read, or that is a link or a directory, is refused`() throws {
    let store = try Store(created: false)
    try MasterKeySource.generateFile(store.keyPath)
    chmod(store.keyPath, 0o440)
    let error = #expect(throws: VaultError.self) { try load(.file(store.keyPath)) }
    #expect(error?.code == .keyPermissions)
    #expect(error?.exitStatus == 77)
    #expect(error?.detail == "its mode is 0440")
    _ = try load(.credential("master.key"), credentials: store.directory)
    chmod(store.keyPath, 0o400)
    symlink(store.keyPath, store.directory + "/link")
    #expect(throws: VaultError(.keyPermissions, "")) { try load(.file(store.directory + "/link")) }
    #expect(throws: VaultError(.keyPermissions, "")) { try load(.file(store.directory)) }
  }

  @Test func `a missing key or credential says where it was looked for`() throws {
    let store = try Store(created: false)
    #expect(throws: VaultError(.keyMissing, "")) { try load(.file(store.keyPath)) }
    #expect(throws: VaultError(.noCredentials, "")) { try load(.credential("k")) }
    #expect(throws: VaultError(.keyMissing, "")) { try load(.credential("k"), credentials: store.directory) }
    #expect(throws: VaultError(.keyMissing, "")) { try load(.credential("../k"), credentials: store.directory) }
  }

  @Test func `a passphrase opens the store it made, its line end aside; another does not`() throws {
    let store = try Store(created: false)
    let cheap = Scrypt.Cost(n: 16, r: 8, p: 1)
    store.write(Array("correct horse battery\n".utf8), to: "passphrase")
    let source = MasterKeySource.passphraseFile(store.directory + "/passphrase")
    try Vault.create(path: store.path, key: load(source), now: 1, cost: cheap)
    try Vault.open(path: store.path, source: source, credentialsDirectory: nil).setSecret("a", secret("1"), now: 1)
    _ = try Vault(path: store.path, key: .passphrase(secret("correct horse battery")))
    #expect(throws: VaultError(.wrongKey, "")) {
      try Vault(path: store.path, key: .passphrase(secret("correct horse batterY")))
    }
    #expect(throws: VaultError(.wrongKeyKind, "")) { try Vault(path: store.path, key: .generate()) }
    store.write(Array("too short\n".utf8), to: "passphrase")
    #expect(throws: VaultError(.passphraseTooShort, "")) { try load(source) }
  }

  @Test func `a passphrase may come through a pipe`() async throws {
    let store = try Store(created: false)
    let path = store.directory + "/pipe"
    mkfifo(path, 0o600)
    // Opening either end of a pipe waits for the other.
    let writing = Task.detached {
      let writer = open(path, O_WRONLY)
      defer { close(writer) }
      let text = Array("correct horse battery".utf8)
      return write(writer, text, text.count) == text.count
    }
    guard case .passphrase(let passphrase) = try load(.passphraseFile(path)) else {
      Issue.record("no passphrase")
      return
    }
    #expect(passphrase.text == "correct horse battery")
    #expect(await writing.value)
  }
}
