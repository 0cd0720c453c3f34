import Broker
import Connector
import Testing

/// Routes of one upstream: one whose connector fetches tokens there, one whose users log in there, and one with neither.
private func snapshot(tokenURL: String = "https://api.example.com/OAuth/token/") throws -> Snapshot {
  Snapshot(routes: [
    try Example.route("shop", index: 0, connector: "fastmoss", basePath: "/base"),
    try Example.route(
      "drive", index: 1, connector: "oauth2",
      options: ["token_url": tokenURL, "authorize_url": "https://api.example.com/OAuth/authorize"]),
    try Example.route("plain", index: 2) { $0.allowsEmptySegments = true },
    try Example.route("elsewhere", index: 3, connector: "fastmoss", host: "other.example.com"),
  ])
}

private func isRefused(_ target: String, _ snapshot: Snapshot, method: String = "POST") throws -> Bool {
  let request = "\(method) \(target) HTTP/1.1\r\nHost: localhost:7220\r\n\r\n"
  let problem = try Example.problem(request, snapshot)
  if let problem { #expect(problem.code == .unknownRoute && problem.detail.contains("token endpoint")) }
  return problem != nil
}

@Suite struct TokenPlacesTests {
  @Test(arguments: [
    // Its own, whatever the method, and in every spelling that some server takes for the same.
    "/shop/v1/token", "/shop/v1/refreshToken", "/shop/v1/token?x=1", "/shop/v1/token/", "/shop/V1/Token",
    "/shop/v1/%74oken", "/shop/v1%2Ftoken", "/shop/v1/token;a=1", "/shop/v1;a/token", "/shop/v1/token%2f",
    "/shop/v1/token%3b",
    // A login's, of a whole address with the upstream's authority, and by whichever route.
    "/drive/oauth/token", "/drive/OAuth/token?grant_type=x", "/plain/oauth/token", "/plain//oauth//token",
    "/plain/base/v1/token",
    "/elsewhere/v1/token",
  ])
  func `no caller reaches a token endpoint`(_ target: String) throws {
    for method in ["POST", "GET", "PUT"] { #expect(try isRefused(target, snapshot(), method: method)) }
  }

  @Test(arguments: [
    "/shop/v1/tokens", "/shop/v1/token/x", "/shop/v1", "/shop/token", "/shop/x/v1/token",
    "/drive/oauth/authorize", "/drive/v1/token", "/plain/v1/token", "/plain/token", "/elsewhere/base/v1/token",
    "/elsewhere/oauth/token", "/shop", "/shop/",
  ])
  func `what lies beside one is reached as before`(_ target: String) throws {
    #expect(try !isRefused(target, snapshot()))
  }

  @Test func `where an address has a query of its own, the path serves others as well`() throws {
    let snapshot = try snapshot(tokenURL: "https://api.example.com/rpc?do=get%20token&v=2")
    for target in [
      "/drive/rpc?do=get+token&v=2", "/drive/RPC?x&v=2&do=get%20token", "/plain/rpc/?v=%32&do=get%20token&do=b",
    ] {
      #expect(try isRefused(target, snapshot), "\(target)")
    }
    for target in ["/drive/rpc", "/drive/rpc?do=get+token", "/drive/rpc?do=get+token&v=22", "/drive/rpc?v=2&do=list"] {
      #expect(try !isRefused(target, snapshot), "\(target)")
    }
  }

  @Test(arguments: ["gateway", "native"])
  func `nor is an agent's token endpoint reached`(_ mode: String) throws {
    let connector = try #require(Catalog()["ath"])
    let options = ["mode": mode, "agent_id": "https://agent.example.com/a.json", "provider": "drive"]
    let service = Route.Upstream(
      isTLS: true, host: "api.example.com", port: 443, authority: "api.example.com", basePath: "/s")
    let agent = Agent(
      try AgentIdentity(options.filter { mode == "gateway" || $0.key != "provider" }, of: connector), service: service,
      name: "agent", key: nil, registration: nil, discovery: nil)
    let snapshot = Snapshot(routes: [
      try Example.route("agent", index: 0, connector: "ath", options: options, basePath: "/s/ath/proxy/drive") {
        $0.agent = agent
      }, try Example.route("plain", index: 1),
    ])
    #expect(try isRefused("/plain/s/ath/token", snapshot))
    #expect(try !isRefused("/plain/s/ath/proxy/drive/x", snapshot))
    #expect(try !isRefused("/plain/ath/token", snapshot))
  }

  /// An agent's route whose calls go to the service's own root, and another with the same upstream.
  private func agents() throws -> Snapshot {
    let connector = try #require(Catalog()["ath"])
    let options = ["mode": "native", "agent_id": "https://agent.example.com/.well-known/agent.json"]
    let agent = Agent(
      try AgentIdentity(options, of: connector),
      service: .init(isTLS: true, host: "api.example.com", port: 443, authority: "api.example.com", basePath: ""),
      name: "mail", keyName: nil, key: nil, registration: nil, discovery: nil)
    return Snapshot(routes: [
      try Example.route("mail", index: 0, connector: "ath", options: options, basePath: "/api") { $0.agent = agent },
      try Example.route("plain", index: 1),
    ])
  }

  @Test(arguments: [
    "/ath/token", "/ath/authorize", "/ath/revoke", "/ath/agents/register", "/ath/agents/client-1", "/ath/agents",
    "/ATH/Token", "/ath%2Ftoken", "/ath/%74oken", "/ath/token/", "/ath/token;a=1", "/ath/token?x=1", "/ath/agents/a/b",
  ])
  func `no caller reaches an agent's handshake`(_ path: String) throws {
    for method in ["POST", "GET"] { #expect(try isRefused("/plain" + path, agents(), method: method)) }
  }

  @Test(arguments: [
    "/plain/ath", "/plain/ath/tokens", "/plain/ath/agent", "/plain/x/ath/token", "/plain/ath/proxy/mail/ath/token",
    "/mail/ath/token", "/plain/ath/agentsx/y",
  ])
  func `what lies beside an agent's handshake is reached as before`(_ target: String) throws {
    #expect(try !isRefused(target, agents()))
  }

  @Test func `by a name of its own the whole path counts`() throws {
    let request = "POST /v1/token HTTP/1.1\r\nHost: shop.localhost:7220\r\n\r\n"
    #expect(try Example.problem(request, snapshot())?.code == .unknownRoute)
  }

  @Test func `in absolute form it is refused as well`() throws {
    let alone = Snapshot(routes: [try Example.route("shop", connector: "fastmoss", basePath: "/base")])
    let token = Example.get("https://api.example.com/base/v1/token")
    #expect(try Example.problem(token, alone)?.detail.contains("token endpoint") == true)
    #expect(try Example.problem(Example.get("https://api.example.com/base/v1/tokens"), alone) == nil)
  }
}
