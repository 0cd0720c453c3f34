/// A token request that was under way when the process ended.
public struct InterruptedRotation: Sendable, Equatable {
  public let route: String
  public let subject: String
  /// `fetch` or `refresh`.
  public let kind: String
  public let generation: Int64
  /// Seconds since 1970, UTC.
  public let started: Int64
}

/// The journal of token requests: a row is written before one is sent, and goes with the token that it brings.
/// What is left at the start is what may have been lost.
extension Vault {
  /// Takes the place of the journal's row for the same token, if there is one.
  /// - Parameters:
  ///   - kind: `fetch` or `refresh`.
  ///   - now: seconds since 1970, UTC.
  /// - Throws: `VaultError.badSubject`, `.inputOutput`; `.tooMany` if there would be no room for the token either.
  public func beginRotation(
    route: String, subject: String, kind: String, generation: Int64, now: Int64
  ) throws(VaultError) {
    try Vault.check(route, subject)
    try change { () throws(VaultError) in
      var known = try database.prepare(
        """
        SELECT EXISTS (SELECT 1 FROM token WHERE route = ?1 AND subject = ?2)
          OR EXISTS (SELECT 1 FROM rotation WHERE route = ?1 AND subject = ?2)
        """)
      for text in [route, subject] { try known.bind(text) }
      _ = try known.step()
      if known.integer(0) == 0 {
        // A token and its rotation count as two here: at the very end there is room for less.
        let sum = "SELECT (SELECT count(*) FROM token) + (SELECT count(*) FROM rotation)"
        guard try database.integer(sum) < Vault.capacity else {
          throw VaultError(.tooMany, path, "it holds \(Vault.capacity) tokens")
        }
      }
      var row = try database.prepare(
        "REPLACE INTO rotation (route, subject, kind, generation, started) VALUES (?, ?, ?, ?, ?)")
      for text in [route, subject, kind] { try row.bind(text) }
      for number in [generation, now] { try row.bind(number) }
      _ = try row.step()
    }
  }

  /// Nothing was lost: the endpoint said no, or certainly never saw the request.
  public func endRotation(route: String, subject: String) throws(VaultError) {
    try change { () throws(VaultError) in try removeRotation(route, subject) }
  }

  /// By route and subject.
  public func rotations() throws(VaultError) -> [InterruptedRotation] {
    var row = try database.prepare(
      "SELECT route, subject, kind, generation, started FROM rotation ORDER BY route, subject")
    var list: [InterruptedRotation] = []
    while try row.step() {
      list.append(
        InterruptedRotation(
          route: row.text(0), subject: row.text(1), kind: row.text(2), generation: row.integer(3),
          started: row.integer(4)))
    }
    return list
  }

  func removeRotation(_ route: String, _ subject: String) throws(VaultError) {
    var row = try database.prepare("DELETE FROM rotation WHERE route = ? AND subject = ?")
    for text in [route, subject] { try row.bind(text) }
    _ = try row.step()
  }
}
