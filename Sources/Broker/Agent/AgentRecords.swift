public import Bytes
public import Connector
public import Crypto
public import JSON

/// An agent's registration as it is stored: what was asked for, what was answered, and the secret that came with it.
public struct AgentRegistration: Sendable {
  public let clientID: String
  public let clientSecret: Secret
  /// Of them one is named in each authorization, exactly.
  public let redirectURIs: [String]
  /// What was asked for: `developer`, `requested_providers`, `purpose`, `redirect_uris`.
  public let request: JSONValue
  /// What was answered, without the secret.
  public let answer: JSONValue

  /// Nil for one of another agent or service, and for other bytes.
  init?(_ stored: Span<UInt8>, of identity: AgentIdentity, at service: String) {
    guard let root = try? JSONReader.parse(stored), root["service"]?.string == service,
      root["agent_id"]?.string == identity.agentID, let request = root["request"], let answer = root["answer"],
      let clientID = answer["client_id"]?.string, let secret = root["client_secret"]?.string
    else { return nil }
    self.clientID = clientID
    clientSecret = Secret(copying: Array(secret.utf8).span)
    redirectURIs = request["redirect_uris"]?.array?.compactMap(\.string) ?? []
    self.request = request
    self.answer = answer
  }

  /// What is stored of an answer.
  /// - Parameter request: as `AgentWish.Registration` reads it.
  /// - Throws: a sentence's end about an answer that is no registration.
  public static func record(
    _ answer: Span<UInt8>, to request: AgentWish.Registration, of identity: AgentIdentity, at service: String
  ) throws(AgentMalformation) -> Secret {
    let root = try AgentMalformation.object(answer)
    guard let status = root["agent_status"]?.string, ["approved", "pending", "denied"].contains(status) else {
      throw AgentMalformation("its \"agent_status\" is none of approved, pending and denied")
    }
    for name in ["client_id", "client_secret"] {
      guard let text = root[name]?.string, (1...4096).contains(text.utf8.count) else {
        throw AgentMalformation("it has no \"\(name)\", and says that the agent is \(status)")
      }
    }
    let told = told(root)
    // Whatever is said beside it, the secret must not be lost: the server has it just once.
    let fits = text(told).count <= mostTold
    return record(
      fits ? told : told.without("approved_providers"), secret: root["client_secret"]?.string ?? "", of: identity,
      at: service
    ) { request.append(to: &$0) }
  }

  /// What is stored when the server has been asked how the registration stands.
  public func updated(by answer: Span<UInt8>, of identity: AgentIdentity, at service: String) -> Secret? {
    guard let root = try? AgentMalformation.object(answer), root["client_id"]?.string ?? clientID == clientID,
      let status = root["agent_status"]?.string, ["approved", "pending", "denied"].contains(status)
    else { return nil }
    let new = AgentRegistration.told(root).without("client_id").members ?? []
    let kept = (self.answer.members ?? []).filter { old in !new.contains { $0.key == old.key } }
    let told = JSONValue(.object(kept + new))
    guard AgentRegistration.text(told).count <= AgentRegistration.mostTold else { return nil }
    return AgentRegistration.record(told, secret: String(clientSecret.span), of: identity, at: service) { text in
      for member in request.members ?? [] {
        text.appendKey(member.key)
        text.appendJSON(member.value)
      }
    }
  }

  /// The client's id as one segment of a path.
  public var pathSegment: String {
    var text = Buffer()
    text.appendPercentEncoded(Array(clientID.utf8).span)
    return String(text.span)
  }

  /// Appends a header field with the client's own credentials (RFC 7617).
  public func appendAuthorization(to buffer: inout Buffer) {
    var pair = Buffer()
    pair.append(clientID)
    pair.append(":")
    pair.append(clientSecret.span)
    buffer.append("Authorization: Basic ")
    buffer.appendBase64(pair.span)
    buffer.append("\r\n")
  }

  /// Whether this is what was asked for then.
  public func isFor(_ request: AgentWish.Registration) -> Bool {
    var text = Buffer()
    text.appendObjectStart()
    request.append(to: &text)
    text.appendObjectEnd()
    return Array(text.span) == AgentRegistration.text(self.request)
  }

  /// Bytes of an answer that are kept beside the secret and the request, which are bounded before.
  private static let mostTold = 32 << 10

  /// What may be told of an answer: what the protocol has, and nothing else that a server may have put there.
  private static func told(_ root: JSONValue) -> JSONValue {
    root.only("client_id", "agent_status", "approved_providers", "approval_expires").mapped("approved_providers") {
      $0.only("provider_id", "approved_scopes", "denied_scopes", "denial_reason")
    }
  }

  private static func text(_ value: JSONValue) -> [UInt8] {
    var text = Buffer()
    text.appendJSON(value)
    return Array(text.span)
  }

  private static func record(
    _ told: JSONValue, secret: String, of identity: AgentIdentity, at service: String, request: (inout Buffer) -> Void
  ) -> Secret {
    var record = Buffer()
    record.appendObjectStart()
    record.appendMember("service", service)
    record.appendMember("agent_id", identity.agentID)
    record.appendMember("client_secret", secret)
    record.appendKey("request")
    record.appendObjectStart()
    request(&record)
    record.appendObjectEnd()
    record.appendKey("answer")
    record.appendJSON(told)
    record.appendObjectEnd()
    return Secret(copying: record.span)
  }
}

/// A discovery document as it is stored.
public struct AgentDiscovery: Sendable {
  public let document: JSONValue
  /// When it was read; seconds since 1970, UTC.
  public let fetchedAt: Int64

  /// Nil for one of another service, and for other bytes.
  init?(_ stored: Span<UInt8>, of mode: AgentIdentity.Mode, at service: String) {
    guard let root = try? JSONReader.parse(stored), root["service"]?.string == service,
      root["mode"]?.string == mode.rawValue, let document = root["document"], let fetchedAt = root["fetched"]?.int
    else { return nil }
    self.document = document
    self.fetchedAt = Int64(fetchedAt)
  }

  public static func path(_ mode: AgentIdentity.Mode) -> String {
    mode == .gateway ? "/.well-known/ath.json" : "/.well-known/ath-app.json"
  }

  /// What is stored of a document.
  /// - Throws: a sentence's end about a document that is none.
  public static func record(
    _ document: Span<UInt8>, of mode: AgentIdentity.Mode, at service: String, now: Int64
  ) throws(AgentMalformation) -> Secret {
    let root = try AgentMalformation.object(document)
    let texts = mode == .gateway ? ["ath_version", "gateway_id"] : ["ath_version", "app_id", "name", "api_base"]
    for name in texts where root[name]?.string?.isEmpty != false { throw AgentMalformation("it has no \"\(name)\"") }
    switch mode {
    case .gateway:
      guard root["supported_providers"]?.array?.allSatisfy({ $0["provider_id"]?.string != nil }) ?? true else {
        throw AgentMalformation("a provider in it has no \"provider_id\"")
      }
    case .native:
      guard root["auth"]?.members != nil else { throw AgentMalformation("it has no \"auth\"") }
    }
    var record = Buffer()
    record.appendObjectStart()
    record.appendMember("service", service)
    record.appendMember("mode", mode.rawValue)
    record.appendMember("fetched", now)
    record.appendKey("document")
    record.appendJSON(root)
    record.appendObjectEnd()
    guard record.count <= 64 << 10 else { throw AgentMalformation("it is larger than what is kept of one") }
    return Secret(copying: record.span)
  }
}

/// Why an answer is not what it should be, as a sentence's end, in our words.
public struct AgentMalformation: Error {
  public let reason: String

  init(_ reason: String) {
    self.reason = reason
  }

  /// An answer's body, bounded as every answer is (SECURITY.md T4.5).
  static func object(_ body: Span<UInt8>) throws(AgentMalformation) -> JSONValue {
    guard let root = try? JSONReader.parse(body, limits: JSONLimits(bytes: TokenRecipe.mostBytes, depth: 16)),
      root.members != nil
    else { throw AgentMalformation("it is no JSON object of at most 64 KiB") }
    return root
  }
}

extension JSONValue {
  /// The object without a member.
  public func without(_ name: String) -> JSONValue {
    guard let members else { return self }
    return JSONValue(.object(members.filter { $0.key != name }))
  }

  /// The object with these members alone, as far as they are there.
  func only(_ names: String...) -> JSONValue {
    JSONValue(.object((members ?? []).filter { names.contains($0.key) }))
  }

  /// The object with each element of one member, an array, changed.
  func mapped(_ name: String, _ change: (JSONValue) -> JSONValue) -> JSONValue {
    JSONValue(
      .object(
        (members ?? []).map { member in
          guard member.key == name else { return member }
          return JSONMember(name, JSONValue(.array((member.value.array ?? []).map(change))))
        }))
  }
}
