import Connector
import Crypto
import JSON
import Testing

@testable import Broker

/// What callers ask of an agent's handshake.
@Suite struct AgentWishTests {
  private static let provider = #"{"provider_id":"mail","scopes":[]}"#

  /// - Parameter read: reads the body of a wish.
  private func expect(_ named: String, _ body: String, _ read: () throws -> Void) {
    let problem = #expect(throws: Problem.self, "\(body)") { try read() }
    #expect(problem?.code == .malformedRequest && problem?.status == 400, "\(body)")
    #expect(problem?.detail.contains(named) == true, "\(body): \(problem?.detail ?? "")")
  }

  @Test(arguments: [
    ("\"developer\", \"providers\", \"purpose\", \"redirect_uris\"", ""),
    ("\"developer\", \"providers\", \"purpose\", \"redirect_uris\"", "[]"),
    ("\"developer\", \"providers\", \"purpose\", \"redirect_uris\"", #"{"purpose":"a","purpose":"b"}"#),
    ("did you mean \"purpose\"?", #"{"porpose":"x"}"#), ("no other member.", #"{"something_else":1}"#),
    ("\"developer\"", #"{"providers":[\#(provider)],"purpose":""}"#),
    ("\"developer\"", #"{"developer":"E","providers":[\#(provider)],"purpose":""}"#),
    ("\"developer\"", #"{"developer":{"name":"E"},"providers":[\#(provider)],"purpose":""}"#),
    ("\"providers\"", #"{"developer":DEV,"purpose":""}"#),
    ("\"providers\"", #"{"developer":DEV,"providers":[],"purpose":""}"#),
    ("\"providers\"", #"{"developer":DEV,"providers":{},"purpose":""}"#),
    ("\"providers\"", #"{"developer":DEV,"providers":[{"provider_id":"","scopes":[]}],"purpose":""}"#),
    ("\"providers\"", #"{"developer":DEV,"providers":[{"provider_id":"m"}],"purpose":""}"#),
    ("\"providers\"", #"{"developer":DEV,"providers":[{"provider_id":"m","scopes":[7]}],"purpose":""}"#),
    ("\"providers\"", #"{"developer":DEV,"providers":[{"provider_id":"m","scopes":[],"x":1}],"purpose":""}"#),
    ("\"providers\"", #"{"developer":DEV,"providers":[\#(provider),"mail"],"purpose":""}"#),
    ("\"purpose\"", #"{"developer":DEV,"providers":[\#(provider)]}"#),
    ("\"purpose\"", #"{"developer":DEV,"providers":[\#(provider)],"purpose":["x"]}"#),
    ("\"redirect_uris\"", #"{"developer":DEV,"providers":[\#(provider)],"purpose":"","redirect_uris":[]}"#),
    ("\"redirect_uris\"", #"{"developer":DEV,"providers":[\#(provider)],"purpose":"","redirect_uris":"https://a"}"#),
    ("\"redirect_uris\"", #"{"developer":DEV,"providers":[\#(provider)],"purpose":"","redirect_uris":[7]}"#),
    ("\"redirect_uris\"", #"{"developer":DEV,"providers":[\#(provider)],"purpose":"","redirect_uris":["/back"]}"#),
    (
      "\"redirect_uris\"",
      #"{"developer":DEV,"providers":[\#(provider)],"purpose":"","redirect_uris":["https://a/#b"]}"#
    ),
  ])
  func `what is wrong with a registration is told by name`(_ named: String, _ body: String) throws {
    let parts = body.split(separator: "DEV", omittingEmptySubsequences: false)
    let body = parts.joined(separator: AgentExample.developer)
    expect(named, body) { _ = try AgentExample.wish(body) }
  }

  @Test func `what a registration leaves out comes from the route`() throws {
    let agent = try AgentExample.bare(
      ["developer": "E"], at: AgentExample.upstream("https", "a.example.com", 443, base: "/b"))
    let wish = try AgentExample.wish(#"{"providers":[\#(Self.provider)],"purpose":"p"}"#, agent)
    #expect(AgentExample.text(wish.developer) == #"{"name":"E","id":"E"}"#)
    #expect(wish.redirectURIs == ["https://a.example.com/b/ath/callback"] && wish.purpose == "p")
    let own = try AgentExample.wish(
      #"{"developer":\#(AgentExample.developer),"providers":[\#(Self.provider)],"purpose":"p"}"#, agent)
    #expect(AgentExample.text(own.developer) == AgentExample.developer)
  }

  @Test(arguments: [
    ("\"scopes\", \"redirect_uri\", \"resource\"", "7"), ("did you mean \"scopes\"?", #"{"scope":"read"}"#),
    ("\"scopes\"", "{}"), ("\"scopes\"", #"{"scopes":[]}"#), ("\"scopes\"", #"{"scopes":"read"}"#),
    ("\"scopes\"", #"{"scopes":["read send"]}"#), ("\"scopes\"", #"{"scopes":[""]}"#),
    ("\"scopes\"", #"{"scopes":["a\u007f"]}"#), ("\"scopes\"", #"{"scopes":["a",null]}"#),
    ("\"redirect_uri\"", #"{"scopes":["a"],"redirect_uri":7}"#),
    ("\"redirect_uri\"", #"{"scopes":["a"],"redirect_uri":""}"#),
    ("\"resource\"", #"{"scopes":["a"],"resource":["x"]}"#), ("\"resource\"", #"{"scopes":["a"],"resource":""}"#),
  ])
  func `what is wrong with an authorization is told by name`(_ named: String, _ body: String) {
    expect(named, body) { _ = try AgentWish.Authorization(Array(body.utf8).span) }
  }

  @Test func `a text has an end`() throws {
    let long = String(repeating: "a", count: 8192)
    let body = #"{"scopes":["a"],"resource":"\#(long)"}"#
    #expect(try AgentWish.Authorization(Array(body.utf8).span).resource == long)
    let longer = #"{"scopes":["a"],"resource":"\#(long)a"}"#
    expect("\"resource\"", longer) { _ = try AgentWish.Authorization(Array(longer.utf8).span) }
  }

  @Test(arguments: [
    ("\"code\", \"session_id\", \"state\"", "null"), ("\"code\" and \"session_id\"", "{}"),
    ("\"code\" and \"session_id\"", #"{"code":"c"}"#), ("\"code\" and \"session_id\"", #"{"session_id":"s"}"#),
    ("\"code\"", #"{"code":7,"session_id":"s"}"#), ("\"session_id\"", #"{"code":"c","session_id":""}"#),
    ("\"session_id\"", #"{"code":"c","session_id":null}"#), ("\"state\"", #"{"code":"c","session_id":"s","state":""}"#),
    ("did you mean \"session_id\"?", #"{"code":"c","sesion_id":"s"}"#),
  ])
  func `what is wrong with an exchange is told by name`(_ named: String, _ body: String) {
    expect(named, body) { _ = try AgentWish.Exchange(Array(body.utf8).span) }
  }

  @Test func `an exchange may have an empty code, and a state`() throws {
    let plain = try AgentWish.Exchange(Array(#"{"code":"","session_id":"s"}"#.utf8).span)
    #expect(plain.code.isEmpty && plain.session == "s" && plain.state == nil)
    let whole = try AgentWish.Exchange(Array(#"{"code":"c","session_id":"s","state":"x"}"#.utf8).span)
    #expect(whole.code == Example.secret("c") && whole.state == Example.secret("x"))
  }

  @Test func `a user comes back to where the agent was registered with, byte for byte`() throws {
    let client = try AgentExample.agent().registered(route: "mail")
    func uri(_ wanted: String?) throws -> String {
      let member = wanted.map { ",\"redirect_uri\":\"\($0)\"" } ?? ""
      return try AgentWish.Authorization(Array("{\"scopes\":[\"a\"]\(member)}".utf8).span)
        .redirectURI(client, route: "mail")
    }
    #expect(try uri(nil) == "https://app.example.com/back?a=1")
    #expect(try uri("https://app.example.com/") == "https://app.example.com/")
    for other in ["https://app.example.com", "https://APP.example.com/", "https://app.example.com/back"] {
      let problem = #expect(throws: Problem.self) { try uri(other) }
      #expect(problem?.code == .malformedRequest && problem?.hint.contains("--redirect-uri") == true)
    }
  }
}
