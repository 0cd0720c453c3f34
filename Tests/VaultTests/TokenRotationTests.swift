import Crypto
import Glibc
import Testing

@testable import Vault

private func token(_ generation: Int64, _ subject: String = "default", route: String = "r") -> StoredToken {
  StoredToken(
    route: route, subject: subject, generation: generation, obtainedAt: generation, expiresAt: generation + 60,
    refreshExpiresAt: nil, identity: [UInt8](repeating: 3, count: 32), payload: secret("token \(generation)"))
}

struct TokenRotationTests {
  @Test func `there is one note a token: the newest`() throws {
    let vault = try Store().open()
    try vault.beginRotation(route: "r", subject: "a", kind: "refresh", generation: 2, now: 5)
    try vault.beginRotation(route: "r", subject: "a", kind: "fetch", generation: 3, now: 6)
    try vault.beginRotation(route: "q", subject: "a", kind: "fetch", generation: 1, now: 7)
    #expect(
      try vault.rotations() == [
        InterruptedRotation(route: "q", subject: "a", kind: "fetch", generation: 1, started: 7),
        InterruptedRotation(route: "r", subject: "a", kind: "fetch", generation: 3, started: 6),
      ])
    try vault.endRotation(route: "r", subject: "none")
    #expect(try vault.rotations().count == 2)
  }

  @Test func `a token that is not stored leaves the note where it is`() throws {
    let vault = try Store().open()
    try vault.beginRotation(route: "r", subject: "default", kind: "refresh", generation: 2, now: 5)
    var large = token(2)
    large.payload = Secret(copying: [UInt8](repeating: 7, count: Secret.limit + 1).span)
    #expect(throws: VaultError(.tooLarge, "")) { try vault.storeToken(large, now: 5) }
    #expect(try vault.rotations().map(\.generation) == [2])
    #expect(try vault.tokenList().isEmpty)
  }

  @Test func `a full store asks for no token that it could not keep, and renews those that it has`() throws {
    let store = try Store(["a": "1"])
    try store.open().storeToken(token(1), now: 2000)
    store.tamper(
      """
      WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < \(Vault.capacity - 1))
      INSERT INTO rotation SELECT 'q', n, 'fetch', 1, 0 FROM n;
      """)
    let vault = try store.open()
    #expect(throws: VaultError(.tooMany, "")) {
      try vault.beginRotation(route: "r", subject: "new", kind: "fetch", generation: 1, now: 2000)
    }
    try vault.beginRotation(route: "r", subject: "default", kind: "refresh", generation: 2, now: 2000)
    try vault.storeToken(token(2), now: 2000)
    try vault.beginRotation(route: "q", subject: "1", kind: "fetch", generation: 2, now: 2000)
    try vault.endRotation(route: "q", subject: "1")
    try vault.beginRotation(route: "r", subject: "new", kind: "fetch", generation: 1, now: 2000)
  }

  @Test func `an aged data key seals no more tokens, and those under it are sealed anew`() throws {
    let store = try Store()
    try store.open().storeToken(token(1, "a"), now: 2000)
    let later = 2000 + Vault.lifeOfDataKey
    do {
      let vault = try store.open()
      let first = try #require(vault.newestDataKey)
      try vault.storeToken(token(1, "b"), now: later)
      #expect(vault.newestDataKey == first + 1 && vault.dataKeys.count == 2)
      #expect(try vault.token(route: "r", subject: "a")?.payload.text == "token 1")
    }
    let vault = try store.open()
    #expect(vault.dataKeys.count == 1)
    for subject in ["a", "b"] {
      #expect(try vault.token(route: "r", subject: subject)?.payload.text == "token 1")
    }
  }

  @Test func `many tokens follow a rotation of the master key, batch by batch`() throws {
    let store = try Store(["a": "1"])
    let next = MasterKey.generate()
    do {
      let vault = try store.open()
      for number in 0..<130 { try vault.storeToken(token(1, "\(number)"), now: 2000) }
      try vault.rotateMasterKey(to: next, now: 5000)
      #expect(vault.dataKeys.count == 1)
    }
    let vault = try Vault(path: store.path, key: next)
    #expect(try vault.tokenList().count == 130)
    #expect(try vault.token(route: "r", subject: "129")?.payload.text == "token 1")
    #expect(try vault.secret("a")?.text == "1")
  }

  /// What a driver does, killed anywhere: a note, the endpoint's answer (a line in a file), the token, and only then is the
  /// token used (another line).
  @Test func `whatever was used is stored, and whatever was asked for is stored or noted`() async throws {
    let store = try Store(created: false)
    try MasterKeySource.generateFile(store.keyPath)
    let source = MasterKeySource.file(store.keyPath)
    try Vault.create(path: store.path, key: source.load(credentialsDirectory: nil), now: 1)
    var newest: Int64 = 0
    var interrupted = 0
    var round = 0
    // A slow machine gets less far before it is killed: later rounds have longer.
    while round < 30 || round < 300 && (newest <= 30 || interrupted == 0) {
      round += 1
      let (directory, first, delay) = (store.directory, newest + 1, Int.random(in: 500...20_000 + round * 1000))
      await #expect(processExitsWith: .signal(SIGKILL)) {
        [directory = directory as String, first = first as Int64, delay = delay as Int] in
        let vault = try Vault.open(
          path: directory + "/store.db", source: .file(directory + "/master.key"), credentialsDirectory: nil)
        let log = open(directory + "/lines", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        func note(_ text: String) { precondition(write(log, text + "\n", text.utf8.count + 1) > 0) }
        KillTests.arm(microseconds: delay)
        for generation in first... {
          try vault.beginRotation(route: "r", subject: "default", kind: "refresh", generation: generation, now: 9)
          note("asked \(generation)")
          try vault.storeToken(token(generation), now: 9)
          note("used \(generation)")
        }
      }
      let lines = String(decoding: store.contents("lines"), as: UTF8.self).split(separator: "\n")
      func last(_ word: String) -> Int64 {
        lines.last { $0.hasPrefix(word + " ") }.flatMap { Int64($0.dropFirst(word.count + 1)) } ?? 0
      }
      let vault = try Vault.open(path: store.path, source: source, credentialsDirectory: nil)
      let stored = try vault.token(route: "r", subject: "default")
      #expect(stored.map(\.payload.text) == stored.map { "token \($0.generation)" })
      let notes = try vault.rotations().map(\.generation)
      newest = stored?.generation ?? 0
      #expect(newest >= last("used"))
      #expect(newest >= last("asked") || notes == [last("asked")])
      #expect(notes.isEmpty || notes == [newest + 1])
      if !notes.isEmpty { interrupted += 1 }
    }
    #expect(newest > 30 && interrupted > 0)
  }
}
