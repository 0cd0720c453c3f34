import Broker
import Bytes
import Crypto
import JSON

/// What a provider sent back with the user.
struct LoginReturn: Sendable {
  var state: String
  var code: Secret?
  /// RFC 6749 §4.1.2.1.
  var error: String?
  /// RFC 9207.
  var issuer: String?

  /// Bytes of a query that are looked at.
  private static let limit = 4096

  /// From the query of the callback, `code=…&state=…`.
  init(query: Span<UInt8>, route: String) throws(Problem) {
    guard query.count <= LoginReturn.limit else { throw .malformedReturn(route) }
    var found: [String: Secret] = [:]
    var start = 0
    for end in 0...query.count where end == query.count || query[end] == UInt8(ascii: "&") {
      let pair = query.extracting(start..<end)
      start = end + 1
      guard !pair.isEmpty else { continue }
      let mark = pair.indices.first { pair[$0] == UInt8(ascii: "=") } ?? pair.count
      var name = Buffer()
      var value = Buffer()
      guard name.appendFormDecoded(pair.extracting(..<mark)),
        value.appendFormDecoded(pair.extracting(min(mark + 1, pair.count)...))
      else { throw .malformedReturn(route) }
      // RFC 6749 §3.1: none may come twice.
      guard found.updateValue(Secret(copying: value.span), forKey: String(name.span)) == nil else {
        throw .malformedReturn(route)
      }
      // The next value's buffer is another: of a code there is one copy, and it is wiped with the secret.
      value.wipe()
    }
    try self.init(found, route)
  }

  /// From what a program sends: `{"code", "state", "iss"?}`.
  init(body: Span<UInt8>, route: String) throws(Problem) {
    guard let members = (try? JSONReader.parse(body))?.members else { throw .malformedReturn(route) }
    var found: [String: Secret] = [:]
    for member in members {
      guard ["code", "state", "iss", "error"].contains(member.key), var text = member.value.string else {
        throw .malformedReturn(route)
      }
      found[member.key] = text.withUTF8 { unsafe Secret(copying: $0.span) }
    }
    try self.init(found, route)
  }

  private init(_ found: [String: Secret], _ route: String) throws(Problem) {
    guard let state = found["state"], !state.isEmpty, found["code"] != nil || found["error"] != nil else {
      throw .malformedReturn(route)
    }
    self.state = String(state.span)
    code = found["code"]
    error = found["error"].map { String($0.span) }
    issuer = found["iss"].map { String($0.span) }
  }
}

extension Problem {
  static func malformedReturn(_ route: String) -> Problem {
    Problem(
      .malformedRequest,
      "A return from a login has \"state\" and \"code\" (or \"error\"), each once, and no more than 4 KiB of them.",
      hint: "chatelaine login \(route)", route: route)
  }

  static func stateUnknown(_ route: String) -> Problem {
    Problem(
      .stateUnknown, "This login was never begun here, is more than five minutes old, or is over already.",
      hint: "chatelaine login \(route.isEmpty ? "ROUTE" : route)", route: route.isEmpty ? nil : route)
  }

  static func noLogins(_ route: String, isAgent: Bool = false) -> Problem {
    Problem(
      .unknownRoute, "Nobody logs in to route \(route): its connector has no \"oauth\".",
      hint: isAgent ? "chatelaine ath authorize \(route)" : "chatelaine status lists the routes", route: route)
  }
}
