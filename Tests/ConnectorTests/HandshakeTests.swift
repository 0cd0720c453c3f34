import Bytes
import JSON
import Testing

@testable import Connector

private let agentID = "https://agent.example.com/.well-known/agent.json"

private let connector = Catalog()["ath"]

private func identity(_ more: [String: String] = [:]) throws -> AgentIdentity {
  try AgentIdentity(["agent_id": agentID, "provider": "mail"].merging(more) { $1 }, of: #require(connector))
}

private func text(_ value: JSONValue?) -> String? {
  guard let value else { return nil }
  var text = Buffer()
  text.appendJSON(value)
  return String(text.span)
}

/// Who an agent is, out of a route's options.
@Suite struct HandshakeTests {
  @Test func `what a route does not say has its default`() throws {
    let plain = try identity()
    #expect(plain.mode == .gateway && plain.keyID == "default" && plain.provider == "mail")
    #expect(plain.agentID == agentID && plain.developer == nil && plain.capabilities == [])
    let said = try identity(["mode": "native", "key_id": "k-2", "provider": ""])
    #expect(said.mode == .native && said.keyID == "k-2" && said.provider == nil)
  }

  @Test(arguments: [
    (["mode": "Gateway"], OptionError.invalid("mode", reason: "is neither \"gateway\" nor \"native\"")),
    (["agent_id": ""], .missing("agent_id")), (["provider": ""], .missing("provider")),
  ])
  func `what is missing or no mode is told by name`(_ options: [String: String], _ error: OptionError) {
    #expect(throws: error) { try identity(options) }
  }

  @Test(arguments: [
    "agent.example.com", "http://agent.example.com/", "https://", "https:///agent.json", "https://?a", "https://:443/",
    "https://agent.example.com/#key", "https://agent.example.com/a b", "https://agent.example.com/\u{e9}",
    "http://127.0.0.1.example.com/", "http://localhost.example.com/", "http://localhost?a", "http://[::1]x/",
    "HTTPS://agent.example.com/", "https://agent.example.com/\u{7f}",
    "https://agent.example.com/" + String(repeating: "a", count: 2048),
  ])
  func `an agent's id is a URI where servers can read`(_ id: String) {
    let error = #expect(throws: OptionError.self) { try identity(["agent_id": id]) }
    #expect(error?.message.contains("\"agent_id\" is no agent's URI") == true)
  }

  @Test(arguments: [
    "https://a", "https://agent.example.com:8443/agent.json?v=1", "http://127.0.0.1", "http://127.0.0.1:7220/a",
    "http://localhost/a", "http://[::1]:7220/a",
  ])
  func `an agent on this machine needs no TLS`(_ id: String) throws {
    #expect(try identity(["agent_id": id]).agentID == id)
  }

  @Test(arguments: ["a/b", "a%2Fb", "..", ".", "a b", "a?b", "a;b", "\u{e9}"])
  func `a provider is one segment of a path`(_ provider: String) throws {
    let error = #expect(throws: OptionError.self) { try identity(["provider": provider]) }
    #expect(error?.message.contains("\"provider\" is no provider's id") == true)
    // Where it is not in a path it may be anything: nothing reads it.
    #expect(try identity(["provider": provider, "mode": "native"]).provider == provider)
  }

  @Test(arguments: [
    ("Example Ltd", #"{"name":"Example Ltd","id":"Example Ltd"}"#),
    (#"{ "id": "d-7", "name": "Example Ltd" }"#, #"{"id":"d-7","name":"Example Ltd"}"#),
    (#"{"name":"E","id":"d","contact":"a@example.com"}"#, #"{"name":"E","id":"d","contact":"a@example.com"}"#),
    (#"{"name":"E","id":"d","contact":null}"#, #"{"name":"E","id":"d","contact":null}"#),
  ])
  func `a developer is an object, or a name that is the id as well`(_ given: String, _ expected: String) throws {
    #expect(text(try identity(["developer": given]).developer) == expected)
  }

  @Test(arguments: [
    #"{"name":"E"}"#, #"{"id":"d"}"#, #"{"name":"","id":"d"}"#, #"{"name":"E","id":""}"#, #"{"name":"E","id":7}"#,
    #"{"name":"E","id":null}"#, #"{"name":"E","id":"d","contact":7}"#, #"{"name":"E","id":"d","mail":"x"}"#,
    #"{"name":"E","id":"d""#, "{}",
  ])
  func `a developer of another shape is refused`(_ given: String) {
    let error = #expect(throws: OptionError.self) { try identity(["developer": given]) }
    #expect(error?.message.contains("\"developer\" is an object of") == true)
  }

  @Test(arguments: [
    ("read send", ["read", "send"]), (" read  ", ["read"]), (#"["a b", "c"]"#, ["a b", "c"]), ("[]", []),
  ])
  func `capabilities are an array, or words`(_ given: String, _ expected: [String]) throws {
    #expect(try identity(["capabilities": given]).capabilities == expected)
  }

  @Test(arguments: [#"["a", 7]"#, "[", #"[["a"]]"#, "[null]"])
  func `capabilities of another shape are refused`(_ given: String) {
    #expect(throws: OptionError.invalid("capabilities", reason: "is an array of strings")) {
      try identity(["capabilities": given])
    }
  }

  @Test func `a session is bound to who the agent is and where it goes`() throws {
    let token = try #require(connector?.token)
    #expect(token.identity == [] && token.identityOptions == ["mode", "agent_id", "provider"])
  }
}
