internal import Bytes
public import Crypto

/// A login that was begun: what has to be known when its user comes back.
public struct PendingLogin: Sendable {
  public var route: String
  public var subject: String
  /// The uid of who began it.
  public var caller: UInt32
  public var redirectURI: String
  /// Where the user's browser goes in the end.
  public var returnTo: String?
  public var scope: String?
  /// Of PKCE (RFC 7636).
  public var verifier: Secret
  /// What tells the client and the provider from any other: a code is for them alone.
  public var identity: [UInt8]
  /// Seconds since 1970, UTC.
  public var expires: Int64

  public init(
    route: String, subject: String, caller: UInt32, redirectURI: String, returnTo: String?, scope: String?,
    verifier: Secret, identity: [UInt8], expires: Int64
  ) {
    self.route = route
    self.subject = subject
    self.caller = caller
    self.redirectURI = redirectURI
    self.returnTo = returnTo
    self.scope = scope
    self.verifier = verifier
    self.identity = identity
    self.expires = expires
  }
}

/// What a state that came back is good for.
public enum StateOutcome: Sendable {
  /// This login; the state is used up now.
  case login(PendingLogin)
  /// It was never given out, or so long ago that nobody remembers.
  case unknown
  case expired
  case used
  /// The same subject began so many others since that it was given up.
  case displaced
  /// It was given out for another route, where it is still good.
  case otherRoute
}

extension Vault {
  /// Logins that are under way at most: in all, of a route, and of a route's subject.
  private static let mostStates: Int64 = 10_000
  private static let mostStatesOfRoute: Int64 = 1000
  private static let mostStatesOfSubject: Int64 = 20
  /// Seconds that a login takes at most. One that ends later was begun while the clock was ahead.
  private static let longestLogin: Int64 = 600
  /// Seconds that one is remembered after it expired: who comes late, or a second time, is told from who guesses.
  private static let longestMemory: Int64 = 3600
  /// What a login that is over keeps of what it held.
  private static let emptied = "salt = x'', nonce = x'', sealed = x''"

  /// Remembers a login by the digest of its state, the state itself never being stored. Of too many of one subject the oldest
  /// makes room: a user who begins again and again ends the last of them.
  /// - Parameters:
  ///   - hash: SHA-256 of the state.
  ///   - isTakenBack: it was taken by `takeState`, and is as good as it was.
  ///   - now: seconds since 1970, UTC; the login expires within 600.
  /// - Returns: false for a state that is there already, or was: then nothing is done.
  /// - Throws: `VaultError.tooMany`, `.badSubject`, `.inputOutput`.
  @discardableResult
  public func addState(
    hash: [UInt8], _ login: PendingLogin, isTakenBack: Bool = false, now: Int64
  ) throws(VaultError) -> Bool {
    precondition(hash.count == 32)
    try Vault.check(login.route, login.subject)
    return try change { () throws(VaultError) in
      try pruneStates(now)
      if !isTakenBack {
        var known = try database.prepare("SELECT 1 FROM state WHERE hash = ?")
        try known.bind(hash)
        if try known.step() { return false }
      }
      try makeRoom(for: login)
      let (keyID, key) = try sealingKey(now: now)
      let identity = stateIdentity(hash, login.route, login.expires, key: keyID)
      let envelope = Envelope.seal(Vault.encoded(login).span, under: key, as: identity)
      var row = try database.prepare(
        """
        REPLACE INTO state (hash, route, subject, number, expires, used, data_key, salt, nonce, sealed)
        SELECT ?, ?, ?, coalesce(max(number), 0) + 1, ?, 0, ?, ?, ?, ? FROM state
        """)
      try row.bind(hash)
      for text in [login.route, login.subject] { try row.bind(text) }
      for number in [login.expires, keyID] { try row.bind(number) }
      for blob in [envelope.salt, envelope.nonce, envelope.sealed] { try row.bind(blob) }
      _ = try row.step()
      try countSeal(under: keyID)
      return true
    }
  }

  /// Empties what has expired, and forgets what nobody asks for any more.
  private func pruneStates(_ now: Int64) throws(VaultError) {
    try database.run(
      """
      DELETE FROM state WHERE expires <= \(now - Vault.longestMemory) OR expires > \(now + Vault.longestLogin);
      UPDATE state SET used = 3, \(Vault.emptied) WHERE used = 0 AND expires <= \(now);
      """)
    let surplus = try database.integer("SELECT count(*) FROM state") - Vault.mostStates + 1
    guard surplus > 0 else { return }
    try database.run(
      "DELETE FROM state WHERE hash IN (SELECT hash FROM state WHERE used != 0 ORDER BY expires LIMIT \(surplus))")
  }

  private func makeRoom(for login: PendingLogin) throws(VaultError) {
    var count = try database.prepare(
      """
      SELECT count(*), count(*) FILTER (WHERE route = ?1), count(*) FILTER (WHERE route = ?1 AND subject = ?2)
      FROM state WHERE used = 0
      """)
    for text in [login.route, login.subject] { try count.bind(text) }
    _ = try count.step()
    if count.integer(2) >= Vault.mostStatesOfSubject {
      var oldest = try database.prepare(
        """
        UPDATE state SET used = 2, \(Vault.emptied) WHERE hash =
          (SELECT hash FROM state WHERE used = 0 AND route = ? AND subject = ? ORDER BY number LIMIT 1)
        """)
      for text in [login.route, login.subject] { try oldest.bind(text) }
      _ = try oldest.step()
      return
    }
    guard count.integer(0) < Vault.mostStates, count.integer(1) < Vault.mostStatesOfRoute else {
      throw VaultError(.tooMany, path, "too many logins are under way; each is forgotten after five minutes")
    }
  }

  /// Uses a state up, and gives what it was given out for. Of any number who bring the same one, one gets it.
  /// - Parameter hash: SHA-256 of the state.
  public func takeState(hash: [UInt8], route: String, now: Int64) throws(VaultError) -> StateOutcome {
    try change { () throws(VaultError) in
      // One statement looks and marks: there is no moment between in which another could look.
      var taken = try database.prepare(
        """
        UPDATE state SET used = 1
        WHERE hash = ?1 AND route = ?2 AND used = 0 AND expires > ?3 AND expires <= ?3 + \(Vault.longestLogin)
        RETURNING expires, data_key, salt, nonce, sealed
        """)
      try taken.bind(hash)
      try taken.bind(route)
      try taken.bind(now)
      guard try taken.step() else { return try reason(hash, route, now) }
      let (expires, keyID) = (taken.integer(0), taken.integer(1))
      let envelope = Envelope(salt: taken.blob(2), nonce: taken.blob(3), sealed: taken.blob(4))
      while try taken.step() {}
      guard let key = dataKeys[keyID],
        let payload = envelope.open(under: key, as: stateIdentity(hash, route, expires, key: keyID)),
        let login = Vault.login(payload.span, route, expires)
      else { throw VaultError(.stateMismatch, path, route) }
      // The row stays, to tell a replay from a guess; what it held does not.
      var emptied = try database.prepare("UPDATE state SET \(Vault.emptied) WHERE hash = ?")
      try emptied.bind(hash)
      _ = try emptied.step()
      return .login(login)
    }
  }

  private func reason(_ hash: [UInt8], _ route: String, _ now: Int64) throws(VaultError) -> StateOutcome {
    var row = try database.prepare("SELECT route, used FROM state WHERE hash = ?")
    try row.bind(hash)
    guard try row.step() else { return .unknown }
    guard row.text(0).utf8.elementsEqual(route.utf8) else { return .otherRoute }
    return switch row.integer(1) {
    case 1: .used
    case 2: .displaced
    default: .expired
    }
  }

  /// Forgets logins that are under way: what they hold lies under a data key that is about to go.
  func forgetStates(below newest: Int64) throws(VaultError) {
    try change { () throws(VaultError) in try database.run("DELETE FROM state WHERE data_key < \(newest)") }
  }

  private func stateIdentity(_ hash: [UInt8], _ route: String, _ expires: Int64, key: Int64) -> RowIdentity {
    RowIdentity(
      store: uuid, table: "state", row: 0, column: "sealed", owner: route, kind: "state", key: key, version: expires,
      details: hash)
  }

  // MARK: As bytes

  /// Each part behind its length in four bytes; 0xFFFFFFFF is nil.
  private static func encoded(_ login: PendingLogin) -> Secret {
    var bytes = Buffer()
    func append(_ part: Span<UInt8>) {
      append(UInt32(part.count))
      bytes.append(part)
    }
    func append(_ number: UInt32) {
      for shift in stride(from: 24, through: 0, by: -8) {
        bytes.append(UInt8(truncatingIfNeeded: number >> UInt32(shift)))
      }
    }
    append(login.caller)
    for text in [login.subject, login.redirectURI, login.returnTo, login.scope] {
      if let text { append(Array(text.utf8).span) } else { append(.max) }
    }
    append(login.identity.span)
    append(login.verifier.span)
    return Secret(copying: bytes.span)
  }

  private static func login(_ bytes: Span<UInt8>, _ route: String, _ expires: Int64) -> PendingLogin? {
    var offset = 0
    func number() -> UInt32? {
      guard offset + 4 <= bytes.count else { return nil }
      defer { offset += 4 }
      return (0..<4).reduce(0) { $0 << 8 | UInt32(bytes[offset + $1]) }
    }
    func part() -> Range<Int>? {
      guard let count = number(), count != .max, offset + Int(count) <= bytes.count else { return nil }
      defer { offset += Int(count) }
      return offset..<offset + Int(count)
    }
    func text() -> String? { part().map { String(bytes.extracting($0)) } }
    guard let caller = number(), let subject = text(), let redirectURI = text() else { return nil }
    let (returnTo, scope) = (text(), text())
    guard let identity = part(), let verifier = part() else { return nil }
    return PendingLogin(
      route: route, subject: subject, caller: caller, redirectURI: redirectURI, returnTo: returnTo, scope: scope,
      verifier: Secret(copying: bytes.extracting(verifier)), identity: Array(bytes.extracting(identity)),
      expires: expires)
  }
}
