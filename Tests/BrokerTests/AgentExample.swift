import Bytes
import Connector
import Crypto
import JSON
import Testing

@testable import Broker

/// Agents that the tests share.
enum AgentExample {
  static let agentID = "https://agent.example.com/.well-known/agent.json"
  static let service = upstream("https", "ath.example.com", 443)
  static let key = ES256Key.generate()
  private static let connector = Catalog()["ath"]
  static let now: Int64 = 1_767_225_600
  static let developer = #"{"name":"Example Ltd","id":"d-7"}"#

  static func upstream(_ scheme: String, _ host: String, _ port: UInt16, base: String = "") -> Route.Upstream {
    let isTLS = scheme == "https"
    let name = host.utf8.contains(0x3A) ? "[\(host)]" : host
    return Route.Upstream(
      isTLS: isTLS, host: host, port: port, authority: port == (isTLS ? 443 : 80) ? name : "\(name):\(port)",
      basePath: base)
  }

  static func identity(_ more: [String: String] = [:]) throws -> AgentIdentity {
    return try AgentIdentity(["agent_id": agentID, "provider": "mail"].merging(more) { $1 }, of: #require(connector))
  }

  /// Registered and discovered, unless something else is said to be stored.
  static func agent(
    _ options: [String: String] = [:], at service: Route.Upstream = service, registration: Secret?? = nil,
    discovery: Secret?? = nil, hasKey: Bool = true
  ) throws -> Agent {
    let identity = try identity(options)
    return Agent(
      identity, service: service, name: "mail", key: hasKey ? key.pem() : nil,
      registration: try registration ?? record(of: identity, at: service.url),
      discovery: try discovery ?? document(identity.mode, at: service.url))
  }

  static func wish(_ body: String? = nil, _ agent: Agent? = nil) throws -> AgentWish.Registration {
    let standard = #"""
      {"developer":\#(developer),"providers":[{"provider_id":"mail","scopes":["read","send"]}],"purpose":"tests",
      "redirect_uris":["https://app.example.com/back?a=1","https://app.example.com/"]}
      """#
    return try AgentWish.Registration(Array((body ?? standard).utf8).span, agent ?? bare())
  }

  /// One that knows nothing but itself.
  static func bare(_ options: [String: String] = [:], at service: Route.Upstream = service) throws -> Agent {
    Agent(try identity(options), service: service, name: "mail", key: nil, registration: nil, discovery: nil)
  }

  static let answer = #"""
    {"client_id":"c-1","client_secret":"s3cr3t-\n-of-c","agent_status":"approved",
    "approved_providers":[{"provider_id":"mail","approved_scopes":["read"],"denied_scopes":["send"]}],"approval_expires":null}
    """#

  static func record(
    _ answer: String = answer, of identity: AgentIdentity, at service: String
  ) throws -> Secret {
    try AgentRegistration.record(Array(answer.utf8).span, to: wish(), of: identity, at: service)
  }

  static func document(
    _ mode: AgentIdentity.Mode, at service: String, base: String = "https://ath.example.com/api"
  ) throws -> Secret {
    let text =
      mode == .gateway
      ? #"{"ath_version":"0.1","gateway_id":"g-1","supported_providers":[{"provider_id":"mail"}]}"#
      : #"{"ath_version":"0.1","app_id":"app-1","name":"App","auth":{"type":"oauth2"},"api_base":"\#(base)"}"#
    return try AgentDiscovery.record(Array(text.utf8).span, of: mode, at: service, now: now)
  }

  static func read(
    _ stored: Secret, of identity: AgentIdentity, at service: String
  ) -> AgentRegistration? { AgentRegistration(stored.span, of: identity, at: service) }

  static func read(_ stored: Secret, of mode: AgentIdentity.Mode, at service: String) -> AgentDiscovery? {
    AgentDiscovery(stored.span, of: mode, at: service)
  }

  static func text(_ secret: Secret) -> String { String(secret.span) }

  static func text(_ value: JSONValue?) -> String {
    guard let value else { return "nothing" }
    var text = Buffer()
    text.appendJSON(value)
    return String(text.span)
  }

  static func parsed(_ bytes: [UInt8]) throws -> JSONValue { try JSONReader.parse(bytes.span) }
}

extension Agent.Fresh {
  /// With an identifier of sixteen times this byte.
  static func example(_ byte: UInt8 = 1) -> Agent.Fresh {
    Agent.Fresh(key: AgentExample.key, identifier: Array(repeating: byte, count: 16), now: AgentExample.now)
  }
}

/// A JSON Web Token, taken apart.
struct Attestation {
  let header: String
  let claims: String
  private let signed: [UInt8]
  private let signature: [UInt8]

  init(_ text: String) throws {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    try #require(parts.count == 3)
    let decoded = try parts.map { part in
      var bytes = Buffer()
      let isEncoded = bytes.appendDecodedBase64URL(Array(part.utf8).span)
      try #require(isEncoded)
      return Array(bytes.span)
    }
    header = String(decoding: decoded[0], as: UTF8.self)
    claims = String(decoding: decoded[1], as: UTF8.self)
    signature = decoded[2]
    signed = Array("\(parts[0]).\(parts[1])".utf8)
  }

  func isSigned(by key: ES256PublicKey) -> Bool { key.verify(signature.span, of: signed.span) }
}
