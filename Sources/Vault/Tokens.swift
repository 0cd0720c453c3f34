public import Crypto
internal import Bytes

/// A token as the store keeps it. Times are seconds since 1970, UTC; nil: it does not end.
public struct StoredToken: Sendable {
  public var route: String
  public var subject: String
  public var generation: Int64
  public var obtainedAt: Int64
  public var expiresAt: Int64?
  public var refreshExpiresAt: Int64?
  /// 32 bytes that tell with which credentials it was obtained.
  public var identity: [UInt8]
  public var payload: Secret
  /// 32 bytes that tell with what its refresh token was refused for good; nil: it was not.
  public var refusal: [UInt8]?

  public init(
    route: String, subject: String, generation: Int64, obtainedAt: Int64, expiresAt: Int64?, refreshExpiresAt: Int64?,
    identity: [UInt8], payload: Secret
  ) {
    precondition(identity.count == 32)
    self.route = route
    self.subject = subject
    self.generation = generation
    self.obtainedAt = obtainedAt
    self.expiresAt = expiresAt
    self.refreshExpiresAt = refreshExpiresAt
    self.identity = identity
    self.payload = payload
  }
}

/// What may be told of a stored token: anything but its value.
public struct TokenInfo: Sendable, Equatable {
  public let route: String
  public let subject: String
  public let generation: Int64
  public let obtainedAt: Int64
  public let expiresAt: Int64?
  public let refreshExpiresAt: Int64?
}

extension Vault {
  /// Stores a token in the place of the one before, and ends its rotation, both or neither.
  /// - Parameter now: seconds since 1970, UTC.
  /// - Throws: `VaultError.badSubject`, `.tooLarge`, `.tooMany`, `.inputOutput`.
  public func storeToken(_ token: StoredToken, now: Int64) throws(VaultError) {
    try Vault.check(token.route, token.subject)
    guard token.payload.count <= Secret.limit else {
      throw VaultError(.tooLarge, Vault.owner(token.route, token.subject), "it has \(token.payload.count) bytes")
    }
    try change { () throws(VaultError) in
      let (keyID, key) = try sealingKey(now: now)
      let known = try find(token.route, token.subject)
      let id = if let known { known } else { try insertToken(token, keyID) }
      try seal(token, id: id, keyID, key)
      try removeRotation(token.route, token.subject)
    }
  }

  /// Notes that a token's refresh token was refused for good, until another token takes its place.
  /// - Parameter refusal: 32 bytes that tell with what it was.
  public func refuseToken(
    route: String, subject: String, generation: Int64, with refusal: [UInt8], now: Int64
  ) throws(VaultError) {
    precondition(refusal.count == 32)
    try change { () throws(VaultError) in
      let (keyID, key) = try sealingKey(now: now)
      guard let id = try find(route, subject), var token = try token(route: route, subject: subject),
        token.generation == generation
      else { return }
      token.refusal = refusal
      try seal(token, id: id, keyID, key)
    }
  }

  /// Nil if there is none.
  /// - Throws: `VaultError.tokenMismatch` if the row is not the one that was written.
  public func token(route: String, subject: String) throws(VaultError) -> StoredToken? {
    var row = try database.prepare(Vault.tokenRows + " WHERE route = ? AND subject = ?")
    for text in [route, subject] { try row.bind(text) }
    guard try row.step() else { return nil }
    return try openToken(row).token
  }

  /// By route and subject.
  public func tokenList() throws(VaultError) -> [TokenInfo] {
    var row = try database.prepare(
      "SELECT route, subject, generation, obtained, expires, refresh_expires FROM token ORDER BY route, subject")
    var list: [TokenInfo] = []
    while try row.step() {
      list.append(
        TokenInfo(
          route: row.text(0), subject: row.text(1), generation: row.integer(2), obtainedAt: row.integer(3),
          expiresAt: row.optional(4), refreshExpiresAt: row.optional(5)))
    }
    return list
  }

  /// Removes the token and its rotation; false if there is no token.
  @discardableResult
  public func removeToken(route: String, subject: String) throws(VaultError) -> Bool {
    let isRemoved = try change { () throws(VaultError) in
      try removeRotation(route, subject)
      var row = try database.prepare("DELETE FROM token WHERE route = ? AND subject = ?")
      for text in [route, subject] { try row.bind(text) }
      _ = try row.step()
      return database.changedRows > 0
    }
    // The log still has its pages. It is removed whether or not they go now.
    if isRemoved { try? checkpoint() }
    return isRemoved
  }

  /// A route's name is without a slash, so that `route/subject` means one token.
  static func check(_ route: String, _ subject: String) throws(VaultError) {
    func isPlain(_ text: String, upTo limit: Int) -> Bool {
      (1...limit).contains(text.utf8.count) && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
    }
    guard isPlain(route, upTo: 128), isPlain(subject, upTo: 256), !route.utf8.contains(UInt8(ascii: "/")) else {
      throw VaultError(.badSubject, String(route.prefix(128)))
    }
  }

  static func owner(_ route: String, _ subject: String) -> String { route + "/" + subject }

  // MARK: Rows

  static let tokenRows =
    """
    SELECT id, route, subject, generation, obtained, expires, refresh_expires, data_key, salt, nonce, sealed, is_refused \
    FROM token
    """

  /// Opens every token once.
  func checkTokens() throws(VaultError) {
    var row = try database.prepare(Vault.tokenRows)
    while try row.step() { _ = try openToken(row) }
  }

  /// One transaction's worth of tokens that lie under older data keys; returns how many it was.
  func sealTokensAnew(below newest: Int64, _ key: Secret) throws(VaultError) -> Int {
    try change { () throws(VaultError) in
      var batch: [(id: Int64, token: StoredToken)] = []
      var row = try database.prepare(Vault.tokenRows + " WHERE data_key < \(newest) LIMIT 64")
      while try row.step() { try batch.append(openToken(row)) }
      for (id, token) in batch { try seal(token, id: id, newest, key) }
      return batch.count
    }
  }

  private func find(_ route: String, _ subject: String) throws(VaultError) -> Int64? {
    var row = try database.prepare("SELECT id FROM token WHERE route = ? AND subject = ?")
    for text in [route, subject] { try row.bind(text) }
    return try row.step() ? row.integer(0) : nil
  }

  /// The row's number is part of what is sealed, so it is made first.
  private func insertToken(_ token: StoredToken, _ keyID: Int64) throws(VaultError) -> Int64 {
    guard try database.integer("SELECT count(*) FROM token") < Vault.capacity else {
      throw VaultError(.tooMany, path, "it holds \(Vault.capacity) tokens")
    }
    var row = try database.prepare(
      """
      INSERT INTO token (route, subject, generation, obtained, data_key, salt, nonce, sealed)
      VALUES (?, ?, 0, 0, ?, x'', x'', x'')
      """)
    for text in [token.route, token.subject] { try row.bind(text) }
    try row.bind(keyID)
    _ = try row.step()
    return database.lastInsertedRow
  }

  private func seal(_ token: StoredToken, id: Int64, _ keyID: Int64, _ key: Secret) throws(VaultError) {
    // What it was obtained with lies under the seal as well: a digest of a weak secret is as good as the secret.
    var content = Buffer()
    content.append(token.identity.span)
    if let refusal = token.refusal { content.append(refusal.span) }
    content.append(token.payload.span)
    let envelope = Envelope.seal(content.span, under: key, as: tokenIdentity(token, id: id, key: keyID))
    var row = try database.prepare(
      """
      UPDATE token SET generation = ?, obtained = ?, expires = ?, refresh_expires = ?, data_key = ?,
        salt = ?, nonce = ?, sealed = ?, is_refused = ? WHERE id = ?
      """)
    for number in [token.generation, token.obtainedAt] { try row.bind(number) }
    for number in [token.expiresAt, token.refreshExpiresAt] { try row.bind(number) }
    try row.bind(keyID)
    for blob in [envelope.salt, envelope.nonce, envelope.sealed] { try row.bind(blob) }
    for number in [token.refusal == nil ? 0 : 1, id] { try row.bind(number) }
    _ = try row.step()
    try countSeal(under: keyID)
  }

  /// - Parameter row: of `tokenRows`.
  private func openToken(_ row: borrowing Statement) throws(VaultError) -> (id: Int64, token: StoredToken) {
    let (id, keyID) = (row.integer(0), row.integer(7))
    let owner = Vault.owner(row.text(1), row.text(2))
    var token = StoredToken(
      route: row.text(1), subject: row.text(2), generation: row.integer(3), obtainedAt: row.integer(4),
      expiresAt: row.optional(5), refreshExpiresAt: row.optional(6), identity: Vault.noIdentity,
      payload: Vault.noPayload)
    let envelope = Envelope(salt: row.blob(8), nonce: row.blob(9), sealed: row.blob(10))
    if row.integer(11) != 0 { token.refusal = Vault.noIdentity }
    let start = token.refusal == nil ? 32 : 64
    guard let key = dataKeys[keyID],
      let content = envelope.open(under: key, as: tokenIdentity(token, id: id, key: keyID)), content.count >= start
    else { throw VaultError(.tokenMismatch, path, owner) }
    token.identity = Array(content.span.extracting(..<32))
    if token.refusal != nil { token.refusal = Array(content.span.extracting(32..<64)) }
    token.payload = Secret(copying: content.span.extracting(start...))
    return (id, token)
  }

  private static let noIdentity = [UInt8](repeating: 0, count: 32)
  private static let noPayload = Secret(copying: [UInt8]().span)

  /// With its times, and whether it was refused: none of them can be changed without the value.
  private func tokenIdentity(_ token: StoredToken, id: Int64, key: Int64) -> RowIdentity {
    var details = Buffer()
    for number in [token.obtainedAt, token.expiresAt, token.refreshExpiresAt] {
      details.append(number == nil ? 0 : 1)
      for shift in stride(from: 56, through: 0, by: -8) {
        details.append(UInt8(truncatingIfNeeded: (number ?? 0) >> shift))
      }
    }
    if token.refusal != nil { details.append(2) }
    return RowIdentity(
      store: uuid, table: "token", row: id, column: "sealed", owner: Vault.owner(token.route, token.subject),
      kind: "token", key: key, version: token.generation, details: Array(details.span))
  }
}
