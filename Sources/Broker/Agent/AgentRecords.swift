internal import Bytes
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
    for name in ["client_id", "client_secret"] {
      guard let text = root[name]?.string, (1...4096).contains(text.utf8.count) else {
        throw AgentMalformation("it has no \"\(name)\"")
      }
    }
    guard let status = root["agent_status"]?.string, ["approved", "pending", "denied"].contains(status) else {
      throw AgentMalformation("its \"agent_status\" is none of approved, pending and denied")
    }
    var record = Buffer()
    record.appendObjectStart()
    record.appendMember("service", service)
    record.appendMember("agent_id", identity.agentID)
    record.appendMember("client_secret", root["client_secret"]?.string ?? "")
    record.appendKey("request")
    record.appendObjectStart()
    request.append(to: &record)
    record.appendObjectEnd()
    record.appendKey("answer")
    record.appendJSON(root.without("client_secret").without(anythingWith: root["client_secret"]?.string ?? ""))
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

  /// The value without a member or an element, at any depth, in whose text this stands. Less than eight bytes stand in
  /// anything, and are no secret.
  func without(anythingWith text: String) -> JSONValue {
    guard text.utf8.count >= 8 else { return self }
    func isClean(_ value: JSONValue) -> Bool { value.string?.contains(text) != true }
    switch kind {
    case .object(let members):
      return JSONValue(
        .object(
          members.filter { !$0.key.contains(text) && isClean($0.value) }
            .map { JSONMember($0.key, $0.value.without(anythingWith: text)) }))
    case .array(let elements):
      return JSONValue(.array(elements.filter(isClean).map { $0.without(anythingWith: text) }))
    default: return self
    }
  }
}
