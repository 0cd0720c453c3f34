public import HTTP

/// A refusal or a failure that we answer ourselves (RFC 9457). Its texts are constants and names of the configuration (I6).
public struct Problem: Error, Sendable, Equatable {
  public let code: ProblemCode
  public var detail: String
  /// The next command or step.
  public var hint: String
  /// The route's name, where one was found.
  public var route: String?
  /// Seconds, for what is transient.
  public var retryAfter: Int?
  /// The methods to name in `Allow`, with 405.
  public var allow: StaticMethods?
  /// The name that the other side gave to its refusal, such as `SCOPE_NOT_APPROVED`.
  public var upstreamCode: String?
  /// The connection cannot go on behind this answer: where the next request starts is not known (I4).
  public var closes: Bool

  public init(
    _ code: ProblemCode, _ detail: String, hint: String? = nil, route: String? = nil, retryAfter: Int? = nil,
    closes: Bool = false
  ) {
    self.code = code
    self.detail = detail
    self.hint = hint ?? code.hint
    self.route = route
    self.retryAfter = retryAfter ?? (code.status == 503 ? 1 : nil)
    self.closes = closes
  }

  /// The answer to a request that could not be read.
  public init(_ error: HTTPError, route: String? = nil) {
    let code = ProblemCode(rawValue: "\(error.code)") ?? .malformedRequest
    self.init(code, "\(error.reason)", route: route, closes: true)
  }

  public var status: Int { code.status }

  /// The sets of methods that are ever named.
  public enum StaticMethods: Sendable {
    case reading, forwarded, getting, posting, deleting

    public var text: StaticString {
      switch self {
      case .reading: "GET, HEAD"
      case .getting: "GET"
      case .posting: "POST"
      case .deleting: "DELETE"
      case .forwarded: "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
      }
    }
  }
}
