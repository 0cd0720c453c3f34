import Bytes
import Connector
import Crypto
import JSON
import Testing

@testable import Broker

/// What is stored of what servers say.
@Suite struct AgentRecordsTests {
  private let service = AgentExample.service.url

  @Test func `a registration is read as it was stored`() throws {
    let identity = try AgentExample.identity()
    let stored = try AgentExample.record(of: identity, at: service)
    let read = try #require(AgentExample.read(stored, of: identity, at: service))
    #expect(read.clientID == "c-1" && read.clientSecret == Example.secret("s3cr3t-\n-of-c"))
    #expect(read.redirectURIs == ["https://app.example.com/back?a=1", "https://app.example.com/"])
    #expect(AgentExample.text(read.request["developer"]) == AgentExample.developer)
    #expect(
      AgentExample.text(read.request["requested_providers"]) == #"[{"provider_id":"mail","scopes":["read","send"]}]"#)
    #expect(
      AgentExample.text(read.answer) == """
        {"client_id":"c-1","agent_status":"approved","approved_providers":[{"provider_id":"mail",\
        "approved_scopes":["read"],"denied_scopes":["send"]}],"approval_expires":null}
        """, "what is told of it is without the secret")
  }

  @Test func `another agent's, another service's and what is none are no registration`() throws {
    let identity = try AgentExample.identity()
    let stored = try AgentExample.record(of: identity, at: service)
    let other = try AgentExample.identity(["agent_id": "https://other.example.com/agent.json"])
    #expect(AgentExample.read(stored, of: other, at: service) == nil)
    #expect(AgentExample.read(stored, of: identity, at: "https://other.example.com") == nil)
    for other in ["", "{}", "[]", "no JSON", AgentExample.text(stored) + "x"] {
      #expect(AgentExample.read(Example.secret(other), of: identity, at: service) == nil, "\(other)")
    }
    let whole = try AgentExample.parsed(Array(AgentExample.text(stored).utf8))
    for member in ["service", "agent_id", "client_secret", "request", "answer"] {
      let less = AgentExample.text(whole.without(member))
      #expect(AgentExample.read(Example.secret(less), of: identity, at: service) == nil, "without \(member)")
    }
  }

  @Test(arguments: [
    ("it is no JSON object of at most 64 KiB", "[]"), ("it is no JSON object of at most 64 KiB", "<html>"),
    ("it is no JSON object of at most 64 KiB", "{\"a\":\"\(String(repeating: "a", count: 65536))\"}"),
    (
      "it is no JSON object of at most 64 KiB",
      "{\"a\":" + String(repeating: "[", count: 17) + String(repeating: "]", count: 17) + "}"
    ),
    ("\"client_id\"", #"{"client_secret":"s","agent_status":"approved"}"#),
    ("\"client_id\"", #"{"client_id":"","client_secret":"s","agent_status":"approved"}"#),
    ("\"client_id\"", #"{"client_id":7,"client_secret":"s","agent_status":"approved"}"#),
    ("\"client_secret\"", #"{"client_id":"c","agent_status":"approved"}"#),
    (
      "\"client_secret\"",
      "{\"client_id\":\"c\",\"client_secret\":\"\(String(repeating: "a", count: 4097))\",\"agent_status\":\"approved\"}"
    ),
    ("\"agent_status\"", #"{"client_id":"c","client_secret":"s"}"#),
    ("\"agent_status\"", #"{"client_id":"c","client_secret":"s","agent_status":"Approved"}"#),
  ])
  func `an answer that is no registration is not stored`(_ reason: String, _ answer: String) throws {
    let identity = try AgentExample.identity()
    let error = #expect(throws: AgentMalformation.self) {
      try AgentExample.record(answer, of: identity, at: service)
    }
    #expect(error?.reason.contains(reason) == true, "\(error?.reason ?? "")")
  }

  @Test func `an agent that is pending or denied is registered as well`() throws {
    let identity = try AgentExample.identity()
    for status in ["approved", "pending", "denied"] {
      let answer = #"{"client_id":"c","client_secret":"s","agent_status":"\#(status)"}"#
      let stored = try AgentExample.record(answer, of: identity, at: service)
      #expect(AgentExample.read(stored, of: identity, at: service)?.answer["agent_status"]?.string == status)
    }
  }

  @Test func `a discovery document is read as it was stored, of its mode and service`() throws {
    for (mode, other) in [(AgentIdentity.Mode.gateway, AgentIdentity.Mode.native), (.native, .gateway)] {
      let stored = try AgentExample.document(mode, at: service)
      let read = try #require(AgentExample.read(stored, of: mode, at: service))
      #expect(read.fetchedAt == AgentExample.now && read.document["ath_version"]?.string == "0.1")
      #expect(AgentExample.read(stored, of: other, at: service) == nil)
      #expect(AgentExample.read(stored, of: mode, at: service + "/x") == nil)
      let whole = try AgentExample.parsed(Array(AgentExample.text(stored).utf8))
      for member in ["service", "mode", "fetched", "document"] {
        let less = AgentExample.text(whole.without(member))
        #expect(AgentExample.read(Example.secret(less), of: mode, at: service) == nil, "without \(member)")
      }
    }
    #expect(AgentExample.read(Example.secret("[]"), of: .gateway, at: service) == nil)
    #expect(AgentDiscovery.path(.gateway) == "/.well-known/ath.json")
    #expect(AgentDiscovery.path(.native) == "/.well-known/ath-app.json")
  }

  @Test(arguments: [
    (AgentIdentity.Mode.gateway, "ath_version", #"{"gateway_id":"g"}"#),
    (.gateway, "gateway_id", #"{"ath_version":"0.1"}"#),
    (.gateway, "gateway_id", #"{"ath_version":"0.1","gateway_id":""}"#),
    (
      .gateway, "provider_id", #"{"ath_version":"0.1","gateway_id":"g","supported_providers":[{"provider_id":"m"},{}]}"#
    ),
    (.native, "app_id", #"{"ath_version":"0.1","name":"n","api_base":"https://a","auth":{}}"#),
    (.native, "name", #"{"ath_version":"0.1","app_id":"a","api_base":"https://a","auth":{}}"#),
    (.native, "api_base", #"{"ath_version":"0.1","app_id":"a","name":"n","auth":{}}"#),
    (.native, "api_base", #"{"ath_version":"0.1","app_id":"a","name":"n","api_base":["https://a"],"auth":{}}"#),
    (.native, "auth", #"{"ath_version":"0.1","app_id":"a","name":"n","api_base":"https://a"}"#),
    (.native, "auth", #"{"ath_version":"0.1","app_id":"a","name":"n","api_base":"https://a","auth":"oauth2"}"#),
    (.native, "JSON object", "null"),
  ])
  func `a document without what it needs is not stored`(
    _ mode: AgentIdentity.Mode, _ named: String, _ document: String
  ) {
    let error = #expect(throws: AgentMalformation.self) {
      try AgentDiscovery.record(Array(document.utf8).span, of: mode, at: service, now: 1)
    }
    #expect(error?.reason.contains(named) == true, "\(error?.reason ?? "")")
  }

  @Test func `a gateway may say nothing of its providers`() throws {
    let document = Array(#"{"ath_version":"0.1","gateway_id":"g"}"#.utf8)
    let stored = try AgentDiscovery.record(document.span, of: .gateway, at: service, now: 1)
    #expect(AgentExample.read(stored, of: .gateway, at: service)?.document["gateway_id"]?.string == "g")
  }
}
