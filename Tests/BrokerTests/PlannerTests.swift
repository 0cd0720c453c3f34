import Broker
import Connector
import HTTP
import Testing

private func snapshot() throws -> Snapshot {
  Snapshot(routes: [
    try Example.route("codegate", index: 0) { $0.bodyLimit = 1000 },
    try Example.route("versioned", index: 1, host: "v.example.com", port: 8443, basePath: "/v2") {
      $0.hosts = [.init(name: "v.internal", port: nil), .init(name: "v.other", port: 9000)]
    },
    try Example.route("gateway", index: 2, host: "gw.example.com") {
      $0.allowsEmptySegments = true
      $0.upgradesToWebSocket = true
    },
    try Example.route("keyed", index: 3, connector: "header", options: ["name": "X-Api-Key"], host: "k.example.com") {
      $0.headers = [.init(name: "X-Tenant", value: .literal(Array("t1".utf8)))]
    },
    try Example.route("twin-a", index: 4, host: "twin.example.com"),
    try Example.route("twin-b", index: 5, host: "twin.example.com"),
    try Example.route("empty", index: 6, host: "e.example.com") { $0.missingSecrets = ["empty/token"] },
  ])
}

@Suite struct AddressingTests {
  @Test(arguments: [
    ("/codegate/api/v1?x=1", "codegate /api/v1?x=1"), ("/codegate/", "codegate /"), ("/codegate", "codegate /"),
    ("/codegate?q", "codegate /?q"), ("/codegate/codegate/x", "codegate /codegate/x"),
    ("/versioned/a", "versioned /v2/a"), ("/versioned", "versioned /v2"), ("/versioned/", "versioned /v2/"),
    ("/codegate/a%2Fb/-/c", "codegate /a%2Fb/-/c"), ("/codegate/a?", "codegate /a?"),
  ])
  func `a prefix is removed byte for byte`(_ target: String, _ expected: String) throws {
    #expect(try Example.destination(Example.get(target), snapshot()) == expected)
  }

  @Test(arguments: [
    "/", "/unknown/x", "/Codegate/x", "/codegat/x", "/codegate2/x", "/codegate%2Fx", "/%63odegate/x", "/?codegate",
  ])
  func `an unknown route is 404`(_ target: String) throws {
    #expect(try Example.problem(Example.get(target), snapshot())?.code == .unknownRoute)
  }

  @Test(arguments: ["codegate.localhost:7220", "CODEGATE.LOCALHOST:7220"])
  func `a Host of the route's name means the route`(_ host: String) throws {
    #expect(try Example.destination(Example.get("/api?x", host: host), snapshot()) == "codegate /api?x")
    #expect(try Example.destination(Example.get("/versioned/x", host: host), snapshot()) == "codegate /versioned/x")
  }

  @Test(arguments: [
    ("v.internal", "versioned /v2/x"), ("v.internal:7220", "versioned /v2/x"), ("V.Internal:80", "versioned /v2/x"),
    ("v.other:9000", "versioned /v2/x"),
  ])
  func `one of a route's hosts means the route`(_ host: String, _ expected: String) throws {
    #expect(try Example.destination(Example.get("/x", host: host), snapshot()) == expected)
  }

  @Test(arguments: [
    ("http://api.example.com/api?x", "codegate /api?x"), ("http://API.example.com:80/api", "codegate /api"),
    ("http://api.example.com:443/api", "codegate /api"), ("https://api.example.com/api", "codegate /api"),
    ("http://api.example.com", "codegate /"), ("http://api.example.com?q", "codegate /?q"),
    ("http://v.example.com:8443/v2/a", "versioned /v2/a"), ("http://v.example.com:8443/v2", "versioned /v2"),
    ("http://v.internal/a", "versioned /v2/a"), ("http://api.example.com/-/livez", "codegate /-/livez"),
    ("http://localhost:7220/codegate/a", "codegate /a"), ("http://127.0.0.1:7220/codegate/a", "codegate /a"),
    ("http://codegate.localhost:7220/a", "codegate /a"),
  ])
  func `row 26: an absolute target means the route with that upstream, whatever Host says (row 27)`(
    _ target: String, _ expected: String
  ) throws {
    for host in ["localhost:7220", "api.example.com", "evil.example.com"] {
      #expect(try Example.destination(Example.get(target, host: host), snapshot()) == expected)
    }
  }

  @Test(arguments: [
    "http://evil.example.com/", "http://api.example.com:8080/", "http://api.example.com.evil.com/",
    "https://v.example.com/v2/",
    "http://twin.example.com/", "http://localhost/", "http://localhost:7221/codegate/", "http://0.0.0.0:7220/codegate/",
  ])
  func `row 28: an absolute target with a foreign authority is 421`(_ target: String) throws {
    #expect(try Example.problem(Example.get(target), snapshot())?.code == .misdirected)
  }

  @Test(arguments: ["/v2x", "/", "", "/v1/a", "/V2/a"])
  func `an absolute target outside of the base path is 404`(_ path: String) throws {
    #expect(try Example.problem(Example.get("http://v.example.com:8443\(path)"), snapshot())?.code == .unknownRoute)
  }

  @Test func `a route's own listener has the whole path and leads nowhere else`() throws {
    let door = Door.route("versioned", port: 7001)
    #expect(
      try Example.destination(Example.get("/codegate/x", host: "localhost:7001"), snapshot(), door: door)
        == "versioned /v2/codegate/x")
    #expect(
      try Example.destination(Example.get("/x", host: "versioned.localhost:7001"), snapshot(), door: door)
        == "versioned /v2/x")
    #expect(
      try Example.destination(Example.get("http://v.example.com:8443/v2/x"), snapshot(), door: door)
        == "versioned /v2/x")
    for request in [
      Example.get("/x", host: "codegate.localhost:7001"),
      Example.get("http://api.example.com/", host: "localhost:7001"),
      Example.get("/x", host: "localhost:7220"),
    ] {
      #expect(try Example.problem(request, snapshot(), door: door)?.code == .misdirected)
    }
  }

  @Test func `a Unix socket has the same names, whatever the port`() throws {
    for host in ["localhost", "localhost:7220", "127.0.0.1", "codegate.localhost"] {
      let path = host.hasPrefix("codegate") ? "/x" : "/codegate/x"
      #expect(
        try Example.destination(Example.get(path, host: host), snapshot(), door: .everyone(port: nil)) == "codegate /x")
    }
    #expect(
      try Example.problem(Example.get("/codegate/x", host: "evil.com"), snapshot(), door: .everyone(port: nil))?.code
        == .misdirected)
  }
}

@Suite struct BrowserTests {
  @Test(
    arguments: [
      "evil.com", "evil.com:7220", "localhost", "localhost:7221", "127.0.0.1", "127.0.0.2:7220",
      "0.0.0.0:7220",
      "[::]:7220", "[::1]", "api.example.com", "api.example.com:7220", "codegate.localhost", "codegate.localhost:80",
      "unknown.localhost:7220", "codegate.localhost.evil.com:7220", "xlocalhost:7220", "localhost.evil.com:7220",
      "v.other", "v.other:7220",
    ])
  func `row 47: a Host that is not ours is 421 before anything else (T2.1)`(_ host: String) throws {
    for request in [
      Example.get("/codegate/x", host: host), Example.get("/-/livez", host: host),
      Example.request("OPTIONS * HTTP/1.1", "Host: \(host)"),
      Example.request("TRACE / HTTP/1.1", "Host: \(host)", "Origin: http://a"),
    ] {
      #expect(try Example.problem(request, snapshot(), caller: .unknown)?.code == .misdirected)
    }
  }

  @Test(arguments: ["localhost:7220", "LOCALHOST:7220", "127.0.0.1:7220", "[::1]:7220"])
  func `the listener's own names are these`(_ host: String) throws {
    #expect(try Example.destination(Example.get("/codegate/x", host: host), snapshot()) == "codegate /x")
  }

  @Test func `on port 80 the port goes without saying`() throws {
    #expect(
      try Example.destination(Example.get("/codegate/x", host: "localhost"), snapshot(), door: .everyone(port: 80))
        == "codegate /x")
  }

  @Test(arguments: [
    "Origin: http://localhost:7220", "Origin: null", "Sec-Fetch-Site: none", "sec-fetch-site: same-origin",
    "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: x",
    "Access-Control-Request-Private-Network: true",
    "Sec_Fetch_Site: none",
  ])
  func `what only pages send is 403 (T2.2), preflights included (T2.4)`(_ field: String) throws {
    for line in [
      "GET /codegate/x HTTP/1.1", "OPTIONS /codegate/x HTTP/1.1", "GET /-/livez HTTP/1.1",
      "GET http://api.example.com/ HTTP/1.1",
    ] {
      let request = Example.request(line, "Host: localhost:7220", field)
      #expect(try Example.problem(request, snapshot(), caller: .unknown)?.code == .browserRefused)
    }
  }

  @Test func `Node's fetch says Sec-Fetch-Mode and is no page`() throws {
    let request = Example.request(
      "GET /codegate/x HTTP/1.1", "Host: localhost:7220", "sec-fetch-mode: cors", "accept: */*")
    #expect(try Example.destination(request, snapshot()) == "codegate /x")
  }
}

@Suite struct EndpointTests {
  @Test(arguments: ["/-/livez", "/-/readyz"])
  func `health is answered on every listener, to anybody`(_ path: String) throws {
    for (door, host) in [
      (Door.everyone(port: 7220), "localhost:7220"), (.route("codegate", port: 7001), "localhost:7001"),
      (.everyone(port: nil), "localhost"),
      (.metrics(port: 9000), "127.0.0.1:9000"), (.everyone(port: 7220), "codegate.localhost:7220"),
    ] {
      let endpoint = try Example.endpoint(Example.get(path, host: host), snapshot(), door: door, caller: .unknown)
      #expect(endpoint == (path == "/-/livez" ? .livez : .readyz), "\(door)")
    }
  }

  @Test func `numbers are for callers, and for whoever reaches their own listener`() throws {
    let door = Door.metrics(port: 9000)
    #expect(try Example.problem(Example.get("/-/metrics"), snapshot(), caller: .unknown)?.code == .callerUnknown)
    #expect(try Example.endpoint(Example.get("/-/metrics"), snapshot()) == .metrics)
    let request = Example.get("/-/metrics", host: "localhost:9000")
    #expect(try Example.endpoint(request, snapshot(), door: door, caller: .unknown) == .metrics)
    #expect(
      try Example.problem(Example.get("/codegate/x", host: "localhost:9000"), snapshot(), door: door)?.code
        == .unknownRoute)
    #expect(
      try Example.problem(Example.get("http://api.example.com/", host: "localhost:9000"), snapshot(), door: door)?.code
        == .misdirected)
  }

  @Test(arguments: ["/-", "/-/", "/-/x", "/-/livez/", "/-/livez/x", "/-/LIVEZ"])
  func `nothing else is under our name`(_ path: String) throws {
    #expect(try Example.problem(Example.get(path), snapshot())?.code == .unknownRoute)
  }

  @Test func `only GET and HEAD work there`() throws {
    let problem = try Example.problem(Example.request("POST /-/livez HTTP/1.1", "Host: localhost:7220"), snapshot())
    #expect(problem?.code == .methodNotSupported && problem?.allow == .reading)
    #expect(
      try Example.endpoint(Example.request("HEAD /-/livez HTTP/1.1", "Host: localhost:7220"), snapshot()) == .livez)
  }

  @Test func `row 24: OPTIONS for the server is answered here, to callers`() throws {
    for request in [
      Example.request("OPTIONS * HTTP/1.1", "Host: localhost:7220"),
      Example.request("OPTIONS http://api.example.com HTTP/1.1", "Host: a"),
    ] {
      #expect(try Example.endpoint(request, snapshot()) == .options)
      #expect(try Example.problem(request, snapshot(), caller: .unknown)?.code == .callerUnknown)
    }
  }
}

@Suite struct RuleTests {
  @Test func `a caller that the kernel does not vouch for is 401, whatever it asks for`() throws {
    for target in ["/codegate/x", "/unknown", "http://api.example.com/"] {
      #expect(try Example.problem(Example.get(target), snapshot(), caller: .unknown)?.code == .callerUnknown)
    }
  }

  @Test(arguments: ["get", "PROPFIND", "QUERY", "Post"])
  func `rows 18 and 20: a method that the route does not allow is 405 with Allow`(_ method: String) throws {
    let problem = try Example.problem(
      Example.request("\(method) /codegate/x HTTP/1.1", "Host: localhost:7220"), snapshot())
    #expect(problem?.code == .methodNotSupported && problem?.allow == .forwarded && problem?.route == "codegate")
  }

  @Test(arguments: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
  func `the usual methods are forwarded`(_ method: String) throws {
    #expect(
      try Example.destination(Example.request("\(method) /codegate/x HTTP/1.1", "Host: localhost:7220"), snapshot())
        == "codegate /x")
  }

  @Test func `row 21: TRACE goes nowhere, with a body or without`() throws {
    for fields in [["Content-Length: 3"], []] {
      let request =
        (["TRACE /codegate/x HTTP/1.1", "Host: localhost:7220"] + fields).map { $0 + "\r\n" }.joined() + "\r\n"
      #expect(try Example.problem(request, snapshot())?.code == .methodNotSupported)
    }
  }

  @Test func `row 22: CONNECT is 405 and ends the connection, whatever its Host`() throws {
    let problem = try Example.problem(
      Example.request("CONNECT api.example.com:443 HTTP/1.1", "Host: api.example.com:443"), snapshot())
    #expect(problem?.code == .methodNotSupported && problem?.closes == true && problem?.allow == .forwarded)
  }

  @Test(arguments: ["/codegate//x", "/codegate/a//", "/codegate//"])
  func `row 41: empty segments pass where the route says so, and nowhere else`(_ target: String) throws {
    #expect(try Example.problem(Example.get(target), snapshot())?.code == .malformedRequest)
    let allowed = target.replacing("codegate", with: "gateway")
    #expect(try Example.destination(Example.get(allowed), snapshot()) == "gateway " + target.dropFirst(9))
  }

  @Test(arguments: ["X_Api_Key", "x-api_key", "X_API-KEY", "X_Tenant"])
  func `row 54: a name that is one of the route's but for an underscore is refused`(_ name: String) throws {
    let request = Example.request("GET /keyed/x HTTP/1.1", "Host: localhost:7220", "\(name): mine")
    #expect(try Example.problem(request, snapshot())?.code == .malformedRequest)
    #expect(try Example.destination(request.replacing("/keyed", with: "/codegate"), snapshot()) == "codegate /x")
  }

  @Test(arguments: ["X-Api-Key", "close, x-api-key", "X-TENANT"])
  func `row 101: Connection may not name what the route sets`(_ options: String) throws {
    let request = Example.request("GET /keyed/x HTTP/1.1", "Host: localhost:7220", "Connection: \(options)")
    #expect(try Example.problem(request, snapshot())?.code == .malformedRequest)
    #expect(try Example.destination(request.replacing("/keyed", with: "/codegate"), snapshot()) == "codegate /x")
  }

  @Test func `a header that the connector reads stands once`() throws {
    let text = #"{ "connector": "c", "title": "C", "set": { "headers": { "X-A": "${or(header.X-Org, 'none')}" } } }"#
    let connector = try #require(Connector.compile(source: Array(text.utf8), file: "c.jsonc").connector)
    let route = try Route(
      name: "r", index: 0,
      upstream: .init(isTLS: true, host: "a.example", port: 443, authority: "a.example", basePath: ""),
      connector: connector, secrets: [:], options: [:])
    let snapshot = Snapshot(routes: [route])
    func problem(_ fields: String...) throws -> Problem? {
      let lines = ["GET /r/x HTTP/1.1", "Host: localhost:7220"] + fields
      return try Example.problem(lines.map { $0 + "\r\n" }.joined() + "\r\n", snapshot)
    }
    #expect(try problem("X-Org: a", "X-Other: a", "X-Other: b") == nil)
    #expect(try problem("X-Org: a", "x-org: b") == Problem(HTTPError.duplicateField, route: "r"))
    #expect(try problem("X-Org: a", "X-ORG: a")?.code == .malformedRequest)
  }

  @Test func `row 73: a body longer than the route's limit is 413 before it is read`() throws {
    func problem(_ length: Int) throws -> Problem? {
      try Example.problem(
        Example.request("POST /codegate/x HTTP/1.1", "Host: localhost:7220", "Content-Length: \(length)"), snapshot())
    }
    #expect(try problem(1000) == nil)
    #expect(try problem(1001)?.code == .bodyTooLarge)
    #expect(try problem(1001)?.closes == true)
  }

  @Test func `a missing secret is named, with the command that stores it`() throws {
    let problem = try Example.problem(Example.get("/empty/x"), snapshot())
    #expect(problem?.code == .secretMissing && problem?.status == 424)
    #expect(problem?.hint == "chatelaine secret set empty/token")
  }

  @Test func `a stored header that cannot be sent refuses the request`() throws {
    let route = try Example.route("r") { $0.headers = [.init(name: "X-Key", value: .secret(Example.secret("abc\n")))] }
    let problem = try Example.problem(Example.get("/r/x"), Snapshot(routes: [route]))
    #expect(
      problem?.code == .secretMissing && problem?.detail.contains("X-Key") == true
        && problem?.detail.contains("abc") == false)
  }

  @Test func `rows 104 and 105: an upgrade and a 100 are planned only where they are due`() throws {
    func plan(_ lines: String...) throws -> Plan? {
      let request = lines.map { $0 + "\r\n" }.joined() + "\r\n"
      guard case .forward(let plan) = try Example.decide(request, snapshot()) else { return nil }
      return plan
    }
    let host = "Host: localhost:7220"
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket"
    #expect(try plan("GET /gateway/ws HTTP/1.1", host, upgrade)?.upgradesToWebSocket == true)
    #expect(try plan("GET /codegate/ws HTTP/1.1", host, upgrade)?.upgradesToWebSocket == false)
    #expect(try plan("POST /gateway/ws HTTP/1.1", host, upgrade)?.upgradesToWebSocket == false)
    #expect(
      try plan("GET /gateway/ws HTTP/1.1", host, "Connection: Upgrade\r\nUpgrade: h2c")?.upgradesToWebSocket == false)
    #expect(
      try plan("POST /codegate/x HTTP/1.1", host, "Expect: 100-continue", "Content-Length: 5")?.expectsContinue == true)
    #expect(
      try plan("POST /codegate/x HTTP/1.1", host, "Expect: 100-continue", "Content-Length: 0")?.expectsContinue == false
    )
    #expect(try plan("GET /codegate/x HTTP/1.1", host, "Expect: 100-continue")?.expectsContinue == false)
  }

  @Test func `no problem repeats anything of the request (I6)`() throws {
    let canary = "cAnArY"
    for request in [
      Example.get("/\(canary)/x"), Example.get("/codegate//\(canary)"),
      Example.get("/codegate/x", host: "\(canary):7220"),
      Example.get("http://\(canary)/"), Example.get("http://v.example.com:8443/\(canary)"), Example.get("/-/\(canary)"),
      Example.request("\(canary) /codegate/x HTTP/1.1", "Host: localhost:7220"),
      Example.request("CONNECT \(canary):443 HTTP/1.1", "Host: \(canary)"),
      Example.request("GET /codegate/\(canary) HTTP/1.1", "Host: localhost:7220", "Origin: http://\(canary)"),
      Example.request("GET /keyed/\(canary) HTTP/1.1", "Host: localhost:7220", "Connection: X-Tenant, \(canary)"),
      Example.get("/empty/\(canary)"),
    ] {
      let problem = try #require(try Example.problem(request, snapshot()), "\(request)")
      #expect(!Example.text(problem).contains(canary))
    }
    #expect(Example.text(Problem(.unknownRoute, "a detail with the \(canary)")).contains(canary))
  }
}
