import Broker
import Testing

private func snapshot() throws -> Snapshot {
  Snapshot(routes: [
    try Example.route("users", connector: "shangcloud"), try Example.route("api", index: 1, host: "b.example.com"),
  ])
}

private func request(_ method: String, _ target: String, _ fields: String = "") -> String {
  "\(method) \(target) HTTP/1.1\r\nHost: localhost:7220\r\n\(fields)\r\n"
}

@Test(arguments: [
  ("POST", "/-/oauth/users/authorize", "POST"), ("GET", "/-/oauth/users/callback?code=a&state=b", "GET"),
  ("POST", "/-/oauth/users/exchange", "POST"), ("GET", "/-/oauth/users/sessions", "GET"),
  ("DELETE", "/-/oauth/users/sessions/alice", "DELETE"),
])
func `an endpoint of logins takes its one method`(_ method: String, _ target: String, _ allow: String) throws {
  guard case .answer(.session(let endpoint)) = try Example.decide(request(method, target), snapshot()) else {
    Issue.record("it is no endpoint")
    return
  }
  #expect(endpoint.route == "users")
  for other in ["PUT", "HEAD", method == "GET" ? "POST" : "GET"] {
    let problem = try Example.problem(request(other, target), snapshot())
    #expect(problem?.code == .methodNotSupported && "\(problem?.allow?.text ?? "")" == allow)
  }
}

@Test(arguments: [
  "/-/oauth/users", "/-/oauth/users/", "/-/oauth/users/more", "/-/oauth/users/sessions/", "/-/oauth/api/authorize",
  "/-/oauth/none/authorize", "/-/oauth/",
])
func `whoever is not known learns nothing of routes`(_ target: String) throws {
  #expect(try Example.problem(request("GET", target), snapshot(), caller: .unknown)?.code == .callerUnknown)
  #expect(try Example.problem(request("GET", target), snapshot())?.code == .unknownRoute)
  for route in ["users", "api", "none"] {
    let back = request("GET", "/-/oauth/\(route)/callback?code=a&state=b")
    guard case .answer(.session(let endpoint)) = try Example.decide(back, snapshot(), caller: .unknown) else {
      Issue.record("a return to \(route) is told apart")
      return
    }
    #expect(endpoint.route == (route == "users" ? "users" : ""))
  }
}

@Test(arguments: [
  ("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n", true), ("Sec-Fetch-Site: cross-site\r\n", true),
  ("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n", false),
  ("Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: cors\r\n", false), ("Origin: https://evil.example\r\n", false),
])
func `a browser comes back by a link, and in no other way`(_ fields: String, _ passes: Bool) throws {
  let problem = try Example.problem(request("GET", "/-/oauth/users/callback?code=a&state=b", fields), snapshot())
  #expect((problem == nil) == passes)
  if !passes { #expect(problem?.code == .browserRefused) }
  // Anything else is not for browsers at all.
  #expect(try Example.problem(request("GET", "/-/oauth/users/sessions", fields), snapshot())?.code == .browserRefused)
}
