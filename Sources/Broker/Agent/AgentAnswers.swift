internal import Bytes
internal import Connector
public import Crypto
internal import JSON

/// What a server answers to an authorization.
public struct AgentSession: Sendable {
  public let url: String
  public let session: String

  public init(_ body: Span<UInt8>) throws(AgentMalformation) {
    let root = try AgentMalformation.object(body)
    guard let url = root["authorization_url"]?.string, ["https://", "http://"].contains(where: url.hasPrefix),
      url.utf8.count <= 8192, url.utf8.allSatisfy({ 0x21...0x7E ~= $0 })
    else { throw AgentMalformation("its \"authorization_url\" is no address of the web") }
    guard let session = root["ath_session_id"]?.string, (1...1024).contains(session.utf8.count),
      session.utf8.allSatisfy({ 0x20...0x7E ~= $0 })
    else {
      throw AgentMalformation("it has no \"ath_session_id\" of ASCII characters")
    }
    self.url = url
    self.session = session
  }

  /// `{"authorization_url", "ath_session_id"}`.
  public var json: [UInt8] {
    var text = Buffer()
    text.appendObjectStart()
    text.appendMember("authorization_url", url)
    text.appendMember("ath_session_id", session)
    text.appendObjectEnd()
    return Array(text.span)
  }
}

/// What a server answers to a code: a token, and what it is good for.
public struct AgentGrant: Sendable {
  /// The answer, with what was asked for beside it: as the connector's `token` block reads it.
  public let body: Secret
  /// What may be told: anything but tokens.
  private let told: JSONValue

  /// - Parameter asked: scopes, with spaces between.
  /// - Throws: also for a token that is for another agent or another provider.
  public init(_ answer: Span<UInt8>, asked: String, agent: Agent, route: String) throws(AgentMalformation) {
    let root = try AgentMalformation.object(answer)
    if let other = root["agent_id"]?.string, other != agent.identity.agentID {
      throw AgentMalformation("it is for another agent (AGENT_IDENTITY_MISMATCH)")
    }
    if let other = root["provider_id"]?.string, let own = try? agent.provider(route: route), other != own {
      throw AgentMalformation("it is for another provider (PROVIDER_MISMATCH)")
    }
    let scopes = asked.split(separator: " ").map { JSONValue(.string(String($0))) }
    var text = Buffer()
    text.appendJSON(
      JSONValue(.object((root.without("asked").members ?? []) + [JSONMember("asked", JSONValue(.array(scopes)))])))
    body = Secret(copying: text.span)
    // What the protocol has, and nothing else that a server may have put there.
    told = JSONValue(
      .object(
        (root.only("token_type", "expires_in", "effective_scopes", "provider_id", "agent_id").members ?? [])
          + (root["scope_intersection"].map {
            [JSONMember("scope_intersection", $0.only("agent_approved", "user_consented", "effective"))]
          } ?? [])))
  }

  public func answer(subject: String) -> [UInt8] {
    var text = Buffer()
    text.appendJSON(JSONValue(.object([JSONMember("subject", JSONValue(.string(subject)))] + (told.members ?? []))))
    return Array(text.span)
  }
}
