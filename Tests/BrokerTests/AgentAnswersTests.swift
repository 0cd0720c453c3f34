import Connector
import Crypto
import JSON
import Testing

@testable import Broker

/// What servers answer to an authorization and to a code.
@Suite struct AgentAnswersTests {
  private func session(_ body: String) throws -> AgentSession { try AgentSession(Array(body.utf8).span) }

  private func grant(_ body: String, _ options: [String: String] = [:], asked: String = "a b") throws -> AgentGrant {
    try AgentGrant(Array(body.utf8).span, asked: asked, agent: AgentExample.agent(options), route: "mail")
  }

  @Test func `a session is told as it came, and nothing beside it`() throws {
    let answer = try session(
      #"{"authorization_url":"https://a.example.com/?x=\"","ath_session_id":"s\"1","client_secret":"no"}"#)
    #expect(answer.url == "https://a.example.com/?x=\"" && answer.session == "s\"1")
    #expect(
      String(decoding: answer.json, as: UTF8.self)
        == #"{"authorization_url":"https://a.example.com/?x=\"","ath_session_id":"s\"1"}"#)
    #expect(try session(#"{"authorization_url":"http://a/","ath_session_id":"s"}"#).url == "http://a/")
  }

  @Test(arguments: [
    ("JSON object", "[]"), ("authorization_url", #"{"ath_session_id":"s"}"#),
    ("authorization_url", #"{"authorization_url":"javascript:alert(1)","ath_session_id":"s"}"#),
    ("authorization_url", #"{"authorization_url":"/here","ath_session_id":"s"}"#),
    ("authorization_url", #"{"authorization_url":"https://a/ b","ath_session_id":"s"}"#),
    ("authorization_url", #"{"authorization_url":"https://a/\n","ath_session_id":"s"}"#),
    ("authorization_url", #"{"authorization_url":"https://a/\u001b[2J","ath_session_id":"s"}"#),
    ("authorization_url", #"{"authorization_url":"https://a/é","ath_session_id":"s"}"#),
    ("authorization_url", #"{"authorization_url":7,"ath_session_id":"s"}"#),
    (
      "authorization_url",
      "{\"authorization_url\":\"https://\(String(repeating: "a", count: 8185))\",\"ath_session_id\":\"s\"}"
    ),
    ("ath_session_id", #"{"authorization_url":"https://a/"}"#),
    ("ath_session_id", #"{"authorization_url":"https://a/","ath_session_id":""}"#),
    ("ath_session_id", #"{"authorization_url":"https://a/","ath_session_id":7}"#),
    ("ath_session_id", #"{"authorization_url":"https://a/","ath_session_id":"s\u001b[2J"}"#),
    (
      "ath_session_id",
      "{\"authorization_url\":\"https://a/\",\"ath_session_id\":\"\(String(repeating: "s", count: 1025))\"}"
    ),
  ])
  func `an answer that begins no session is refused by name`(_ named: String, _ body: String) {
    let error = #expect(throws: AgentMalformation.self) { try session(body) }
    #expect(error?.reason.contains(named) == true, "\(error?.reason ?? "")")
  }

  @Test func `what was asked for goes beside the answer, and tokens are not told`() throws {
    let grant = try grant(
      """
      {"asked":"forged","access_token":"at-1","refresh_token":"rt-1","token_type":"Bearer","effective_scopes":["a"],\
      "provider_id":"mail","agent_id":"\(AgentExample.agentID)","subject":"bob"}
      """)
    #expect(
      AgentExample.text(grant.body) == """
        {"access_token":"at-1","refresh_token":"rt-1","token_type":"Bearer","effective_scopes":["a"],\
        "provider_id":"mail","agent_id":"\(AgentExample.agentID)","subject":"bob","asked":["a","b"]}
        """)
    let told = String(decoding: grant.answer(subject: "al\"ice"), as: UTF8.self)
    #expect(told.hasPrefix(#"{"subject":"al\"ice","#) && told.contains(#""effective_scopes":["a"]"#))
    #expect(!told.contains("at-1") && !told.contains("rt-1"))
    let read = try AgentExample.parsed(Array(told.utf8))
    #expect(read["access_token"] == nil && read["subject"]?.string == "al\"ice")
  }

  @Test(arguments: ["access_token", "refresh_token", "id_token"])
  func `a token is not told, whatever it is made of`(_ name: String) throws {
    for value in [#""at-12345678""#, "7", #"{"value":"at-12345678"}"#, "null"] {
      let told = try grant("{\"\(name)\":\(value),\"token_type\":\"a\"}").answer(subject: "alice")
      #expect(String(decoding: told, as: UTF8.self) == #"{"subject":"alice","token_type":"a"}"#)
    }
  }

  @Test(arguments: [
    ([:], #"{"access_token":"t","agent_id":"https://other.example.com/agent.json"}"#, "AGENT_IDENTITY_MISMATCH"),
    ([:], #"{"access_token":"t","provider_id":"calendar"}"#, "PROVIDER_MISMATCH"),
    (["mode": "native"], #"{"access_token":"t","provider_id":"mail"}"#, "PROVIDER_MISMATCH"),
    ([:], "\"t\"", "JSON object"),
  ])
  func `a token for somebody else is refused`(_ options: [String: String], _ body: String, _ named: String) {
    let error = #expect(throws: AgentMalformation.self) { try grant(body, options) }
    #expect(error?.reason.contains(named) == true)
  }

  @Test func `a token that says nothing of whom it is for is taken for ours`() throws {
    #expect(
      AgentExample.text(try grant(#"{"access_token":"t"}"#, asked: "").body) == #"{"access_token":"t","asked":[]}"#)
    #expect(throws: Never.self) { try grant(#"{"access_token":"t","provider_id":"app-1"}"#, ["mode": "native"]) }
  }
}
