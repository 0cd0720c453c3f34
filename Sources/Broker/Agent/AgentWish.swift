internal import Bytes
internal import Connector
public import Crypto
internal import JSON

/// What callers ask of an agent's handshake, as JSON objects. What is wrong with one is `malformed_request`, by name.
public enum AgentWish {
  /// `{developer?, providers, purpose, redirect_uris?}`.
  public struct Registration: Sendable {
    let developer: JSONValue
    let providers: [JSONValue]
    let purpose: String
    let redirectURIs: [String]

    public init(_ body: Span<UInt8>, _ agent: Agent) throws(Problem) {
      let members = try Members(body, known: ["developer", "providers", "purpose", "redirect_uris"])
      guard let developer = members["developer"] ?? agent.identity.developer, AgentIdentity.isDeveloper(developer)
      else {
        throw Members.wrong(
          "\"developer\" is {\"name\", \"id\", \"contact\"?}, here or among the route's options: who made the agent",
          hint: "add the option \"developer\" to the route, then: chatelaine reload")
      }
      self.developer = developer
      providers = members["providers"]?.array ?? []
      guard !providers.isEmpty, providers.allSatisfy(Registration.isProvider) else {
        throw Members.wrong("\"providers\" is [{\"provider_id\", \"scopes\": […]}, …]: what the agent wants to call")
      }
      guard let purpose = members["purpose"]?.string else {
        throw Members.wrong("\"purpose\" is a text: what the agent is for")
      }
      self.purpose = purpose
      // As the protocol's own client has it.
      redirectURIs = try members.texts("redirect_uris") ?? [agent.url("/ath/callback")]
      guard !redirectURIs.isEmpty, redirectURIs.allSatisfy({ OAuthRecipe.isRedirectURI($0) }) else {
        throw Members.wrong("\"redirect_uris\" are like https://app.example.com/back, without a fragment")
      }
    }

    private static func isProvider(_ value: JSONValue) -> Bool {
      value["provider_id"]?.string?.isEmpty == false && value["scopes"]?.array?.allSatisfy { $0.string != nil } == true
        && value.members?.count == 2
    }

    func append(to text: inout Buffer) {
      text.appendKey("developer")
      text.appendJSON(developer)
      text.appendKey("requested_providers")
      text.appendArrayStart()
      for provider in providers { text.appendJSON(provider) }
      text.appendArrayEnd()
      text.appendMember("purpose", purpose)
      text.appendTexts("redirect_uris", redirectURIs)
    }
  }

  /// `{scopes, redirect_uri?, resource?}`.
  public struct Authorization: Sendable {
    public let scopes: [String]
    public let redirectURI: String?
    public let resource: String?

    public init(_ body: Span<UInt8>) throws(Problem) {
      let members = try Members(body, known: ["scopes", "redirect_uri", "resource"])
      guard let scopes = try members.texts("scopes"), !scopes.isEmpty, scopes.allSatisfy(Authorization.isScope) else {
        throw Members.wrong("\"scopes\" is an array of texts without spaces: what the user is asked for")
      }
      self.scopes = scopes
      redirectURI = try members.text("redirect_uri")
      resource = try members.text("resource")
    }

    private static func isScope(_ text: String) -> Bool {
      !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F }
    }

    /// The one that the authorization names: one of those that were registered, byte for byte.
    public func redirectURI(_ client: AgentRegistration, route: String) throws(Problem) -> String {
      guard let wanted = redirectURI ?? client.redirectURIs.first,
        client.redirectURIs.contains(where: { $0.utf8.elementsEqual(wanted.utf8) })
      else {
        throw Problem(
          .malformedRequest, "\"redirect_uri\" is none of those that the agent was registered with.",
          hint: "chatelaine ath register \(route) --redirect-uri URI", route: route)
      }
      return wanted
    }
  }

  /// `{code, session_id, state?}`.
  public struct Exchange: Sendable {
    public let code: Secret
    public let session: String
    /// As the browser brought it back, where that is known.
    public let state: Secret?

    public init(_ body: Span<UInt8>) throws(Problem) {
      let members = try Members(body, known: ["code", "session_id", "state"])
      // Empty where the server sends its users back without one, as the protocol's reference does.
      guard let code = try members.text("code", atLeast: 0), let session = try members.text("session_id") else {
        throw Members.wrong("\"code\" and \"session_id\" are texts: what the user came back with, and for what")
      }
      self.code = Secret(copying: Array(code.utf8).span)
      self.session = session
      state = try members.text("state").map { Secret(copying: Array($0.utf8).span) }
    }
  }

  /// A body's members.
  private struct Members {
    let root: JSONValue

    init(_ body: Span<UInt8>, known: [String]) throws(Problem) {
      // Small enough that what is stored of a registration always fits.
      let limits = JSONLimits(bytes: 16 << 10, depth: 8)
      guard let root = try? JSONReader.parse(body, limits: limits), let members = root.members else {
        throw Members.wrong("the body is a JSON object of \(Members.list(known)), of at most 16 KiB")
      }
      if let other = members.first(where: { !known.contains($0.key) }) {
        let meant = closest(to: other.key, among: known).map { "; did you mean \"\($0)\"?" } ?? ""
        throw Members.wrong("the body has \(Members.list(known)), and no other member\(meant)")
      }
      self.root = root
    }

    private static func list(_ names: [String]) -> String { names.map { "\"\($0)\"" }.joined(separator: ", ") }

    subscript(name: String) -> JSONValue? { root[name] }

    /// Nil if it is not there.
    func text(_ name: String, atLeast fewest: Int = 1) throws(Problem) -> String? {
      guard let value = root[name] else { return nil }
      guard let text = value.string, (fewest...8192).contains(text.utf8.count) else {
        throw Members.wrong("\"\(name)\" is a text of at most 8 KiB")
      }
      return text
    }

    func texts(_ name: String) throws(Problem) -> [String]? {
      guard let value = root[name] else { return nil }
      guard let array = value.array, array.allSatisfy({ $0.string != nil }) else {
        throw Members.wrong("\"\(name)\" is an array of texts")
      }
      return array.compactMap(\.string)
    }

    static func wrong(_ what: String, hint: String = "correct the body") -> Problem {
      Problem(.malformedRequest, what.prefix(1).uppercased() + what.dropFirst() + ".", hint: hint)
    }
  }
}
