import Broker
import Bytes
import HTTP
import Testing

private func snapshot() throws -> Snapshot {
  Snapshot(routes: [
    try Example.route("codegate", basePath: "/v2"),
    try Example.route(
      "keyed", index: 1, connector: "header", options: ["name": "X-Api-Key"], host: "k.example.com", port: 8443
    ) {
      $0.headers = [
        .init(name: "X-Tenant", value: .literal(Array("t1".utf8))),
        .init(name: "X-User", value: .secret(Example.secret("u"))),
      ]
      $0.passesCookies = true
      $0.upgradesToWebSocket = true
    },
    try Example.route("queried", index: 2, connector: "query", options: ["name": "key"], host: "q.example.com"),
  ])
}

@Test func `what the connector sets comes after what is stripped`() throws {
  let request = """
    POST /codegate/a%2Fb?x=1&y HTTP/1.1\r
    Host: localhost:7220\r
    User-Agent:  curl/8 \r
    authorization: mine\r
    Connection: keep-alive, X-Foo\r
    X-Foo: 1\r
    Transfer-Encoding: chunked\r
    \r\n
    """
  #expect(
    try Example.forwarded(request, snapshot()) == """
      POST /v2/a%2Fb?x=1&y HTTP/1.1\r
      Host: api.example.com\r
      User-Agent: curl/8\r
      Authorization: Bearer s3cret\r
      Transfer-Encoding: chunked\r
      \r\n
      """)
}

@Test func `the route's headers replace the caller's, in any case`() throws {
  let request = Example.request(
    "GET /keyed/x HTTP/1.1", "Host: localhost:7220", "x-tenant: mine", "X-USER: mine", "X-API-KEY: mine", "Accept: */*",
    "X-Tenants: 2")
  #expect(
    try Example.forwarded(request, snapshot())
      == Example.request(
        "GET /x HTTP/1.1", "Host: k.example.com:8443", "Accept: */*", "X-Tenants: 2", "X-Tenant: t1", "X-User: u",
        "X-Api-Key: s3cret"))
}

@Test func `a query that the connector changes is the connector's`() throws {
  let request = Example.get("/queried/x?key=mine&a=1")
  let sent = try #require(try Example.forwarded(request, snapshot()))
  #expect(sent.hasPrefix("GET /x?") && sent.contains("key=s3cret") && sent.contains("a=1") && !sent.contains("mine"))
}

@Test(arguments: [
  "Authorization: Basic x", "Proxy-Authorization: x", "Proxy-Connection: keep-alive", "Proxy-Foo: x", "Cookie: a=b",
  "Forwarded: for=x",
  "X-Forwarded-For: x", "X-Forwarded-Host: x", "X-Forwarded-Anything: x", "Via: x", "X-Real-IP: x",
  "X-HTTP-Method-Override: DELETE",
  "X-HTTP-Method: DELETE", "X-Method-Override: x", "X-Original-URL: /x", "X-Rewrite-URL: /x",
  "X-Chatelaine-Subject: alice",
  "X-Chatelaine-Token: x", "X-Chatelaine-Other: x", "Keep-Alive: x", "TE: trailers", "Trailer: x", "Upgrade: h2c",
  "HTTP2-Settings: x",
  "X_Forwarded_For: x", "X_Real_IP: x", "x_http_method_override: x", "Connection: keep-alive", "Expect: 100-continue",
])
func `T3.4 and row 103: it never goes upstream`(_ field: String) throws {
  for spelling in [field, field.lowercased(), field.split(separator: ":")[0].uppercased() + ": 100-continue"] {
    let request = Example.request("GET /codegate/x HTTP/1.1", "Host: localhost:7220", spelling, "Accept: */*")
    #expect(
      try Example.forwarded(request, snapshot())
        == Example.request("GET /v2/x HTTP/1.1", "Host: api.example.com", "Accept: */*", "Authorization: Bearer s3cret")
    )
  }
}

@Test func `cookies pass where the route says so`() throws {
  let request = Example.request("GET /keyed/x HTTP/1.1", "Host: localhost:7220", "Cookie: a=b")
  #expect(try Example.forwarded(request, snapshot())?.contains("\r\nCookie: a=b\r\n") == true)
}

@Test func `row 104: a WebSocket's handshake is written anew`() throws {
  let request = Example.request(
    "GET /keyed/x HTTP/1.1", "Host: localhost:7220", "Connection: keep-alive, Upgrade", "Upgrade: WebSocket",
    "Sec-WebSocket-Version: 13")
  let sent = try #require(try Example.forwarded(request, snapshot()))
  #expect(sent.contains("\r\nSec-WebSocket-Version: 13\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"))
}

@Test func `row 100: a body is announced as it is sent`() throws {
  func framing(_ lines: String...) throws -> String? {
    let request = lines.map { $0 + "\r\n" }.joined() + "\r\n"
    let sent = try #require(try Example.forwarded(request, snapshot()))
    let fields = sent.split(separator: "\r\n").filter {
      $0.hasPrefix("Content-Length") || $0.hasPrefix("Transfer-Encoding")
    }
    #expect(fields.count <= 1)
    return fields.first.map(String.init)
  }
  let host = "Host: localhost:7220"
  #expect(try framing("POST /codegate/x HTTP/1.1", host, "content-length: 5") == "Content-Length: 5")
  #expect(try framing("GET /codegate/x HTTP/1.1", host, "Content-Length: 5") == "Content-Length: 5")
  #expect(try framing("POST /codegate/x HTTP/1.1", host, "transfer-encoding: Chunked") == "Transfer-Encoding: chunked")
  #expect(try framing("POST /codegate/x HTTP/1.1", host) == "Content-Length: 0")
  #expect(try framing("PUT /codegate/x HTTP/1.0", host) == "Content-Length: 0")
  #expect(try framing("GET /codegate/x HTTP/1.1", host) == nil)
  #expect(try framing("DELETE /codegate/x HTTP/1.1", host, "Content-Length: 0") == "Content-Length: 0")
}

@Test func `row 64: repeated fields stay as many as they were, obs-text as it was (row 59)`() throws {
  let request = Example.request(
    "GET /codegate/x HTTP/1.1", "Host: localhost:7220", "Accept: a/b", "accept: c/d", "X-Name: J\u{FC}rgen")
  let sent = try #require(try Example.forwarded(request, snapshot()))
  #expect(sent.contains("\r\nAccept: a/b\r\naccept: c/d\r\nX-Name: J\u{FC}rgen\r\n"))
}

@Test func `what is written reads back as what was meant (I3)`() throws {
  let request = Example.request(
    "POST /codegate/a%2Fb;c=d?x=%00&&y HTTP/1.1", "Host: localhost:7220", "A: b \t c", "Empty:", "Content-Length: 7",
    "Date: x")
  let sent = Array(try #require(try Example.forwarded(request, snapshot())).utf8)
  var reader = RequestReader()
  try #require(try reader.read(sent.span))
  let head = reader.head
  #expect(head.byteCount == sent.count && head.framing == .length(7) && !head.wantsClose)
  #expect(String(sent.span.extracting(head.path)) == "/v2/a%2Fb;c=d")
  #expect(head.query.map { String(sent.span.extracting($0)) } == "x=%00&&y")
  let fields = head.fields.map { String(sent.span.extracting($0.name)) + "=" + String(sent.span.extracting($0.value)) }
  #expect(
    fields == [
      "Host=api.example.com", "A=b \t c", "Empty=", "Date=x", "Authorization=Bearer s3cret", "Content-Length=7",
    ])
}

@Test func `a header that the connector reads is the one that is forwarded`() throws {
  let request = Example.request("GET /codegate/x HTTP/1.1", "Host: localhost:7220", "Accept: */*")
  let plan = try #require(try Example.plan(request, snapshot()))
  let bytes = Array(request.utf8)
  var reader = RequestReader()
  _ = try reader.read(bytes.span)
  var values: [Range<Int>?] = [0..<1]
  plan.findReadHeaders(reader.head, bytes.span, into: &values)
  #expect(values.isEmpty)
}
