import Broker
import Vault

/// Why a request gets no token, in words. What an endpoint said comes here cleaned of everything that is ours.
extension Problem {
  /// Nil where the token in hand stays: then what the upstream says to it is the answer.
  /// - Parameters:
  ///   - lastError: why the last attempt failed.
  ///   - renewal: how a session begins anew.
  init?(_ failure: TokenFailure, _ key: TokenKey, _ lastError: String?, renewal: String) {
    let reason = lastError.map { ": \($0)" } ?? ""
    switch failure {
    case .unavailable(let retryAfter):
      self.init(
        .tokenUnavailable, "No token for route \(key.route) now\(reason).", route: key.route, retryAfter: retryAfter)
    case .refused:
      self.init(
        .tokenRefused, "No token for route \(key.route)\(reason).",
        hint: "chatelaine secret set, if a secret is wrong; chatelaine token list shows the state", route: key.route)
    case .reauthorizationRequired:
      self.init(
        .reauthorizationRequired, "The session of route \(key.route) has ended\(reason).", hint: renewal,
        route: key.route)
    case .notConnected: self = .notConnected(key, renewal: renewal)
    case .stands: return nil
    }
  }

  static func notConnected(_ key: TokenKey, renewal: String) -> Problem {
    Problem(.notConnected, "Route \(key.route) has no session yet.", hint: renewal, route: key.route)
  }

  static func noTokens(_ key: TokenKey) -> Problem {
    Problem(.notConnected, "Route \(key.route) is gone, or has no tokens any more.", route: key.route)
  }

  /// It expired or was refused before the request could carry it.
  static func tokenUseless(route: String?) -> Problem {
    Problem(
      .tokenUnavailable, "The token that was obtained cannot be used: it has expired already, or it is refused.",
      hint: "chatelaine token list", route: route)
  }

  static func store(_ error: VaultError, route: String) -> Problem {
    Problem(.storeLocked, "The store cannot be read: \(error.message).", hint: "chatelaine status", route: route)
  }
}
