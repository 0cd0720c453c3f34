import Crypto
import Testing

@testable import Broker

/// What a server's refusal becomes.
@Suite struct AgentRefusalTests {
  private func problem(
    _ status: Int, _ body: String, hiding secrets: [Secret] = [], retryAfter: Int? = nil, skew: Int64 = 0
  ) throws -> Problem {
    AgentRefusal(status: status, body: Array(body.utf8).span, hiding: secrets)
      .problem(step: .register, agent: try AgentExample.agent(), route: "mail", retryAfter: retryAfter, skew: skew)
  }

  @Test(arguments: [400, 401, 403, 404, 409, 410, 422])
  func `a refusal is final`(_ status: Int) throws {
    let problem = try problem(status, #"{"code":"INTERNAL_ERROR","message":"no"}"#, retryAfter: 9)
    #expect(problem.code == .authorizationFailed && problem.retryAfter == nil && problem.status == 424)
    #expect(problem.detail == "ath.example.com refuses to register (status \(status)): INTERNAL_ERROR, no.")
    #expect(problem.upstreamCode == "INTERNAL_ERROR" && problem.route == "mail")
  }

  @Test(arguments: [408, 425, 429, 500, 502, 503, 504, 599])
  func `what passes is to be tried again`(_ status: Int) throws {
    let problem = try problem(status, #"{"code":"INTERNAL_ERROR"}"#, retryAfter: 9)
    #expect(problem.code == .tokenUnavailable && problem.retryAfter == 9 && problem.status == 503)
    #expect(problem.detail == "ath.example.com cannot register now (status \(status)): INTERNAL_ERROR.")
    #expect(try self.problem(status, "").retryAfter == 1 && self.problem(status, "", retryAfter: 0).retryAfter == 1)
  }

  @Test(arguments: [300, 302, 307, 399])
  func `a redirect is not followed, and told as one`(_ status: Int) throws {
    let problem = try problem(status, "")
    #expect(problem.code == .authorizationFailed && problem.detail.contains("with a redirect, which is not followed"))
  }

  @Test(arguments: [
    (#"{"code":"SCOPE_NOT_APPROVED"}"#, "SCOPE_NOT_APPROVED"), (#"{"code":"E_42"}"#, "E_42"),
    (#"{"code":"\#(String(repeating: "A", count: 64))"}"#, String(repeating: "A", count: 64)),
    (#"{"code":"\#(String(repeating: "A", count: 65))"}"#, nil), (#"{"code":""}"#, nil),
    (#"{"code":"scope_not_approved"}"#, nil), (#"{"code":"A B"}"#, nil), (#"{"code":"A-B"}"#, nil),
    (#"{"code":"A\u0000"}"#, nil), (#"{"code":"É"}"#, nil), (#"{"code":7}"#, nil), ("no JSON", nil), ("[]", nil),
    (#"{"code":"A","code":"B"}"#, nil),
  ])
  func `a code is told by name, if it is a name`(_ body: String, _ code: String?) throws {
    let problem = try problem(400, body)
    #expect(problem.upstreamCode == code)
    #expect(problem.detail == "ath.example.com refuses to register (status 400)\(code.map { ": \($0)" } ?? "").")
  }

  @Test func `words are told without what was shown`() throws {
    let secret = Example.secret("c4nary/s3cret")
    let echo = #"{"message":"c4nary/s3cret is\nwrong; YzRuYXJ5L3MzY3JldA== c4nary%2Fs3cret"}"#
    let problem = try problem(400, echo, hiding: [secret])
    #expect(problem.detail.hasPrefix("ath.example.com refuses to register (status 400): ••• is wrong;"))
    #expect(!problem.detail.contains("s3cret") && !problem.detail.contains("YzRuYXJ5L3Mz"))
    #expect(try self.problem(400, echo).detail.contains("c4nary/s3cret"), "nothing was to be hidden")
    #expect(try self.problem(400, #"{"message":""}"#).detail == "ath.example.com refuses to register (status 400).")
    #expect(try self.problem(400, #"{"message":["x"]}"#).detail == "ath.example.com refuses to register (status 400).")
  }

  @Test(arguments: [
    ("INVALID_ATTESTATION", "chatelaine ath identity mail: the same must be at \(AgentExample.agentID)"),
    ("AGENT_IDENTITY_MISMATCH", "chatelaine ath identity mail: the same must be at \(AgentExample.agentID)"),
    ("AGENT_NOT_REGISTERED", "chatelaine ath register mail"),
    ("AGENT_UNAPPROVED", "the operator of ath.example.com has to approve the agent"),
    ("PROVIDER_NOT_APPROVED", "chatelaine ath register mail, with what is needed"),
    ("SCOPE_NOT_APPROVED", "chatelaine ath register mail, with what is needed"),
    ("SESSION_NOT_FOUND", "chatelaine ath authorize mail"), ("SESSION_EXPIRED", "chatelaine ath authorize mail"),
    ("STATE_MISMATCH", "chatelaine ath authorize mail"), ("USER_DENIED", "chatelaine ath authorize mail"),
    ("OAUTH_ERROR", "chatelaine ath authorize mail"), ("INTERNAL_ERROR", "chatelaine ath register mail"),
  ])
  func `each code has its next step`(_ code: String, _ hint: String) throws {
    #expect(try problem(403, "{\"code\":\"\(code)\"}").hint == hint)
  }

  @Test func `clocks that differ are told`() throws {
    #expect(try problem(400, "", skew: 312).detail.hasSuffix("; its clock is 312 s ahead of ours."))
    #expect(try problem(400, "", skew: -90).detail.hasSuffix("; its clock is 90 s behind ours."))
    #expect(try !problem(400, "").detail.contains("clock"))
  }

  @Test(arguments: [
    (#"{"client_id":"c-1"}"#, "c-1"), (#"{"details":{"client_id":"c-2"}}"#, "c-2"), (#"{"client_id":7}"#, nil),
    ("", nil),
  ])
  func `a server may say as whom an agent is registered`(_ body: String, _ client: String?) {
    #expect(AgentRefusal(status: 409, body: Array(body.utf8).span, hiding: []).clientID == client)
  }
}
