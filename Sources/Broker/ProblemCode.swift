/// What went wrong, as callers and scripts read it; comparable by code, mapped to the wire here and nowhere else.
public enum ProblemCode: String, Sendable, CaseIterable {
  case malformedRequest = "malformed_request"
  case headTooLarge = "head_too_large"
  case uriTooLong = "uri_too_long"
  case bodyTooLarge = "body_too_large"
  case lengthRequired = "length_required"
  case requestTimeout = "request_timeout"
  case expectationFailed = "expectation_failed"
  case notImplemented = "not_implemented"
  case versionNotSupported = "version_not_supported"
  case unknownRoute = "unknown_route"
  case misdirected
  case methodNotSupported = "method_not_supported"
  case callerUnknown = "caller_unknown"
  case callerNotAllowed = "caller_not_allowed"
  case browserRefused = "browser_refused"
  case secretMissing = "secret_missing"
  case notConnected = "not_connected"
  case reauthorizationRequired = "reauthorization_required"
  case stateUnknown = "state_unknown"
  case authorizationFailed = "authorization_failed"
  case tokenUnavailable = "token_unavailable"
  case tokenRefused = "token_refused"
  case storeLocked = "store_locked"
  case overloaded
  case signingFailed = "signing_failed"
  case upstreamUnresolved = "upstream_unresolved"
  case upstreamUnreachable = "upstream_unreachable"
  case upstreamTLS = "upstream_tls"
  case upstreamProtocol = "upstream_protocol"
  case upstreamTruncated = "upstream_truncated"
  case upstreamTimeout = "upstream_timeout"

  public var status: Int {
    switch self {
    case .malformedRequest, .stateUnknown, .signingFailed: 400
    case .callerUnknown: 401
    case .callerNotAllowed, .browserRefused: 403
    case .unknownRoute: 404
    case .methodNotSupported: 405
    case .requestTimeout: 408
    case .lengthRequired: 411
    case .bodyTooLarge: 413
    case .uriTooLong: 414
    case .expectationFailed: 417
    case .misdirected: 421
    case .secretMissing, .notConnected, .reauthorizationRequired, .authorizationFailed, .tokenRefused: 424
    case .headTooLarge: 431
    case .notImplemented: 501
    case .upstreamUnresolved, .upstreamUnreachable, .upstreamTLS, .upstreamProtocol, .upstreamTruncated: 502
    case .tokenUnavailable, .storeLocked, .overloaded: 503
    case .upstreamTimeout: 504
    case .versionNotSupported: 505
    }
  }

  public var title: StaticString {
    switch self {
    case .malformedRequest: "The request is not valid HTTP"
    case .headTooLarge: "The header section is too large"
    case .uriTooLong: "The request target is too long"
    case .bodyTooLarge: "The request body is too large"
    case .lengthRequired: "The request body needs a length"
    case .requestTimeout: "The request took too long to arrive"
    case .expectationFailed: "The expectation cannot be met"
    case .notImplemented: "The request needs what is not implemented here"
    case .versionNotSupported: "The HTTP version is not supported"
    case .unknownRoute: "There is no such route"
    case .misdirected: "The request is not for this server"
    case .methodNotSupported: "The method is not supported"
    case .callerUnknown: "The caller is not known"
    case .callerNotAllowed: "The caller is not allowed to do this"
    case .browserRefused: "Requests of web pages are refused"
    case .secretMissing: "A secret of this route is not stored"
    case .notConnected: "The route has no session yet"
    case .reauthorizationRequired: "The session has ended"
    case .stateUnknown: "The state was never issued, has expired or was used"
    case .authorizationFailed: "The authorization failed"
    case .tokenUnavailable: "A token cannot be fetched now"
    case .tokenRefused: "The token endpoint refused"
    case .storeLocked: "The store is locked"
    case .overloaded: "Too much is going on"
    case .signingFailed: "The request cannot be signed"
    case .upstreamUnresolved: "The upstream's name cannot be resolved"
    case .upstreamUnreachable: "The upstream cannot be reached"
    case .upstreamTLS: "The TLS connection to the upstream failed"
    case .upstreamProtocol: "The upstream's answer is not valid HTTP"
    case .upstreamTruncated: "The upstream's answer ended early"
    case .upstreamTimeout: "The upstream took too long"
    }
  }

  /// The `error` of Proxy-Status (RFC 9209 §2.3).
  var proxyError: StaticString {
    switch self {
    case .callerUnknown, .callerNotAllowed, .browserRefused, .misdirected: "http_request_denied"
    case .unknownRoute: "destination_not_found"
    case .secretMissing, .notConnected, .reauthorizationRequired, .authorizationFailed, .tokenRefused, .stateUnknown:
      "proxy_configuration_error"
    case .tokenUnavailable, .storeLocked, .signingFailed: "proxy_internal_error"
    case .overloaded: "connection_limit_reached"
    case .upstreamUnresolved: "dns_error"
    case .upstreamUnreachable: "destination_unavailable"
    case .upstreamTLS: "tls_certificate_error"
    case .upstreamProtocol: "http_protocol_error"
    case .upstreamTruncated: "http_response_incomplete"
    case .upstreamTimeout: "http_response_timeout"
    default: "http_request_error"
    }
  }

  /// The same request may work later without anyone doing something.
  public var isRetryable: Bool {
    switch self {
    case .tokenUnavailable, .storeLocked, .overloaded, .requestTimeout: true
    case .upstreamUnresolved, .upstreamUnreachable, .upstreamTruncated, .upstreamTimeout: true
    default: false
    }
  }

  /// The next command or step.
  var hint: String {
    switch self {
    case .malformedRequest, .headTooLarge, .uriTooLong, .lengthRequired, .requestTimeout, .expectationFailed,
      .notImplemented, .versionNotSupported:
      "curl -v sends a request that is known to be well-formed and shows it"
    case .bodyTooLarge: "chatelaine reload, after raising the route's \"limits\": {\"body\": …}"
    case .unknownRoute, .misdirected: "chatelaine status lists the listeners and the routes"
    case .methodNotSupported: "chatelaine explain ROUTE METHOD TARGET shows what would be sent"
    case .callerUnknown, .callerNotAllowed: "chatelaine status says which user the daemon runs as"
    case .browserRefused: "call from a program, without the fields that only browsers add"
    case .secretMissing: "chatelaine secret set NAME"
    case .notConnected, .reauthorizationRequired, .stateUnknown, .authorizationFailed: "chatelaine login ROUTE"
    case .tokenUnavailable, .tokenRefused: "chatelaine token list"
    case .storeLocked, .overloaded: "chatelaine status"
    case .signingFailed: "chatelaine explain ROUTE METHOD TARGET"
    case .upstreamUnresolved, .upstreamUnreachable, .upstreamTLS, .upstreamProtocol, .upstreamTruncated,
      .upstreamTimeout:
      "chatelaine check --connect"
    }
  }
}
