public import HTTP

/// What was decided for a request, before a byte of it goes anywhere. Ranges are of the received head.
public struct Plan: Sendable {
  public let route: Route
  public let mode: Mode
  /// What follows the route's base path upstream: empty or starts with `/`.
  public let path: Range<Int>
  public let query: Range<Int>?
  public let method: Method
  public let methodName: Range<Int>
  /// The body as it will arrive.
  public let framing: BodyFraming
  /// The client waits for a 100 before it sends the body (row 105).
  public let expectsContinue: Bool
  /// The client asks for a WebSocket and the route allows it (row 104).
  public let upgradesToWebSocket: Bool
  public let minorVersion: Int
  /// The client wants no further exchange.
  public let wantsClose: Bool

  /// How the route was addressed; it decides how a `Location` reads for the client.
  public enum Mode: Sendable, Equatable {
    /// `/<route>/…`
    case prefix
    /// The route's own listener, `<route>.localhost` or one of its hosts: the whole path is the upstream's.
    case whole
    /// A target with the upstream's own authority: its path has the base path already.
    case absolute
  }
}

/// The planner's three answers.
public enum Decision: Sendable {
  case forward(Plan)
  /// Ours to answer.
  case answer(Endpoint)
  case refuse(Problem)
}

/// What we answer ourselves under `/-/`.
public enum Endpoint: Sendable, Equatable {
  case livez, readyz, metrics
  /// `OPTIONS *`: 204 with `Allow`.
  case options
  case session(SessionEndpoint)
  case agent(AgentEndpoint)

  /// Where a user's browser comes back to.
  var isBrowsersReturn: Bool {
    if case .session(let session) = self { return session.action == .callback }
    return false
  }
}
