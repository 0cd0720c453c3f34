import Broker
import Crypto
import Testing

/// A route with an agent, and one without.
private func snapshot(_ options: [String: String] = [:]) throws -> Snapshot {
  let agent = try AgentExample.agent(options)
  let given = ["agent_id": AgentExample.agentID, "provider": "mail"].merging(options) { $1 }
  let (upstream, obstacle) = agent.upstream(hosts: [], route: "mail")
  return Snapshot(routes: [
    try Example.route(
      "mail", connector: "ath", options: given, host: upstream.host, port: upstream.port, basePath: upstream.basePath
    ) {
      $0.agent = agent
      $0.obstacle = obstacle
    },
    try Example.route("api", index: 1, host: AgentExample.service.host),
  ])
}

private func request(_ method: String, _ target: String, _ fields: String = "", host: String = "localhost:7220")
  -> String
{
  "\(method) \(target) HTTP/1.1\r\nHost: \(host)\r\n\(fields)\r\n"
}

@Test(arguments: [
  ("GET", "/-/ath/mail/discover"), ("GET", "/-/ath/mail/agent.json"), ("POST", "/-/ath/mail/register"),
  ("POST", "/-/ath/mail/authorize"), ("POST", "/-/ath/mail/exchange"), ("POST", "/-/ath/mail/revoke"),
])
func `a step of the handshake takes its method`(_ method: String, _ target: String) throws {
  let allowed = method == "GET" ? ["GET", "HEAD"] : ["POST"]
  for other in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"] {
    if allowed.contains(other) {
      guard case .agent(let endpoint)? = try Example.endpoint(request(other, target), snapshot()) else {
        Issue.record("\(other) \(target) is no endpoint")
        continue
      }
      #expect(endpoint.route == "mail" && target.hasSuffix("/" + endpoint.action.rawValue))
      #expect(endpoint.readsBody == (method == "POST"))
    } else {
      let problem = try Example.problem(request(other, target), snapshot())
      #expect(problem?.code == .methodNotSupported, "\(other)")
      #expect("\(problem?.allow?.text ?? "")" == allowed.joined(separator: ", "))
    }
  }
}

@Test(arguments: [
  "/-/ath/", "/-/ath/mail", "/-/ath/mail/", "/-/ath/mail/keygen", "/-/ath/mail/agent.json/", "/-/ath/mail/register/x",
  "/-/ath/api/agent.json", "/-/ath/none/agent.json", "/-/ath/api/register", "/-/ath/mail/Register",
  "/-/ath/mail/identity",
  "/-/ath/mail/%72egister", "/-/ath//agent.json",
])
func `who is not known is told the same of what is not there and of what is not for them`(_ target: String) throws {
  #expect(try Example.problem(request("GET", target), snapshot(), caller: .unknown)?.code == .callerUnknown)
  #expect(try Example.problem(request("GET", target), snapshot())?.code == .unknownRoute)
}

@Test func `everybody may know who an agent is, and no more`() throws {
  for method in ["GET", "HEAD"] {
    let answer = try Example.endpoint(request(method, "/-/ath/mail/agent.json"), snapshot(), caller: .unknown)
    #expect(answer.map { if case .agent(let agent) = $0 { agent.action == .identity } else { false } } == true)
  }
  for (method, step) in [
    ("GET", "discover"), ("POST", "register"), ("POST", "authorize"), ("POST", "exchange"), ("POST", "revoke"),
  ] {
    let problem = try Example.problem(request(method, "/-/ath/mail/\(step)"), snapshot(), caller: .unknown)
    #expect(problem?.code == .callerUnknown, "\(step)")
  }
}

@Test func `only the listener for all has agents' endpoints`() throws {
  for target in ["/-/ath/mail/agent.json", "/-/ath/mail/discover"] {
    for (door, host) in [(Door.route("mail", port: 7301), "localhost:7301"), (.metrics(port: 7221), "localhost:7221")] {
      for caller in [Caller.own, .unknown] {
        let problem = try Example.problem(request("GET", target, host: host), snapshot(), door: door, caller: caller)
        #expect(problem?.code == .unknownRoute)
      }
    }
  }
}

@Test(arguments: [
  "Origin: https://evil.example\r\n", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n",
  "Sec-Fetch-Site: same-origin\r\n", "Access-Control-Request-Method: POST\r\n",
])
func `no step of the handshake is for browsers, who an agent is neither`(_ fields: String) throws {
  for (method, step) in [("GET", "agent.json"), ("GET", "discover"), ("POST", "register"), ("POST", "revoke")] {
    let asked = request(method, "/-/ath/mail/\(step)", fields)
    #expect(try Example.problem(asked, snapshot())?.code == .browserRefused, "\(step)")
    // A page of another user's learns no more than that user.
    let refused = try Example.problem(asked, snapshot(), caller: .unknown)?.code
    #expect(refused == (step == "agent.json" ? .browserRefused : .callerUnknown), "\(step)")
  }
  let rebound = request("GET", "/-/ath/mail/agent.json", host: "evil.example:7220")
  #expect(try Example.problem(rebound, snapshot(), caller: .unknown)?.code == .misdirected)
}

@Test func `calls go where the agent's do, and nobody but the daemon to its handshake's`() throws {
  let gateway = try snapshot()
  #expect(try Example.destination(Example.get("/mail/v1/x?a=b"), gateway) == "mail /ath/proxy/mail/v1/x?a=b")
  #expect(try Example.destination(Example.get("/mail/ath/token"), gateway) == "mail /ath/proxy/mail/ath/token")
  let native = try snapshot(["mode": "native"])
  #expect(try Example.destination(Example.get("/mail/v1/x"), native) == "mail /api/v1/x")
  for target in [
    "/api/ath/token", "/api/ATH/token/", "/api/ath%2Ftoken?x", "/api/ath/authorize", "/api/ath/agents/c-1",
  ] {
    for snapshot in [gateway, native] {
      #expect(
        try Example.problem(Example.get(target), snapshot)?.detail.contains("token endpoint") == true, "\(target)")
    }
  }
  #expect(try Example.destination(Example.get("/api/ath/authorized"), gateway) == "api /ath/authorized")
}

@Test func `what keeps calls from going is told before any goes`() throws {
  let agent = try AgentExample.bare(["mode": "native"])
  let obstacle = agent.upstream(hosts: [], route: "mail").obstacle
  let snapshot = Snapshot(routes: [
    try Example.route("mail", connector: "ath", options: ["agent_id": AgentExample.agentID, "mode": "native"]) {
      $0.agent = agent
      $0.obstacle = obstacle
    }
  ])
  let problem = try Example.problem(Example.get("/mail/x"), snapshot)
  #expect(problem?.code == .notConnected && problem?.hint == "chatelaine ath discover mail")
}
