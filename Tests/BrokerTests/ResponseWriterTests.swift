import Broker
import Bytes
import HTTP
import Testing

private let id = RequestID(high: 0xAB, low: 1)
private let idLine = "X-Request-Id: 00000000000000ab0000000000000001\r\n"

private func plan(
  _ request: String = Example.get("/codegate/x"), basePath: String = "", port: UInt16 = 443, cookies: Bool = false
) throws -> Plan {
  let route = try Example.route("codegate", port: port, basePath: basePath) { $0.passesCookies = cookies }
  return try #require(try Example.plan(request, Snapshot(routes: [route])))
}

/// The head that the client gets, how its body is sent, and whether the connection ends.
private func answer(
  _ response: String, _ plan: Plan, isHEAD: Bool = false, closes: Bool = false
) throws -> (text: String, framing: BodyFraming, closes: Bool) {
  let bytes = Array(response.utf8)
  var reader = ResponseReader()
  try #require(try reader.read(bytes.span, requestMethodIsHEAD: isHEAD))
  var out = Buffer()
  var closes = closes
  let framing = plan.appendResponse(reader.head, bytes.span, id: id, closes: &closes, to: &out)
  return (String(out.span), framing, closes)
}

@Test func `a response is written anew, with our phrase (row 118) and our id`() throws {
  let (text, framing, closes) = try answer(
    "HTTP/1.1 200 Whatever\r\nContent-Type: a/b\r\ncontent-length: 5\r\nX-Request-Id: theirs\r\n\r\n", plan())
  #expect(
    text
      == "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\ncontent-length: 5\r\nX-Upstream-Request-Id: theirs\r\n\(idLine)\r\n")
  #expect(framing == .length(5) && !closes)
}

@Test(arguments: [
  "Connection: keep-alive", "Connection: X-Hop", "Keep-Alive: timeout=5", "Proxy-Authenticate: Basic",
  "Proxy-Status: x", "Trailer: X",
  "TE: x", "Upgrade: h2c", "Set-Cookie: a=b", "Alt-Svc: h3", "Clear-Site-Data: *", "Access-Control-Allow-Origin: *",
  "Access-Control-Allow-Credentials: true", "access-control-expose-headers: x",
])
func `T3.8 and row 103: an upstream does not tell the client`(_ field: String) throws {
  let hop = field.hasSuffix("X-Hop") ? "X-Hop: 1\r\n" : ""
  let (text, _, _) = try answer("HTTP/1.1 204 x\r\n\(field)\r\n\(hop)ETag: x\r\n\r\n", plan())
  #expect(text == "HTTP/1.1 204 No Content\r\nETag: x\r\n\(idLine)\r\n")
}

@Test func `cookies come back where the route passes them`() throws {
  let (text, _, _) = try answer("HTTP/1.1 204 x\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n", plan(cookies: true))
  #expect(text.contains("\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n"))
}

@Test func `a body without a length is chunked again (row 126), and ends the connection of HTTP/1.0 (row 14)`() throws {
  let old = "GET /codegate/x HTTP/1.0\r\nHost: localhost:7220\r\n\r\n"
  for response in [
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n",
  ] {
    let modern = try answer(response, plan())
    #expect(modern.framing == .chunked && !modern.closes)
    #expect(modern.text == "HTTP/1.1 200 OK\r\n\(idLine)Transfer-Encoding: chunked\r\n\r\n")
    let ancient = try answer(response, plan(old))
    #expect(ancient.framing == .untilClose && ancient.closes)
    #expect(ancient.text == "HTTP/1.1 200 OK\r\n\(idLine)Connection: close\r\n\r\n")
  }
}

@Test func `HTTP/1.0 and Connection: close end the connection after any answer`() throws {
  let response = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
  for request in [
    "GET /codegate/x HTTP/1.0\r\nHost: localhost:7220\r\nConnection: keep-alive\r\n\r\n",
    Example.request("GET /codegate/x HTTP/1.1", "Host: localhost:7220", "Connection: close"),
  ] {
    let (text, framing, closes) = try answer(response, plan(request))
    #expect(closes && framing == .length(0) && text.contains("\r\nConnection: close\r\n"))
  }
  #expect(try answer(response, plan(), closes: true).text.contains("\r\nConnection: close\r\n"))
}

@Test func `row 123: a length stays with HEAD and 304 and goes with 204`() throws {
  for (status, isHEAD, stays) in [(200, true, true), (304, false, true), (204, false, false)] {
    let (text, framing, _) = try answer("HTTP/1.1 \(status) x\r\nContent-Length: 5\r\n\r\n", plan(), isHEAD: isHEAD)
    #expect(framing == .none)
    #expect(text.contains("Content-Length: 5\r\n") == stays)
    let coded = try answer("HTTP/1.1 \(status) x\r\nTransfer-Encoding: chunked\r\n\r\n", plan(), isHEAD: isHEAD)
    #expect(coded.framing == .none && !coded.text.contains("Transfer-Encoding"))
  }
}

@Test func `row 125: 205 says that it has no content`() throws {
  for fields in ["", "Content-Length: 0\r\n", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
    let (text, framing, _) = try answer("HTTP/1.1 205 x\r\n\(fields)\r\n", plan())
    #expect(framing == .none)
    #expect(text == "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\(idLine)\r\n")
  }
}

@Test func `row 121: an interim response has neither id nor length`() throws {
  let bytes = Array("HTTP/1.1 103 x\r\nLink: </a>\r\nContent-Length: 0\r\nSet-Cookie: a\r\n\r\n".utf8)
  var reader = ResponseReader()
  _ = try reader.read(bytes.span, requestMethodIsHEAD: false)
  var out = Buffer()
  try plan().appendInterim(reader.head, bytes.span, to: &out)
  #expect(String(out.span) == "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
}

@Test func `a response reads back as what was meant (I3)`() throws {
  let (text, _, _) = try answer(
    "HTTP/1.1 404\r\nContent-Length: 3\r\nContent-Encoding: br\r\nVary: a\r\nvary: b\r\nX-Name: J\u{FC}\r\n\r\n", plan()
  )
  let bytes = Array(text.utf8)
  var reader = ResponseReader()
  #expect(try reader.read(bytes.span, requestMethodIsHEAD: false))
  #expect(reader.head.status == 404 && reader.head.framing == .length(3) && reader.head.byteCount == bytes.count)
  #expect(text.contains("\r\nContent-Encoding: br\r\nVary: a\r\nvary: b\r\nX-Name: J\u{FC}\r\n"))
}

@Suite struct LocationTests {
  private func location(_ value: String, _ plan: Plan) throws -> String {
    let (text, _, _) = try answer("HTTP/1.1 302 Found\r\nLocation: \(value)\r\nContent-Length: 0\r\n\r\n", plan)
    let line = try #require(text.split(separator: "\r\n").first { $0.hasPrefix("Location: ") })
    return String(line.dropFirst(10))
  }

  @Test(arguments: [
    ("https://api.example.com/a/b?c#d", "/codegate/a/b?c#d"), ("HTTPS://API.Example.com/a", "/codegate/a"),
    ("http://api.example.com/a", "/codegate/a"), ("https://api.example.com:443/a", "/codegate/a"),
    ("https://api.example.com", "/codegate"), ("https://api.example.com?q", "/codegate?q"),
    ("//api.example.com/a", "/codegate/a"), ("/a/b", "/codegate/a/b"), ("/", "/codegate/"),
    ("a/b", "a/b"), ("?x", "?x"), ("../a", "../a"), ("", ""), ("#f", "#f"),
    ("https://other.example.com/a", "https://other.example.com/a"),
    ("https://api.example.com.evil.com/", "https://api.example.com.evil.com/"),
    ("https://api.example.com@evil.com/", "https://api.example.com@evil.com/"),
    ("https://evil.com/api.example.com", "https://evil.com/api.example.com"),
    ("https://api.example.com:8443/a", "https://api.example.com:8443/a"), ("//evil.com/a", "//evil.com/a"),
    ("https://api.example.com\\@evil.com/", "https://api.example.com\\@evil.com/"), ("/\\evil.com", "/\\evil.com"),
    ("mailto:a@api.example.com", "mailto:a@api.example.com"),
  ])
  func `T4.1: a redirect to the upstream leads back through the prefix`(_ value: String, _ expected: String) throws {
    #expect(try location(value, plan()) == expected)
  }

  @Test(arguments: [
    ("https://api.example.com:8443/v2/a", "/codegate/a"), ("/v2/a?b", "/codegate/a?b"), ("/v2", "/codegate"),
    ("/v2?x", "/codegate?x"),
    ("/v2x/a", "https://api.example.com:8443/v2x/a"), ("/login", "https://api.example.com:8443/login"),
    ("https://api.example.com:8443/other", "https://api.example.com:8443/other"),
    ("https://api.example.com/v2/a", "https://api.example.com/v2/a"),
  ])
  func `the base path is taken off, and what is outside of it is told in full`(_ value: String, _ expected: String)
    throws
  {
    #expect(try location(value, plan(basePath: "/v2", port: 8443)) == expected)
  }

  @Test func `by Host the path is the upstream's own`() throws {
    let plan = try plan(Example.get("/x", host: "codegate.localhost:7220"))
    #expect(try location("https://api.example.com/a", plan) == "/a")
    #expect(try location("https://api.example.com", plan) == "/")
    #expect(try location("https://api.example.com?q", plan) == "/?q")
    #expect(try location("/a", plan) == "/a")
    // A path that begins with two slashes would lead to another host.
    #expect(try location("https://api.example.com//evil.com/", plan) == "https://api.example.com//evil.com/")
    #expect(try location("https://api.example.com/\\evil.com/", plan) == "https://api.example.com/\\evil.com/")
  }

  @Test func `in absolute form the client goes on by plain HTTP`() throws {
    let plan = try plan(Example.get("http://api.example.com/v2/x"), basePath: "/v2")
    #expect(try location("https://api.example.com/v2/a", plan) == "http://api.example.com/v2/a")
    #expect(try location("/v2/a", plan) == "/v2/a")
    #expect(try location("https://other.example.com/", plan) == "https://other.example.com/")
  }
}

@Test func `who is refused by an upstream whose clock is far from ours is told so`() throws {
  for (status, skew, isTold) in [(401, -312, true), (403, 90, true), (401, 0, false), (200, 90, false)] {
    let bytes = Array("HTTP/1.1 \(status) x\r\nContent-Length: 0\r\n\r\n".utf8)
    var reader = ResponseReader()
    try #require(try reader.read(bytes.span, requestMethodIsHEAD: false))
    var out = Buffer()
    var closes = false
    _ = try plan().appendResponse(
      reader.head, bytes.span, id: id, closes: &closes, skew: Int64(skew), to: &out)
    #expect(String(out.span).contains("X-Chatelaine-Clock-Skew: \(skew)\r\n") == isTold)
  }
}
