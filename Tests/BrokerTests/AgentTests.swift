import Connector
import Crypto
import Testing

@testable import Broker

/// What an agent knows, and where its calls go.
@Suite struct AgentTests {
  /// Where a native service's calls go, or what is said instead.
  private func place(
    _ base: String, at service: Route.Upstream = AgentExample.service, hosts: [Route.Settings.Host] = []
  ) throws -> String {
    let agent = try AgentExample.agent(
      ["mode": "native"], at: service, discovery: AgentExample.document(.native, at: service.url, base: base))
    let (upstream, obstacle) = agent.upstream(hosts: hosts, route: "mail")
    guard let obstacle else { return upstream.url }
    #expect(upstream == service && obstacle.code == .notConnected && obstacle.route == "mail")
    return obstacle.detail
  }

  @Test(arguments: [
    (AgentExample.service, "https://ath.example.com/ath/proxy/mail"),
    (AgentExample.upstream("http", "127.0.0.1", 8080, base: "/x/y"), "http://127.0.0.1:8080/x/y/ath/proxy/mail"),
  ])
  func `a gateway's calls go to the provider, behind the base path`(_ service: Route.Upstream, _ url: String) throws {
    let (upstream, obstacle) = try AgentExample.bare(at: service).upstream(hosts: [], route: "mail")
    #expect(upstream.url == url && obstacle == nil)
    #expect(upstream.authority == service.authority && upstream.isTLS == service.isTLS)
  }

  @Test(arguments: [
    ("https://ath.example.com/api", "/api"), ("https://ath.example.com", ""),
    ("https://ath.example.com:443/v1/", "/v1"),
    ("https://ATH.example.com/A", "/A"),
  ])
  func `a native service's calls go where it says, at the upstream`(_ base: String, _ path: String) throws {
    #expect(try place(base) == "https://ath.example.com" + path)
  }

  @Test(arguments: [
    ("https://ath.example.com:8443/", "ath.example.com:8443"), ("https://api.example.com/v1", "api.example.com"),
    ("https://ath.example.com.evil.example/", "ath.example.com.evil.example"),
    ("http://ath.example.com/", "ath.example.com"),
    ("https://[2001:db8::1]/", "[2001:db8::1]"), ("https://127.0.0.1/", "127.0.0.1"),
  ])
  func `elsewhere no call goes unless the route says so`(_ base: String, _ authority: String) throws {
    let detail = try place(base)
    #expect(detail.contains("\"api_base\" is at \(authority), which is neither"), "\(detail)")
  }

  @Test(
    arguments: [
      ("https://api.example.com/v1", "api.example.com", nil, true),
      ("https://api.example.com:8443", "api.example.com", 8443, true),
      ("https://api.example.com:443", "api.example.com", 443, true),
      ("https://api.example.com:8443", "api.example.com", nil, false),
      ("https://api.example.com", "api.example.com", 8443, false),
      ("https://a.api.example.com", "api.example.com", nil, false),
      ("https://[2001:db8::1]:8443/v1", "[2001:db8::1]", 8443, true),
      ("https://[2001:db8::1]/v1", "[2001:db8::1]", nil, true),
      ("https://[2001:db8::1]/v1", "2001:db8::1", nil, false),
      ("https://[2001:db8::1]:8443/v1", "[2001:db8::1]", nil, false),
    ] as [(String, String, UInt16?, Bool)])
  func `a route's hosts are where calls may go as well`(
    _ base: String, _ name: String, _ port: UInt16?, _ goes: Bool
  ) throws {
    let found = try place(base, hosts: [.init(name: "x.example.com", port: nil), .init(name: name, port: port)])
    #expect(found.hasPrefix("https://") == goes, "\(found)")
  }

  @Test func `a token never goes from TLS into the open`() throws {
    let same = Route.Settings.Host(name: "ath.example.com", port: 80)
    let local = Route.Settings.Host(name: "127.0.0.1", port: 9000)
    let open = AgentExample.upstream("http", "ath.example.com", 80)
    let loopback = AgentExample.upstream("http", "127.0.0.1", 8080)
    for (base, service, hosts, goes) in [
      ("http://ath.example.com/v1", AgentExample.service, [same], false),
      ("http://ath.example.com:443/v1", AgentExample.service, [], false),
      ("http://127.0.0.1:9000/v1", AgentExample.service, [local], false),
      // Where there was no TLS to begin with.
      ("http://ath.example.com/v1", open, [], true), ("http://127.0.0.1:8080/v1", loopback, [], true),
      ("http://127.0.0.1:9000/v1", loopback, [local], true), ("http://ath.example.com/v1", loopback, [same], false),
      ("https://ath.example.com/v1", open, [.init(name: "ath.example.com", port: nil)], true),
    ] {
      let found = try place(base, at: service, hosts: hosts)
      if goes { #expect(found == base) } else { #expect(found.contains("in the open"), "\(found)") }
    }
  }

  @Test(arguments: [
    "ftp://ath.example.com/", "ath.example.com", "/v1", "https://", "https://ath.example.com/?a=1",
    "https://ath.example.com/#a", "https://user:password@ath.example.com/", "https://ath.example.com/../x",
    "https://ath.example.com/%2e%2e/x", "https://ath.example.com/x%2f..", "https://ath.example.com/%1e",
    "https://ath.example.com:99999/", "https://ath.example.com/a b",
  ])
  func `what is no address is told without it`(_ base: String) throws {
    let detail = try place(base)
    #expect(detail.contains("\"api_base\" is no address that requests can go to"), "\(base): \(detail)")
    #expect(!detail.contains(base))
  }

  @Test func `each step says which one comes before it`() throws {
    let native = try AgentExample.bare(["mode": "native"])
    let (upstream, obstacle) = native.upstream(hosts: [], route: "mail")
    #expect(upstream == native.service && obstacle?.hint == "chatelaine ath discover mail")
    for (code, hint, step) in [
      (ProblemCode.secretMissing, "chatelaine ath keygen mail", { _ = try native.signingKey(route: "mail") }),
      (.notConnected, "chatelaine ath discover mail", { _ = try native.provider(route: "mail") }),
      (.notConnected, "chatelaine ath register mail", { _ = try native.registered(route: "mail") }),
    ] as [(ProblemCode, String, () throws -> Void)] {
      let problem = #expect(throws: Problem.self) { try step() }
      #expect(problem?.code == code && problem?.hint == hint)
    }
    #expect(try AgentExample.agent(["mode": "native"]).provider(route: "mail") == "app-1")
    #expect(try AgentExample.bare().provider(route: "mail") == "mail")
  }

  @Test func `a stored key that signs nothing is none`() throws {
    let agent = Agent(
      try AgentExample.identity(), service: AgentExample.service, name: "mail", key: Example.secret("no PEM"),
      registration: nil, discovery: nil)
    #expect(agent.key == nil && agent.document == nil)
    #expect(try AgentExample.agent().signingKey(route: "mail").publicKey == AgentExample.key.publicKey)
  }
}
