import Bytes
public import JSON

/// A protocol that no file can say, and code speaks: the value of a connector's `handshake`.
public enum Handshake: String, Sendable, CaseIterable {
  /// The Agent Trust Handshake, version 0.1.
  case ath

  /// What is stored for a route beside its own secrets: what the other side has said. No route may use it as a secret.
  public static func registrationName(_ route: String) -> String { "\(route)/registration" }
  public static func discoveryName(_ route: String) -> String { "\(route)/discovery" }

  public static func storedNames(_ route: String) -> [String] { [registrationName(route), discoveryName(route)] }
}

extension ConnectorReader {
  mutating func readHandshake(_ value: JSONValue, in root: JSONValue) {
    guard let name = text(value) else { return }
    guard let handshake = Handshake(rawValue: name) else {
      error(
        "there is no handshake \"\(name)\"", at: value,
        help: "known: " + Handshake.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", "))
      return
    }
    parts.handshake = handshake
    isLogin = true
    if root["oauth"] != nil { error("\"handshake\" beside \"oauth\": a session begins in one way", at: value) }
    if root["token"] == nil {
      error(
        "\"handshake\" needs a \"token\" block", at: value,
        help: "\"token\": {} reads an answer as RFC 6749 section 5.1 has it")
    }
    for (kind, names, declared) in [
      ("secret", [AgentIdentity.keyName], parts.secrets), ("option", AgentIdentity.optionNames, parts.options),
    ] {
      for name in names where !declared.contains(where: { $0.name == name }) {
        error("the handshake \"ath\" needs the \(kind) \"\(name)\"", at: value)
      }
    }
    loginIdentity = ([], AgentIdentity.bindingOptions)
    checker.scope.usedSecrets.insert(AgentIdentity.keyName)
    checker.scope.usedOptions.formUnion(AgentIdentity.optionNames)
  }
}

/// Who an agent is, and where it goes: what the options of a route with the Agent Trust Handshake come to.
public struct AgentIdentity: Sendable {
  public enum Mode: String, Sendable {
    /// Calls go to providers, through a gateway.
    case gateway
    /// Calls go to the service itself, at the address that it publishes.
    case native
  }

  public let mode: Mode
  /// A URI, where servers read the identity document.
  public let agentID: String
  public let keyID: String
  /// Of the gateway's providers; nil in native mode, where the service is its own.
  public let provider: String?
  /// `{name, id, contact?}`; nil if the route does not say.
  public let developer: JSONValue?
  public let capabilities: [String]

  public static let keyName = "private_key"
  static let optionNames = ["mode", "agent_id", "key_id", "provider", "developer", "capabilities"]
  /// With another one of these a token is worthless.
  static let bindingOptions = ["mode", "agent_id", "provider"]

  /// - Throws: `OptionError.invalid`, `.missing`.
  public init(_ given: [String: String], of connector: Connector) throws(OptionError) {
    func value(_ name: String) -> String? {
      let text = given[name] ?? connector.options.first { $0.name == name }?.defaultValue
      return text.flatMap { $0.isEmpty ? nil : $0 }
    }
    guard let mode = Mode(rawValue: value("mode") ?? "gateway") else {
      throw .invalid("mode", reason: "is neither \"gateway\" nor \"native\"")
    }
    self.mode = mode
    guard let agentID = value("agent_id") else { throw .missing("agent_id") }
    guard AgentIdentity.isAgentID(agentID) else {
      throw .invalid(
        "agent_id", reason: "is no agent's URI: one is like https://agent.example.com/.well-known/agent.json")
    }
    self.agentID = agentID
    keyID = value("key_id") ?? "default"
    provider = value("provider")
    switch (mode, provider) {
    case (.gateway, nil): throw .missing("provider")
    case (.gateway, let provider?) where !AgentIdentity.isSegment(provider):
      throw .invalid("provider", reason: "is no provider's id: letters, digits, -, . , _ and ~ only")
    default: break
    }
    developer = try value("developer").map(AgentIdentity.developer)
    capabilities = try value("capabilities").map(AgentIdentity.capabilities) ?? []
  }

  private static func isAgentID(_ text: String) -> Bool {
    let isHere = ["http://127.0.0.1", "http://localhost", "http://[::1]"].contains {
      text.hasPrefix($0) && [":", "/", nil].contains(text.dropFirst($0.count).first)
    }
    let isElsewhere = text.hasPrefix("https://") && ![nil, "/", "?", ":"].contains(text.dropFirst(8).first)
    return (isElsewhere || isHere) && text.utf8.count <= 2048
      && text.utf8.allSatisfy { 0x21...0x7E ~= $0 && $0 != UInt8(ascii: "#") }
  }

  /// One segment of a path, as it is.
  private static func isSegment(_ text: String) -> Bool {
    text.utf8.allSatisfy { ByteSet.unreserved.contains($0) } && text != "." && text != ".."
  }

  /// `{"name", "id", "contact"?}`; a plain text is the name, and the id as well.
  private static func developer(_ text: String) throws(OptionError) -> JSONValue {
    guard text.hasPrefix("{") else {
      let name = JSONValue(.string(text))
      return JSONValue(.object([JSONMember("name", name), JSONMember("id", name)]))
    }
    guard let value = try? JSONReader.parse(Array(text.utf8).span), isDeveloper(value) else {
      throw .invalid(
        "developer", reason: "is an object of \"name\", \"id\" and perhaps \"contact\", all of them strings")
    }
    return value
  }

  /// Whether a value says who made an agent.
  public static func isDeveloper(_ value: JSONValue) -> Bool {
    guard let members = value.members, value["name"]?.string?.isEmpty == false, value["id"]?.string?.isEmpty == false
    else { return false }
    return members.allSatisfy { member in
      if case .null = member.value.kind { return member.key == "contact" }
      return ["name", "id", "contact"].contains(member.key) && member.value.string != nil
    }
  }

  /// An array of strings, or words.
  private static func capabilities(_ text: String) throws(OptionError) -> [String] {
    guard text.hasPrefix("[") else { return text.split(separator: " ").map(String.init) }
    let array = (try? JSONReader.parse(Array(text.utf8).span))?.array
    guard let array, array.allSatisfy({ $0.string != nil }) else {
      throw .invalid("capabilities", reason: "is an array of strings")
    }
    return array.compactMap(\.string)
  }
}
