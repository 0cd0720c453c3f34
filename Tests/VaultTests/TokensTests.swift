import Crypto
import Testing

@testable import Vault

private let identity = [UInt8](repeating: 0xAB, count: 32)

private func token(
  _ generation: Int64 = 1, route: String = "r", subject: String = "default", _ payload: String = "payload-canary"
) -> StoredToken {
  StoredToken(
    route: route, subject: subject, generation: generation, obtainedAt: 3000, expiresAt: 4000, refreshExpiresAt: nil,
    identity: identity, payload: secret(payload))
}

struct TokensTests {
  @Test func `a token comes back after closing and opening, and only for its route and subject`() throws {
    let store = try Store()
    try store.open().storeToken(token(), now: 3000)
    let vault = try store.open()
    let back = try #require(try vault.token(route: "r", subject: "default"))
    #expect(back.payload.text == "payload-canary" && back.identity == identity)
    #expect(back.generation == 1 && back.obtainedAt == 3000 && back.expiresAt == 4000 && back.refreshExpiresAt == nil)
    #expect(try vault.token(route: "r", subject: "other") == nil)
    #expect(try vault.token(route: "s", subject: "default") == nil)
  }

  @Test func `a new generation takes the place of the one before, and ends its rotation`() throws {
    let vault = try Store().open()
    try vault.storeToken(token(1), now: 1)
    try vault.beginRotation(route: "r", subject: "default", kind: "refresh", generation: 2, now: 77)
    #expect(
      try vault.rotations() == [
        InterruptedRotation(route: "r", subject: "default", kind: "refresh", generation: 2, started: 77)
      ])
    try vault.storeToken(token(2, "new"), now: 1)
    #expect(try vault.rotations().isEmpty)
    #expect(try vault.tokenList().map(\.generation) == [2])
    #expect(try vault.token(route: "r", subject: "default")?.payload.text == "new")
  }

  @Test func `a note outlives the process, and goes with an answer or with the token`() throws {
    let store = try Store()
    try store.open().beginRotation(route: "r", subject: "a", kind: "fetch", generation: 1, now: 5)
    let vault = try store.open()
    #expect(try vault.rotations().map(\.subject) == ["a"])
    try vault.endRotation(route: "r", subject: "a")
    #expect(try vault.rotations().isEmpty)
    try vault.beginRotation(route: "r", subject: "b", kind: "fetch", generation: 1, now: 5)
    #expect(try vault.removeToken(route: "r", subject: "b") == false)
    #expect(try vault.rotations().isEmpty)
  }

  @Test func `neither a token nor what it was obtained with is in any file`() throws {
    let store = try Store()
    let vault = try store.open()
    try vault.storeToken(token(), now: 1)
    try vault.checkpoint()
    for name in store.names {
      let bytes = store.contents(name)
      #expect(!bytes.contains(Array("payload-canary".utf8)))
      #expect(!bytes.contains(identity))
    }
    try vault.removeToken(route: "r", subject: "default")
    #expect(try vault.tokenList().isEmpty)
  }

  @Test(arguments: [
    "UPDATE token SET (salt, nonce, sealed) = (SELECT salt, nonce, sealed FROM token WHERE subject = 'b') WHERE subject = 'a'",
    "UPDATE token SET subject = 'c' WHERE subject = 'a'", "UPDATE token SET route = 's' WHERE subject = 'a'",
    "UPDATE token SET generation = 9 WHERE subject = 'a'", "UPDATE token SET expires = 9999999 WHERE subject = 'a'",
    "UPDATE token SET obtained = 1 WHERE subject = 'a'", "UPDATE token SET refresh_expires = 1 WHERE subject = 'a'",
    "UPDATE token SET is_refused = 1 WHERE subject = 'a'", "UPDATE token SET is_refused = 0 WHERE subject = 'b'",
    "UPDATE token SET sealed = x'' WHERE subject = 'a'", "UPDATE token SET id = 77 WHERE subject = 'a'",
  ]) func `a token's row that was swapped, moved or changed is refused by its name`(_ sql: String) throws {
    let store = try Store()
    let vault = try store.open()
    try vault.storeToken(token(subject: "a"), now: 1)
    try vault.storeToken(token(subject: "b"), now: 1)
    try vault.refuseToken(route: "r", subject: "b", generation: 1, with: identity, now: 1)
    try vault.checkpoint()
    _ = consume vault
    store.tamper(sql)
    let error = #expect(throws: VaultError.self) { try store.open() }
    #expect(error?.code == .tokenMismatch && error?.exitStatus == 65)
  }

  @Test func `that a refresh token was refused is known after a restart, until another token comes`() throws {
    let store = try Store()
    let refusal = [UInt8](repeating: 0xCD, count: 32)
    do {
      let vault = try store.open()
      try vault.storeToken(token(7), now: 1)
      try vault.refuseToken(route: "r", subject: "default", generation: 6, with: refusal, now: 1)
      try vault.refuseToken(route: "r", subject: "nobody", generation: 7, with: refusal, now: 1)
      #expect(try vault.token(route: "r", subject: "default")?.refusal == nil, "it was another's")
      try vault.refuseToken(route: "r", subject: "default", generation: 7, with: refusal, now: 1)
      try vault.checkpoint()
      for name in store.names { #expect(!store.contents(name).contains(refusal)) }
    }
    let next = MasterKey.generate()
    try store.open().rotateMasterKey(to: next, now: 5000)
    let vault = try Vault(path: store.path, key: next)
    let refused = try #require(try vault.token(route: "r", subject: "default"))
    #expect(refused.refusal == refusal && refused.identity == identity && refused.payload.text == "payload-canary")
    #expect(try vault.tokenList().map(\.generation) == [7])
    try vault.storeToken(token(8, "new"), now: 1)
    #expect(try vault.token(route: "r", subject: "default")?.refusal == nil)
    #expect(try vault.token(route: "r", subject: "default")?.payload.text == "new")
  }

  @Test func `tokens follow a rotation of the master key, logins under way do not`() throws {
    let store = try Store()
    let vault = try store.open()
    try vault.storeToken(token(), now: 1)
    let hash = [UInt8](repeating: 7, count: 32)
    try vault.addState(hash: hash, login(), now: 1)
    let next = MasterKey.generate()
    try vault.rotateMasterKey(to: next, now: 5000)
    _ = consume vault
    let opened = try Vault(path: store.path, key: next)
    #expect(try opened.token(route: "r", subject: "default")?.payload.text == "payload-canary")
    guard case .unknown = try opened.takeState(hash: hash, route: "r", now: 2) else {
      Issue.record("the state is still there")
      return
    }
  }

  @Test func `a store whose tokens say what they were obtained with opens, and says it no more`() throws {
    let store = try Store(["a": "1"])
    store.tamper(
      """
      DROP TABLE state; DROP TABLE token; DROP TABLE rotation; \(Schema.steps[1]) PRAGMA user_version = 2;
      INSERT INTO token SELECT 1, 'r', 'default', 7, 1, NULL, NULL, CAST('identity-canary' AS BLOB), id, x'', x'', x''
        FROM data_key;
      INSERT INTO rotation VALUES ('r', 'default', 'refresh', 8, 1);
      """)
    let vault = try store.open()
    #expect(try vault.tokenList().isEmpty && vault.rotations().isEmpty)
    #expect(try vault.secret("a")?.text == "1")
    try vault.storeToken(token(), now: 1)
    try vault.addState(hash: [UInt8](repeating: 7, count: 32), login(), now: 1)
    #expect(try vault.token(route: "r", subject: "default")?.identity == identity)
    try vault.checkpoint()
    for name in store.names { #expect(!store.contents(name).contains(Array("identity-canary".utf8))) }
  }

  @Test func `a subject has no control characters and 1 to 256 bytes`() throws {
    let vault = try Store().open()
    for subject in ["", "a\nb", String(repeating: "x", count: 257)] {
      let error = #expect(throws: VaultError.self) { try vault.storeToken(token(subject: subject), now: 1) }
      #expect(error?.code == .badSubject)
    }
    try vault.storeToken(token(subject: String(repeating: "x", count: 256)), now: 1)
  }
}

private func login(
  _ expires: Int64 = 300, subject: String = "alice", verifier: String = "verifier-canary", returnTo: String? = nil
) -> PendingLogin {
  PendingLogin(
    route: "r", subject: subject, caller: 1001, redirectURI: "http://127.0.0.1:7220/-/oauth/r/callback",
    returnTo: returnTo, scope: "user:basic", verifier: secret(verifier), identity: identity, expires: expires)
}

private func hash(_ number: UInt8) -> [UInt8] { [UInt8](repeating: number, count: 32) }

extension StateOutcome {
  fileprivate var name: String {
    switch self {
    case .login: "login"
    case .unknown: "unknown"
    case .expired: "expired"
    case .used: "used"
    case .displaced: "displaced"
    case .otherRoute: "other route"
    }
  }
}

struct StatesTests {
  @Test func `a state gives its login once, after a restart too, and is then known as used`() throws {
    let store = try Store()
    try store.open().addState(hash: hash(1), login(returnTo: "https://app.example.com/"), now: 10)
    let vault = try store.open()
    guard case .login(let back) = try vault.takeState(hash: hash(1), route: "r", now: 299) else {
      Issue.record("it is gone")
      return
    }
    #expect(back.subject == "alice" && back.caller == 1001 && back.scope == "user:basic" && back.expires == 300)
    #expect(
      back.redirectURI == "http://127.0.0.1:7220/-/oauth/r/callback" && back.returnTo == "https://app.example.com/")
    #expect(back.verifier.text == "verifier-canary")
    #expect(try vault.takeState(hash: hash(1), route: "r", now: 299).name == "used")
    #expect(try vault.takeState(hash: hash(2), route: "r", now: 299).name == "unknown")
  }

  @Test func `an expired one, or another route's, gives nothing`() throws {
    let vault = try Store().open()
    try vault.addState(hash: hash(1), login(), now: 0)
    #expect(try vault.takeState(hash: hash(1), route: "s", now: 10).name == "other route")
    #expect(try vault.takeState(hash: hash(1), route: "r", now: 300).name == "expired")
    try vault.addState(hash: hash(2), login(700), now: 300)
    // What it held is gone, and whoever brings it is late all the same, for an hour.
    #expect(try vault.database.integer("SELECT count(*) FROM state WHERE sealed != x''") == 1)
    #expect(try vault.takeState(hash: hash(1), route: "r", now: 301).name == "expired")
    #expect(try vault.takeState(hash: hash(1), route: "r", now: 299).name == "expired", "the clock was set back")
    #expect(try vault.takeState(hash: hash(2), route: "r", now: 301).name == "login")
    try vault.addState(hash: hash(3), login(4100), now: 3899)
    #expect(try vault.takeState(hash: hash(1), route: "r", now: 3899).name == "expired")
    try vault.addState(hash: hash(4), login(4100), now: 3900)
    #expect(try vault.takeState(hash: hash(1), route: "r", now: 3900).name == "unknown", "it was pruned")
  }

  @Test func `one that is there, or was, is not begun again but by who took it`() throws {
    let vault = try Store().open()
    #expect(try vault.addState(hash: hash(1), login(), now: 0))
    #expect(try !vault.addState(hash: hash(1), login(subject: "mallory"), now: 0))
    guard case .login(let taken) = try vault.takeState(hash: hash(1), route: "r", now: 1) else {
      return #expect(Bool(false), "it is good")
    }
    #expect(taken.subject == login().subject)
    #expect(try !vault.addState(hash: hash(1), login(subject: "mallory"), now: 1))
    #expect(try vault.takeState(hash: hash(1), route: "r", now: 1).name == "used")
    #expect(try vault.addState(hash: hash(1), taken, isTakenBack: true, now: 1))
    #expect(try vault.takeState(hash: hash(1), route: "r", now: 2).name == "login")
  }

  @Test func `of too many logins of a subject the oldest makes room`() throws {
    let vault = try Store().open()
    // Those that are over take none.
    try vault.addState(hash: hash(98), login(), now: 0)
    #expect(try vault.takeState(hash: hash(98), route: "r", now: 0).name == "login")
    for number in 1...20 as ClosedRange<UInt8> { try vault.addState(hash: hash(number), login(), now: 0) }
    try vault.addState(hash: hash(99), login(subject: "bob"), now: 0)
    for number in 21...22 as ClosedRange<UInt8> { try vault.addState(hash: hash(number), login(), now: 0) }
    for number in 1...2 as ClosedRange<UInt8> {
      #expect(try vault.takeState(hash: hash(number), route: "r", now: 1).name == "displaced")
    }
    #expect(try vault.database.integer("SELECT count(*) FROM state WHERE sealed != x''") == 21)
    for number in [3, 22, 99] as [UInt8] {
      #expect(try vault.takeState(hash: hash(number), route: "r", now: 1).name == "login")
    }
  }

  @Test func `one that was begun while the clock was ahead gives nothing, and takes no room`() throws {
    let vault = try Store().open()
    try vault.addState(hash: hash(1), login(1_000_300), now: 1_000_000)
    #expect(try vault.takeState(hash: hash(1), route: "r", now: 1000).name == "expired")
    try vault.addState(hash: hash(2), login(1300), now: 1000)
    #expect(try vault.takeState(hash: hash(1), route: "r", now: 1_000_001).name == "unknown", "it was pruned")
    // By a little: it was just begun.
    #expect(try vault.takeState(hash: hash(2), route: "r", now: 990).name == "login")
  }

  @Test func `no state and no verifier is in any file`() throws {
    let store = try Store()
    let vault = try store.open()
    try vault.addState(hash: hash(1), login(), now: 0)
    try vault.checkpoint()
    for name in store.names { #expect(!store.contents(name).contains(Array("verifier-canary".utf8))) }
  }

  @Test func `so many logins of one route are under way, and no more`() throws {
    let vault = try Store().open()
    for number in 0..<1000 {
      try vault.addState(
        hash: [UInt8](repeating: 0, count: 30) + [UInt8(number / 256), UInt8(number % 256)],
        login(subject: "\(number)"), now: 0)
    }
    let error = #expect(throws: VaultError.self) { try vault.addState(hash: hash(9), login(), now: 0) }
    #expect(error?.code == .tooMany)
    try vault.addState(hash: hash(9), login(700), now: 300)
    #expect(try vault.takeState(hash: hash(0), route: "r", now: 300).name == "expired")
  }

  @Test func `what is remembered of logins that are over makes room as well`() throws {
    let vault = try Store().open()
    try vault.addState(hash: hash(1), login(), now: 0)
    for number in 0..<9990 {
      try vault.database.run(
        """
        INSERT INTO state (hash, route, expires, used, data_key, salt, nonce, sealed)
        VALUES (CAST(printf('%032d', \(number)) AS BLOB), 'r', 300, 1, 1, x'', x'', x'')
        """)
    }
    for number in 2...20 as ClosedRange<UInt8> { try vault.addState(hash: hash(number), login(), now: 0) }
    #expect(try vault.database.integer("SELECT count(*) FROM state") == 10_000)
    for number in [1, 20] as [UInt8] {
      #expect(try vault.takeState(hash: hash(number), route: "r", now: 1).name == "login")
    }
  }

  @Test(arguments: [
    "UPDATE state SET route = 's'", "UPDATE state SET expires = 99999", "UPDATE state SET sealed = zeroblob(40)",
  ]) func `a login that was changed is refused`(_ sql: String) throws {
    let store = try Store()
    let vault = try store.open()
    try vault.addState(hash: hash(1), login(), now: 0)
    try vault.checkpoint()
    _ = consume vault
    store.tamper(sql)
    let opened = try store.open()
    for route in ["r", "s"] {
      do throws(VaultError) {
        #expect(try opened.takeState(hash: hash(1), route: route, now: 1).name != "login")
      } catch {
        #expect(error.code == .stateMismatch && error.exitStatus == 65)
        #expect(error.message.contains("has a login under way that does not belong where it lies: \(route):"))
      }
    }
  }
}
