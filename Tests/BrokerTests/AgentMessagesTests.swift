import Bytes
import Connector
import Crypto
import JSON
import Testing

@testable import Broker

/// What an agent says.
@Suite struct AgentMessagesTests {
  /// A body with `@` for its attestation, which is checked beside.
  private func shown(_ body: Secret, _ audience: String) throws -> String {
    let text = AgentExample.text(body)
    let root = try AgentExample.parsed(Array(text.utf8))
    let token = try #require(root["agent_attestation"]?.string)
    let attestation = try Attestation(token)
    #expect(attestation.isSigned(by: AgentExample.key.publicKey))
    #expect(try AgentExample.parsed(Array(attestation.claims.utf8))["aud"]?.string == audience)
    let parts = text.split(separator: token, omittingEmptySubsequences: false)
    try #require(parts.count == 2)
    return "\(parts[0])@\(parts[1])"
  }

  @Test func `an attestation says who, to whom, when, and nothing else`() throws {
    let identity = try AgentExample.identity(["key_id": "k-\"2\"", "capabilities": #"["a b","c"]"#])
    var text = Buffer()
    try identity.appendAttestation(
      to: &text, audience: "https://ath.example.com", identifier: Array(0..<16), now: 1_767_225_600,
      key: AgentExample.key)
    let attestation = try Attestation(String(text.span))
    #expect(attestation.header == #"{"alg":"ES256","typ":"JWT","kid":"k-\"2\""}"#)
    #expect(
      attestation.claims == """
        {"iss":"https://agent.example.com/.well-known/agent.json","sub":"https://agent.example.com/.well-known/agent.json",\
        "aud":"https://ath.example.com","iat":1767225600,"exp":1767225900,"jti":"AAECAwQFBgcICQoLDA0ODw",\
        "capabilities":["a b","c"]}
        """)
    #expect(attestation.isSigned(by: AgentExample.key.publicKey))
    #expect(!attestation.isSigned(by: ES256Key.generate().publicKey))
  }

  @Test func `two attestations are two, down to the signature`() throws {
    let identity = try AgentExample.identity()
    func made(_ identifier: UInt8) throws -> String {
      var text = Buffer()
      try identity.appendAttestation(
        to: &text, audience: "a", identifier: Array(repeating: identifier, count: 16), now: 1, key: AgentExample.key)
      return String(text.span)
    }
    let (one, other, third) = (try made(1), try made(1), try made(2))
    #expect(one != other)
    #expect(try Attestation(one).claims == Attestation(other).claims)
    #expect(try Attestation(one).claims != Attestation(third).claims)
  }

  @Test func `the identity document has the key that attestations are signed with`() throws {
    let agent = try AgentExample.agent(["developer": "Example & Sons", "capabilities": "read", "key_id": "k-2"])
    let document = try #require(agent.document)
    let jwk = AgentExample.key.publicKey.jwk.map { "\"\($0.name)\":\"\($0.value)\"" }.joined(separator: ",")
    #expect(
      String(decoding: document, as: UTF8.self) == """
        {"ath_version":"0.1","agent_id":"https://agent.example.com/.well-known/agent.json","name":"mail",\
        "developer":{"name":"Example & Sons","id":"Example & Sons"},"capabilities":["read"],\
        "public_key":{\(jwk),"kid":"k-2","alg":"ES256","use":"sig"}}
        """)
    let read = try AgentExample.parsed(document)["public_key"]
    #expect(read?["kty"]?.string == "EC" && read?["crv"]?.string == "P-256" && read?["d"] == nil)
    #expect(try AgentExample.agent(hasKey: false).document == nil)
  }

  @Test func `who made the agent is what the route says, or the registration, or its address`() throws {
    func developer(_ agent: Agent) throws -> String {
      AgentExample.text(try AgentExample.parsed(try #require(agent.document))["developer"])
    }
    #expect(try developer(AgentExample.agent(["developer": "E"])) == #"{"name":"E","id":"E"}"#)
    #expect(try developer(AgentExample.agent()) == AgentExample.developer)
    for (id, host) in [
      (AgentExample.agentID, "agent.example.com"), ("https://a.example.com", "a.example.com"),
      ("http://127.0.0.1:81/a/b", "127.0.0.1:81"),
    ] {
      let agent = try AgentExample.agent(["agent_id": id], registration: .some(nil))
      #expect(try developer(agent) == #"{"name":"\#(host)","id":"\#(host)"}"#)
    }
  }

  @Test func `a registration`() throws {
    let agent = try AgentExample.agent()
    let body = try agent.registration(AgentExample.wish(), .example())
    #expect(
      try shown(body, "https://ath.example.com") == """
        {"agent_id":"https://agent.example.com/.well-known/agent.json","agent_attestation":"@",\
        "developer":{"name":"Example Ltd","id":"d-7"},\
        "requested_providers":[{"provider_id":"mail","scopes":["read","send"]}],"purpose":"tests",\
        "redirect_uris":["https://app.example.com/back?a=1","https://app.example.com/"]}
        """)
  }

  @Test func `an authorization, with a resource and without`() throws {
    let agent = try AgentExample.agent(at: AgentExample.upstream("https", "ath.example.com", 8443, base: "/x"))
    let client = try agent.registered(route: "mail")
    for (more, rest) in [
      ("", ""), (#","resource":"https://r.example.com/\""}"#, #","resource":"https://r.example.com/\"""#),
    ] {
      let asked = #"{"scopes":["read","a\"b"]"# + (more.isEmpty ? "}" : more)
      let wish = try AgentWish.Authorization(Array(asked.utf8).span)
      let body = try agent.authorization(
        wish, client: client, provider: "mail", redirectURI: "https://app.example.com/",
        state: Example.secret("st-\"1\""), .example())
      #expect(
        try shown(body, "https://ath.example.com:8443/x") == #"""
          {"client_id":"c-1","agent_attestation":"@","provider_id":"mail","scopes":["read","a\"b"],\#
          "user_redirect_uri":"https://app.example.com/","state":"st-\"1\""\#(rest)}
          """#)
    }
  }

  @Test func `an exchange, which is attested to the token endpoint`() throws {
    let agent = try AgentExample.agent()
    let body = try agent.exchange(
      code: Example.secret("co\"de"), session: "s\"1", client: agent.registered(route: "mail"), .example())
    #expect(
      try shown(body, "https://ath.example.com/ath/token") == #"""
        {"grant_type":"authorization_code","client_id":"c-1","client_secret":"s3cr3t-\n-of-c","agent_attestation":"@",\#
        "code":"co\"de","ath_session_id":"s\"1"}
        """#)
  }

  @Test func `a revocation`() throws {
    let agent = try AgentExample.agent()
    let body = try agent.revocation(of: Example.secret("at-1"), client: agent.registered(route: "mail"))
    #expect(
      AgentExample.text(body) == #"{"client_id":"c-1","client_secret":"s3cr3t-\n-of-c","token":"at-1"}"#)
  }
}
