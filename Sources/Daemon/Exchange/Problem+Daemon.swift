import Broker
import Connector
import HTTP
import Net

/// What can go wrong at run time, in words. Nothing here repeats what a client or an upstream sent (HTTP.md I6).
extension Problem {
  static let overloaded = Problem(.overloaded, "Too many bodies wait in memory.", retryAfter: 1)

  static func requestTimeout(_ what: String) -> Problem {
    Problem(.requestTimeout, "\(what) did not arrive in time.", closes: true)
  }

  static func bodyTooLarge(_ limit: UInt64, route: String?) -> Problem {
    Problem(
      .bodyTooLarge, "The body is larger than the limit of \(limit) bytes; \"limits\": {\"body\": …} raises it.",
      route: route, closes: true)
  }

  static func unusable(_ error: SignerError, route: Route) -> Problem {
    let hint = if case .key = error { "chatelaine secret set" } else { "chatelaine check" }
    return Problem(.secretMissing, "The route cannot sign: \(error.message).", hint: hint, route: route.name)
  }

  static func unsignable(_ error: EvaluationError, route: Route) -> Problem {
    Problem(
      .signingFailed, "The request cannot be signed: \(error.message).", hint: "chatelaine explain \(route.name)",
      route: route.name)
  }

  static func upstreamTLS(_ reason: String, route: Route) -> Problem {
    Problem(.upstreamTLS, "TLS with \(route.upstream.authority) failed: \(reason).", route: route.name)
  }

  static func dialling(_ error: DialError, _ route: Route) -> Problem {
    let authority = route.upstream.authority
    switch error {
    case .unresolved(let reason):
      return Problem(
        .upstreamUnresolved, "\(route.upstream.host) has no address: \(reason).", route: route.name)
    case .forbiddenAddress:
      return Problem(
        .upstreamUnresolved,
        "\(route.upstream.host) leads only to addresses that no upstream has (link-local, multicast, unspecified).",
        route: route.name)
    case .unreachable(let reason):
      return Problem(.upstreamUnreachable, "No connection to \(authority): \(reason).", route: route.name)
    case .tls(let reason):
      return upstreamTLS(reason, route: route)
    case .timeout:
      return Problem(
        .upstreamTimeout, "No connection to \(authority) within \(route.timeouts.connect) ms.", route: route.name)
    }
  }

  static func upstreamTimeout(_ state: RouteState?) -> Problem {
    Problem(
      .upstreamTimeout, "\(state?.route.upstream.authority ?? "The upstream") did not answer in time.",
      route: state?.route.name)
  }

  static func upstreamProtocol(_ error: HTTPError, _ state: RouteState?) -> Problem {
    Problem(
      .upstreamProtocol,
      "\(state?.route.upstream.authority ?? "The upstream") broke a rule of HTTP: \(error.reason)",
      route: state?.route.name)
  }

  static func upstreamTruncated(_ state: RouteState?) -> Problem {
    Problem(
      .upstreamTruncated, "\(state?.route.upstream.authority ?? "The upstream") ended its answer early.",
      route: state?.route.name)
  }

  static func upstreamSilent(_ state: RouteState?) -> Problem {
    Problem(
      .upstreamProtocol,
      "\(state?.route.upstream.authority ?? "The upstream") closed the connection without an answer.",
      route: state?.route.name)
  }
}
