internal import Bytes
internal import Connector
public import Crypto
internal import JSON

/// What a server's answer that is no success says: its code by name, in words without our secrets.
public struct AgentRefusal: Sendable {
  public let status: Int
  /// Of the protocol, such as `SCOPE_NOT_APPROVED`; nil if there is none.
  public let code: String?
  private let message: String?
  /// Of an agent that is registered already.
  public let clientID: String?

  /// - Parameter secrets: what was shown, and words must not repeat.
  public init(status: Int, body: Span<UInt8>, hiding secrets: [Secret]) {
    self.status = status
    let root = try? JSONReader.parse(body, limits: JSONLimits(bytes: TokenRecipe.mostBytes, depth: 16))
    code = root?["code"]?.string.flatMap { AgentRefusal.isCode($0, hiding: secrets) ? $0 : nil }
    message = root?["message"]?.string.map { TokenRecipe.clean($0, hiding: secrets) }
    clientID = (root?["client_id"] ?? root?["details"]?["client_id"])?.string
  }

  /// Names are shown as they are: a secret that looks like one is none.
  private static func isCode(_ text: String, hiding secrets: [Secret]) -> Bool {
    (1...64).contains(text.utf8.count) && TokenRecipe.clean(text, hiding: secrets) == text
      && text.utf8.allSatisfy { $0 &- UInt8(ascii: "A") < 26 || $0 == UInt8(ascii: "_") || $0.isASCIIDigit }
  }

  /// - Parameters:
  ///   - step: `register`, `authorize` and so on: the verb.
  ///   - skew: seconds by which the server's clock is ahead of ours; 0 while they agree.
  public func problem(step: AgentEndpoint.Action, agent: Agent, route: String, retryAfter: Int?, skew: Int64) -> Problem
  {
    // With most of these it is not known whether an exchange was begun, and a session is good for one.
    let isTransient =
      step == .exchange ? [429, 503].contains(status) : [408, 425, 429].contains(status) || status >= 500
    var detail = "\(agent.service.authority) "
    switch (isTransient, status) {
    case (true, _): detail += "cannot \(step.rawValue) now"
    case (_, 300..<400): detail += "answers with a redirect, which is not followed"
    case (_, 500...): detail += "failed to \(step.rawValue)"
    default: detail += "refuses to \(step.rawValue)"
    }
    detail += " (status \(status))"
    if let code { detail += ": \(code)" }
    if let message, !message.isEmpty { detail += "\(code == nil ? ":" : ",") \(message)" }
    if skew != 0 { detail += "; its clock is \(abs(skew)) s \(skew > 0 ? "ahead of" : "behind") ours" }
    var problem = Problem(
      isTransient ? .tokenUnavailable : .authorizationFailed, detail + ".", hint: hint(step, route, agent),
      route: route,
      retryAfter: isTransient ? max(retryAfter ?? 1, 1) : nil)
    problem.upstreamCode = code
    return problem
  }

  private func hint(_ step: AgentEndpoint.Action, _ route: String, _ agent: Agent) -> String {
    switch code {
    case "INVALID_ATTESTATION", "AGENT_IDENTITY_MISMATCH":
      "chatelaine ath identity \(route): the same must be at \(agent.identity.agentID)"
    case "AGENT_NOT_REGISTERED": "chatelaine ath register \(route)"
    case "AGENT_UNAPPROVED": "the operator of \(agent.service.authority) has to approve the agent"
    case "PROVIDER_NOT_APPROVED", "SCOPE_NOT_APPROVED": "chatelaine ath register \(route), with what is needed"
    case "SESSION_NOT_FOUND", "SESSION_EXPIRED", "STATE_MISMATCH", "USER_DENIED", "OAUTH_ERROR":
      "chatelaine ath authorize \(route)"
    default: "chatelaine ath \(step == .exchange ? "authorize" : step.rawValue) \(route)"
    }
  }
}
