import Bytes
import Connector
import Glibc
import Testing

@testable import Daemon
@testable import Net

private let hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

// MARK: What the upstream gets

@Test func `the upstream gets the request as it was decided, with what the connector adds, and nothing else`() throws {
  let upstream = try Upstream.answering(hello)
  let bed = try Bed(upstream)
  let client = try bed.connect()
  let fields = "Accept: */*\r\nAuthorization: mine\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nCookie: a=b\r\n"
  #expect(client.ask(request("POST", "/a%2Fb?c=d+e", body: "body", fields)).text == "hello")
  #expect(
    client.ask(request("PUT", "", "Transfer-Encoding: chunked\r\n") + "4;x=y\r\nbody\r\n0\r\nT: r\r\n\r\n").status
      == 200)
  let host = "Host: 127.0.0.1:\(upstream.port)\r\n"
  let authorization = "Authorization: Bearer value-of-r/token\r\n"
  #expect(
    upstream.connections.map(\.text) == [
      "POST /a%2Fb?c=d+e HTTP/1.1\r\n\(host)Accept: */*\r\n\(authorization)Content-Length: 4\r\n\r\nbody"
        + "PUT / HTTP/1.1\r\n\(host)\(authorization)Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"
    ])
}

@Test(arguments: ["bearer", "codegate"])
func `a request that comes a byte at a time arrives the same`(_ connector: String) throws {
  let upstream = try Upstream.answering(hello)
  let bed = try Bed(upstream, connector: connector)
  let client = try bed.connect()
  let length = request("POST", "/length", body: "body")
  let chunked = request("POST", "/chunked", "Transfer-Encoding: chunked\r\n") + "2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n"
  for text in [length, chunked] {
    client.socket.drip(text)
    #expect(client.answer().text == "hello")
  }
  let bodies = upstream.connections[0].text.components(of: "\r\n\r\n")
  if connector == "bearer" {
    #expect(bodies[1].hasPrefix("bodyPOST"))
    #expect(unchunked(Array((bodies[2] + "\r\n\r\n").utf8))?.body == Array("body".utf8))
  } else {
    // Read whole, so sent with a length.
    #expect(bodies[1].hasPrefix("bodyPOST"))
    #expect(bodies[1].contains("Content-Length: 4"))
    #expect(bodies[2] == "body")
  }
}

// MARK: Requests that break off

/// A request with a body, and whether bytes received are one that is complete.
struct Sent: Sendable, CustomTestStringConvertible {
  var text: String
  var connector: String
  var testDescription: String { "\(connector): \(text.prefix { $0 != " " })" }

  static let all = ["bearer", "codegate"].flatMap { connector in
    [
      Sent(text: request("POST", "/x", body: "body"), connector: connector),
      Sent(
        text: request("PUT", "/x", "Transfer-Encoding: chunked\r\n") + "2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
        connector: connector),
    ]
  }

  static func isComplete(_ bytes: [UInt8]) -> Bool {
    guard let end = bytes.firstIndex(ofSequence: "\r\n\r\n") else { return false }
    let head = String(decoding: bytes[..<end], as: UTF8.self)
    if fieldValue("transfer-encoding", in: head) != nil { return unchunked(Array(bytes[end...])) != nil }
    return bytes.count - end == fieldValue("content-length", in: head).flatMap { Int($0) }
  }
}

@Test(arguments: Sent.all, [Fault.close, .reset])
func `a request cut at any byte never arrives whole, and leaves nothing behind`(_ sent: Sent, _ fault: Fault) throws {
  let upstream = try Upstream.answering(hello)
  let bed = try Bed(upstream, connector: sent.connector)
  for count in 0..<sent.text.utf8.count {
    var client: Client? = try bed.connect(loop: count % 2)
    client?.send(sent.text.prefix(utf8: count))
    if fault == .close {
      client?.socket.finish()
      #expect(client?.rest().end == .end, "cut at \(count)")
      #expect(client?.rest().bytes == [], "cut at \(count)")
    } else {
      client?.socket.resetOnClose()
    }
    client = nil
  }
  // A whole one behind them, so that all of them are done.
  for loop in 0..<2 { #expect(try bed.ask(sent.text, loop: loop).text == "hello") }
  bed.settle()
  #expect(bed.idle(0) + bed.idle(1) == 2)
  #expect(bed.crew.budget.total == 0)
  let received = upstream.settled(except: 2)
  #expect(received.count { Sent.isComplete($0.bytes) } == 2)
  if sent.connector == "codegate" { #expect(received.count == 2, "nothing goes out before all of it is there") }
}

@Test func `a request whose chunks break a rule is refused, and the upstream does not get a whole one`() throws {
  for connector in ["bearer", "codegate"] {
    let upstream = try Upstream.answering(hello)
    let bed = try Bed(upstream, connector: connector)
    let answer = try bed.ask(request("POST", "/x", "Transfer-Encoding: chunked\r\n") + "4\r\nbody\r\nzz\r\n\r\n")
    #expect(answer.status == 400)
    #expect(answer.problem == "malformed_request")
    #expect(answer.field("connection") == "close")
    #expect(upstream.settled().filter { Sent.isComplete($0.bytes) }.isEmpty)
    #expect(bed.idle() == 0)
  }
}

@Test(arguments: [Fault.close, .reset], ["bearer", "codegate"])
func `an upstream that ends while a body is on its way to it is a 502, or a visible end, and is sent nothing twice`(
  _ fault: Fault, _ connector: String
) throws {
  let upstream = try Upstream { _ in [fault.step] }
  let bed = try Bed(upstream, connector: connector)
  let size = 4 << 20
  let client = try bed.connect()
  client.send(request("PUT", "/x", "Content-Length: \(size)\r\n"))
  let socket = client.socket
  try Thread.start("sender") { socket.write([UInt8](repeating: 0x78, count: size)) }
  let answer = client.answer()
  #expect(answer.isDecided)
  if answer.isWhole { #expect(answer.status == 502) } else { #expect(answer.status == 0 || answer.status == 502) }
  #expect(upstream.settled().count == 1)
  #expect(bed.idle() == 0)
}

@Test func `a client that goes away while it waits takes its upstream connection with it`() throws {
  let upstream = try Upstream { _ in [.hang] }
  let bed = try Bed(upstream)
  var client: Client? = try bed.connect()
  client?.send(request("GET", "/x"))
  upstream.awaitRequests(1)
  client?.socket.resetOnClose()
  client = nil
  #expect(upstream.settled().map(\.end) == [.end])
  #expect(bed.idle() == 0)
  #expect(bed.numbers().statuses[0] == 1, "counted as ended without an answer")
}

@Test func `a client that has finished sending still gets its answer`() throws {
  let upstream = try Upstream { _ in [.body, .drip(hello)] }
  let bed = try Bed(upstream)
  let client = try bed.connect()
  client.send(request("GET", "/a") + request("POST", "/b", body: "body"))
  client.socket.finish()
  #expect(client.answer().text == "hello")
  #expect(client.answer().text == "hello")
  #expect(client.rest().end == .end)
}

// MARK: Bodies that are held

@Test func `a body over the limit is refused before and while it comes, and never arrives whole`() throws {
  for connector in ["bearer", "codegate"] {
    let upstream = try Upstream.answering(hello)
    let bed = try Bed(upstream, connector: connector, route: #""limits": { "body": "4B" },"#)
    let announced = try bed.ask(request("POST", "/x", body: "hello"))
    #expect(announced.problem == "body_too_large")
    #expect(announced.field("connection") == "close")
    let counted = try bed.ask(request("POST", "/x", "Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\n\r\n")
    #expect(counted.problem == "body_too_large")
    #expect(try bed.ask(request("POST", "/x", body: "four")).text == "hello")
    #expect(upstream.connections.count { Sent.isComplete($0.bytes) } == 1)
  }
}

@Test func `bodies that are held together have a limit, and give back what they took`() throws {
  let upstream = try Upstream.answering(hello)
  let bed = try Bed(upstream, connector: "codegate", top: #""limits": { "buffered": "1MiB" },"#)
  let block = String(repeating: "x", count: 600 << 10)
  for _ in 0..<4 { #expect(try bed.ask(request("POST", "/x", body: block)).text == "hello") }
  // One that stops just before its end holds its room.
  let holder = try bed.connect()
  holder.send(request("POST", "/held", body: block).prefix(utf8: 600 << 10))
  bed.onExchange { $0.body.count > 500 << 10 ? () : nil }
  #expect(try bed.ask(request("POST", "/x", body: block), loop: 1).problem == "overloaded")
  holder.socket.finish()
  #expect(holder.rest().end == .end)
  #expect(try bed.ask(request("POST", "/x", body: block)).text == "hello")
}

@Test func `a connector that changes bodies leaves the account of held bytes right`() throws {
  let connector = Catalog.File(
    name: "sealed.jsonc",
    bytes: Array(
      #"{ "connector": "sealed", "title": "t", "secrets": { "k": { "about": "a" } }, "set": { "json": { "sign": "${hex(sha256(secret.k))}" } } }"#
        .utf8))
  let upstream = try Upstream.answering(hello)
  let bed = try Bed(upstream, connector: "sealed", top: #""limits": { "buffered": "1MiB" },"#, files: [connector])
  // White space is what the connector's JSON leaves out.
  let body = "{ \"a\": " + String(repeating: " ", count: 200 << 10) + "1 }"
  for _ in 0..<10 { #expect(try bed.ask(request("POST", "/x", body: body)).status == 200) }
}

// MARK: Another try

@Test func `503 is asked again as often as the route says, with the same body, where the method allows it`() throws {
  let upstream = try Upstream { request in
    request.target.hasPrefix("/fails") || request.number + request.connection < 2
      ? [.body, .send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy")] : [.body, .send(hello)]
  }
  let bed = try Bed(upstream, route: #""retry": { "attempts": 2 },"#)
  #expect(try bed.ask(request("PUT", "/put", body: "body")).text == "hello")
  #expect(upstream.count("/put") == 3)
  #expect(upstream.connections.prefix(3).allSatisfy { $0.text.hasSuffix("\r\n\r\nbody") })
  #expect(try bed.ask(request("GET", "/fails")).text == "busy")
  #expect(upstream.count("/fails") == 3)
  #expect(try bed.ask(request("POST", "/fails/post", body: "body")).text == "busy")
  #expect(upstream.count("/fails/post") == 1)
  #expect(bed.numbers().retried == 4)
}

@Test func `an upstream that is not there is a 502, after one more attempt`() throws {
  var upstream: Upstream? = try Upstream.answering(hello)
  let bed = try Bed(try #require(upstream))
  upstream?.closeListener()
  upstream = nil
  let client = try bed.connect()
  for method in ["GET", "POST"] {
    let answer = client.ask(request(method, "/x", "Content-Length: 0\r\n"))
    #expect(answer.problem == "upstream_unreachable")
  }
  #expect(bed.numbers().retried == 2)
}

extension String {
  func components(of separator: String) -> [String] {
    var parts: [String] = []
    var rest = Array(utf8)[...]
    let wanted = Array(separator.utf8)
    var part: [UInt8] = []
    while let first = rest.first {
      if rest.starts(with: wanted) {
        parts.append(String(decoding: part, as: UTF8.self))
        part = []
        rest = rest.dropFirst(wanted.count)
      } else {
        part.append(first)
        rest = rest.dropFirst()
      }
    }
    return parts + [String(decoding: part, as: UTF8.self)]
  }
}
