public import Bytes
public import Connector
public import Crypto
internal import JSON

/// What an agent says: who it is, and the requests of the handshake.
extension AgentIdentity {
  /// Seconds that an attestation is good for. Servers accept an `iat` that is five minutes off, so whoever is as far ahead
  /// of us still takes it.
  static let attestationLifetime: Int64 = 300

  /// Appends a fresh proof that we have the agent's key, for one request to one server.
  /// - Parameters:
  ///   - audience: the URL that the server knows itself by, or its token endpoint's.
  ///   - identifier: 16 random bytes.
  ///   - now: seconds since 1970, UTC.
  public func appendAttestation(
    to buffer: inout Buffer, audience: String, identifier: [UInt8], now: Int64, key: ES256Key
  ) throws(ES256Error) {
    var name = Buffer()
    name.appendBase64URL(identifier.span)
    var claims = Buffer()
    claims.appendObjectStart()
    claims.appendMember("iss", agentID)
    claims.appendMember("sub", agentID)
    claims.appendMember("aud", audience)
    claims.appendMember("iat", now)
    claims.appendMember("exp", now + AgentIdentity.attestationLifetime)
    claims.appendMember("jti", name.span)
    claims.appendTexts("capabilities", capabilities)
    claims.appendObjectEnd()
    try JWS.sign(header: [("typ", "JWT"), ("kid", keyID)], claims: claims.span, with: key, into: &buffer)
  }

  /// The document that servers read at the agent's id.
  /// - Parameters:
  ///   - name: of the agent.
  ///   - registration: says who made it, where the configuration does not.
  public func document(name: String, key: ES256PublicKey, registration: AgentRegistration?) -> [UInt8] {
    var text = Buffer()
    text.appendObjectStart()
    text.appendMember("ath_version", "0.1")
    text.appendMember("agent_id", agentID)
    text.appendMember("name", name)
    text.appendKey("developer")
    if let developer = developer ?? registration?.request["developer"] {
      text.appendJSON(developer)
    } else {
      // Required, and nobody has said it: then it is whoever has the agent's address.
      text.appendObjectStart()
      text.appendMember("name", agentHost)
      text.appendMember("id", agentHost)
      text.appendObjectEnd()
    }
    text.appendTexts("capabilities", capabilities)
    text.appendKey("public_key")
    text.appendObjectStart()
    for (name, value) in key.jwk { text.appendMember(name, value) }
    for (name, value) in [("kid", keyID), ("alg", "ES256"), ("use", "sig")] { text.appendMember(name, value) }
    text.appendObjectEnd()
    text.appendObjectEnd()
    return Array(text.span)
  }

  private var agentHost: String {
    let rest = agentID.drop { $0 != "/" }.drop { $0 == "/" }
    return String(rest.prefix { $0 != "/" })
  }
}

/// The bodies of the handshake's requests.
extension Agent {
  /// What of a request's body the server's words must not repeat. Of an attestation each part is hidden by itself.
  public static func secrets(in body: Span<UInt8>) -> [Secret] {
    guard let root = try? JSONReader.parse(body) else { return [] }
    let attestation = root["agent_attestation"]?.string ?? ""
    let texts =
      ["client_secret", "code", "state", "token"].compactMap { root[$0]?.string }
      + attestation.split(separator: ".").map(String.init)
    return texts.map { Secret(copying: Array($0.utf8).span) }
  }

  /// What one request needs beside what the agent knows.
  public struct Fresh: Sendable {
    public var key: ES256Key
    /// 16 random bytes.
    public var identifier: [UInt8]
    /// Seconds since 1970, UTC.
    public var now: Int64

    public init(key: ES256Key, identifier: [UInt8], now: Int64) {
      self.key = key
      self.identifier = identifier
      self.now = now
    }
  }

  public func registration(_ wish: AgentWish.Registration, _ fresh: Fresh) throws(ES256Error) -> Secret {
    try body { text throws(ES256Error) in
      text.appendMember("agent_id", identity.agentID)
      try appendAttestation(audience, fresh, to: &text)
      wish.append(to: &text)
    }
  }

  /// - Parameter state: of at least 128 random bits; the user's browser brings it back.
  public func authorization(
    _ wish: AgentWish.Authorization, client: AgentRegistration, provider: String, redirectURI: String, state: Secret,
    _ fresh: Fresh
  ) throws(ES256Error) -> Secret {
    try body { text throws(ES256Error) in
      text.appendMember("client_id", client.clientID)
      try appendAttestation(audience, fresh, to: &text)
      text.appendMember("provider_id", provider)
      text.appendTexts("scopes", wish.scopes)
      text.appendMember("user_redirect_uri", redirectURI)
      text.appendMember("state", state.span)
      if let resource = wish.resource { text.appendMember("resource", resource) }
    }
  }

  public func exchange(
    code: Secret, session: String, client: AgentRegistration, _ fresh: Fresh
  ) throws(ES256Error) -> Secret {
    try body { text throws(ES256Error) in
      text.appendMember("grant_type", "authorization_code")
      text.appendMember("client_id", client.clientID)
      text.appendMember("client_secret", client.clientSecret.span)
      try appendAttestation(url(Agent.tokenPath), fresh, to: &text)
      text.appendMember("code", code.span)
      text.appendMember("ath_session_id", session)
    }
  }

  public func revocation(of token: Secret, client: AgentRegistration) -> Secret {
    body { text in
      text.appendMember("client_id", client.clientID)
      text.appendMember("client_secret", client.clientSecret.span)
      text.appendMember("token", token.span)
    }
  }

  private func body<Failure: Error>(_ members: (inout Buffer) throws(Failure) -> Void) throws(Failure) -> Secret {
    var text = Buffer()
    text.appendObjectStart()
    try members(&text)
    text.appendObjectEnd()
    return Secret(copying: text.span)
  }

  private func appendAttestation(_ audience: String, _ fresh: Fresh, to text: inout Buffer) throws(ES256Error) {
    var attestation = Buffer()
    try identity.appendAttestation(
      to: &attestation, audience: audience, identifier: fresh.identifier, now: fresh.now, key: fresh.key)
    text.appendMember("agent_attestation", attestation.span)
  }
}

extension Buffer {
  mutating func appendTexts(_ name: String, _ texts: [String]) {
    appendKey(name)
    appendArrayStart()
    for text in texts { appendJSON(text) }
    appendArrayEnd()
  }
}
