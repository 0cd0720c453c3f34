internal import Bytes
internal import HTTP

/// What is asked of an agent's handshake, under `/-/ath/<route>/`.
public struct AgentEndpoint: Sendable, Equatable {
  public enum Action: String, Sendable, CaseIterable {
    /// `GET`: the discovery document.
    case discover
    /// `GET`: the agent's identity document, for everybody.
    case identity = "agent.json"
    case register, authorize, exchange, revoke
  }

  public let route: String
  public let action: Action

  /// Whether a request has content for it. Only then its body is read.
  public var readsBody: Bool { method == .post }

  var method: Method { action == .discover || action == .identity ? .get : .post }

  var allow: Problem.StaticMethods { method == .get ? .reading : .posting }

  static let prefix: StaticString = "/-/ath/"

  /// - Parameter path: where the target's path lies in `bytes`; it begins with `prefix`.
  /// - Returns: nil for a path that means nothing.
  init?(_ bytes: Span<UInt8>, _ path: Range<Int>, _ snapshot: Snapshot) {
    let start = path.lowerBound + AgentEndpoint.prefix.utf8CodeUnitCount
    var end = start
    while end < path.upperBound, bytes[end] != 0x2F { end += 1 }
    guard end < path.upperBound, let route = snapshot.route(named: bytes.extracting(start..<end)), route.agent != nil,
      let action = Action(rawValue: String(bytes.extracting(end + 1..<path.upperBound)))
    else { return nil }
    self.route = route.name
    self.action = action
  }
}
