import Testing

@testable import Daemon
@testable import Net

/// What happens behind the bytes that the upstream does send.
enum Fault: String, CaseIterable, Sendable {
  case close, reset, hang

  var step: Upstream.Step {
    switch self {
    case .close: .close
    case .reset: .reset
    case .hang: .hang
    }
  }
}

struct Shape: Sendable, CustomTestStringConvertible {
  var name: String
  /// As the upstream sends it.
  var response: String
  /// As the client is to get it.
  var body = "hello"
  var status = 200

  var testDescription: String { name }
  var count: Int { response.utf8.count }
  /// Bytes up to the end of the final head.
  var headCount: Int { (Array(response.utf8).firstIndex(ofSequence: "\r\n\r\n", from: finalStart) ?? 0) }
  private var finalStart: Int { Array(response.utf8).firstIndex(ofSequence: "</a>\r\n\r\n") ?? 0 }
  /// Only the connection's end says where the body ends.
  var endsWithConnection: Bool { name == "no length" }
  /// A client of HTTP/1.1 gets it in chunks.
  var isRechunked: Bool { name == "no length" || name == "chunks" }

  static let all = [
    Shape(name: "length", response: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    Shape(
      name: "chunks",
      response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\nX: y\r\n\r\n"),
    Shape(name: "no length", response: "HTTP/1.1 200 OK\r\n\r\nhello"),
    Shape(name: "HTTP/1.0", response: "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    Shape(name: "no body", response: "HTTP/1.1 204 No Content\r\nX: y\r\n\r\n", body: "", status: 204),
    Shape(
      name: "interim in front",
      response: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
  ]
}

/// The upstream that sends the first `n` bytes for `/n`, and then does what it is to do.
private func cutting(_ shape: Shape, _ fault: Fault) throws -> Upstream {
  try Upstream { request in
    let count = Int(request.target.dropFirst().prefix { $0 != "?" }) ?? 0
    return [.body, .send(String(shape.response.prefix(utf8: count))), fault.step]
  }
}

/// Clients of one loop that ask at every offset at once, each on a connection of its own.
private func clients(_ bed: Bed, _ shape: Shape, loop: Int, _ ask: (Int) -> String) throws -> [Client] {
  try (0...shape.count).map { count in
    let client = try bed.connect(loop: loop)
    client.send(ask(count))
    return client
  }
}

extension Fault {
  /// Milliseconds to wait for an upstream: as long as it takes where it is not waited for in vain, and where it is, as long as a
  /// slow machine may take.
  fileprivate var timeout: Int { self == .hang ? 1500 : 4000 }
}

/// What a client made of an answer, in a few words.
func verdict(_ answer: Answer) -> String {
  if let problem = answer.problem { return "\(answer.isWhole ? "" : "half a ")problem \(answer.status) \(problem)" }
  if answer.isWhole { return "whole \(answer.status) \(answer.text)" }
  return answer.isDecided ? "broken \(answer.status)" : "hangs"
}

/// What it may make of the first `count` bytes of a response and what happens then.
private func promised(_ shape: Shape, _ fault: Fault, _ count: Int) -> [String] {
  let whole = "whole \(shape.status) \(shape.body)"
  // A reset may overtake the bytes in front of it: then they are lost, and that must show.
  let lost = ["broken \(shape.status)", "problem 502 upstream_truncated", "problem 502 upstream_protocol"]
  if shape.endsWithConnection, fault == .close, count >= shape.headCount {
    return ["whole 200 \(shape.body.prefix(utf8: count - shape.headCount))"]
  }
  if count == shape.count, !shape.endsWithConnection { return fault == .reset ? [whole] + lost : [whole] }
  if count >= shape.headCount { return fault == .reset ? lost : ["broken \(shape.status)"] }
  return fault == .hang ? ["problem 504 upstream_timeout"] : Array(lost.dropFirst())
}

/// Those of the answers that are not what was promised.
private func surprises(_ answers: [Answer], _ shape: Shape, _ fault: Fault) -> [String] {
  answers.enumerated().compactMap { count, answer in
    let verdict = verdict(answer)
    return promised(shape, fault, count).contains(verdict) ? nil : "\(count): \(verdict)"
  }
}

@Test(arguments: Shape.all, Fault.allCases)
func `a response cut at any byte is whole or visibly broken, is asked for once, and its connection is not kept`(
  _ shape: Shape, _ fault: Fault
) throws {
  let upstream = try cutting(shape, fault)
  let bed = try Bed(upstream, timeouts: fault.timeout)
  let new = try clients(bed, shape, loop: 0) { request("GET", "/\($0)") }
  let old = try clients(bed, shape, loop: 1) { request("GET", "/\($0)?", version: "1.0") }
  #expect(surprises(new.map { $0.answer() }, shape, fault) == [], "to HTTP/1.1")
  #expect(surprises(old.map { $0.answer() }, shape, fault) == [], "to HTTP/1.0")
  let targets = (0...shape.count).flatMap { ["/\($0)", "/\($0)?"] }
  #expect(targets.filter { upstream.count($0) != 1 } == [], "asked for once each")
  // Only what ended by its own framing can have left a good connection behind.
  let mayBeKept = !shape.endsWithConnection && shape.name != "HTTP/1.0"
  for loop in 0..<2 {
    let idle = bed.idle(loop)
    #expect(idle <= (mayBeKept ? 1 : 0))
    if fault == .hang { #expect(idle == (mayBeKept ? 1 : 0), "a good connection is kept") }
  }
}

@Test(arguments: Fault.allCases, ["", "body"])
func `a POST is sent once wherever its response is cut, on a kept connection too`(
  _ fault: Fault, _ body: String
) throws {
  let shape = Shape.all[0]
  let upstream = try Upstream { request in
    guard let count = Int(request.target.dropFirst()) else { return [.send(shape.response)] }
    return [.body, .send(String(shape.response.prefix(utf8: count))), fault.step]
  }
  let bed = try Bed(upstream, timeouts: fault.timeout)
  let clients = try (0..<shape.count).map { _ in try bed.connect() }
  // As many kept connections as there will be requests.
  for client in clients { client.send(request("GET", "/warm")) }
  for client in clients { #expect(client.answer().text == "hello") }
  for (count, client) in clients.enumerated() { client.send(request("POST", "/\(count)", body: body)) }
  #expect(surprises(clients.map { $0.answer() }, shape, fault) == [])
  #expect(clients.indices.filter { upstream.count("/\($0)") != 1 } == [], "sent once each")
  #expect(upstream.requests.contains { $0.method == "POST" && $0.number > 0 }, "none went over a kept connection")
}

@Test(arguments: [Fault.close, .reset])
func `a GET on a kept connection that ends without a byte is sent once more, and after one byte is not`(
  _ fault: Fault
) throws {
  let upstream = try Upstream { request in
    switch request.target {
    case "/stale" where request.number > 0: [fault.step]
    case "/begun" where request.number > 0: [.send("H"), fault.step]
    default: [.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")]
    }
  }
  let bed = try Bed(upstream)
  let client = try bed.connect()
  #expect(client.ask(request("GET", "/warm")).text == "hello")
  #expect(client.ask(request("GET", "/stale")).text == "hello")
  #expect(upstream.count("/stale") == 2)
  #expect(client.ask(request("GET", "/begun")).status == 502)
  #expect(upstream.count("/begun") == 1)
}

extension String {
  func prefix(utf8 count: Int) -> String { String(decoding: utf8.prefix(count), as: UTF8.self) }
}

// MARK: Whole ones, however they come

@Test(arguments: Shape.all)
func `a response that comes a byte at a time is the same`(_ shape: Shape) throws {
  let upstream = try Upstream { _ in [.drip(shape.response), .close] }
  let bed = try Bed(upstream)
  for version in ["1.1", "1.0"] {
    let answer = try bed.ask(request("GET", "/x", version: version))
    #expect(verdict(answer) == "whole \(shape.status) \(shape.body)")
    #expect(answer.interims == (version == "1.1" && shape.name == "interim in front" ? [103] : []))
    #expect((answer.field("transfer-encoding") == nil) == (version == "1.0" || !shape.isRechunked))
    if version == "1.0" { #expect(answer.field("connection") == "close") }
  }
}

@Test func `bytes behind a response reach nobody, and its connection is not kept`() throws {
  let endings = [
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
  ]
  for response in endings {
    let upstream = try Upstream { _ in [.send(response + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"), .hang] }
    let bed = try Bed(upstream)
    let client = try bed.connect()
    for _ in 0..<2 {
      let answer = client.ask(request("GET", "/x"))
      #expect(answer.isWhole)
      #expect(answer.surplus.isEmpty)
      #expect(!answer.text.contains("evil"))
    }
    #expect(bed.idle() == 0)
    #expect(upstream.connections.count == 2)
  }
}

@Test func `what HEAD is answered with has no body, whatever its fields say`() throws {
  let upstream = try Upstream { _ in [.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")] }
  let bed = try Bed(upstream)
  let client = try bed.connect()
  for _ in 0..<2 {
    let answer = client.ask(request("HEAD", "/x"))
    #expect(answer.isWhole)
    #expect(answer.field("content-length") == "5")
  }
  #expect(upstream.connections.count == 1)
}

@Test func `100 is swallowed, 102 and 103 are passed on to those who know them, and more than eight are too many`()
  throws
{
  let upstream = try Upstream { request in
    let count = Int(request.target.dropFirst()) ?? 0
    let codes = ["100 Continue", "102 Processing", "103 Early Hints"]
    let interims = (0..<count).map { "HTTP/1.1 \(codes[$0 % 3])\r\n\r\n" }
    return [.send(interims.joined() + "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")]
  }
  let bed = try Bed(upstream)
  let client = try bed.connect()
  let eight = client.ask(request("GET", "/8"))
  #expect(verdict(eight) == "whole 200 hello")
  #expect(eight.interims == [102, 103, 102, 103, 102])
  #expect(try bed.ask(request("GET", "/8", version: "1.0")).interims == [])
  let nine = client.ask(request("GET", "/9"))
  #expect(verdict(nine) == "problem 502 upstream_protocol")
  #expect(upstream.count("/9") == 1)
}

@Test func `interim responses without end do not keep a request alive`() throws {
  let upstream = try Upstream { _ in
    [.drip(String(repeating: "HTTP/1.1 103 Early Hints\r\n\r\n", count: 1000)), .hang]
  }
  let bed = try Bed(upstream)
  #expect(verdict(try bed.ask(request("GET", "/x"))) == "problem 502 upstream_protocol")
}

@Test(arguments: [
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "HTTP/2 200 OK\r\n\r\n", "garbage\r\n\r\n",
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
  "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
])
func `a response that breaks a rule is a 502, sent for once, and shows nothing of it`(_ response: String) throws {
  let upstream = try Upstream { _ in [.send(response), .hang] }
  let bed = try Bed(upstream)
  let answer = try bed.ask(request("GET", "/x"))
  #expect(verdict(answer) == "problem 502 upstream_protocol")
  #expect(answer.field("proxy-status")?.contains("http_protocol_error") == true)
  #expect(!answer.text.contains("garbage"))
  #expect(bed.idle() == 0)
  #expect(upstream.count("/x") == 1)
}

@Test func `a chunk that breaks a rule in the middle of a body cuts the client off`() throws {
  let upstream = try Upstream { _ in
    [.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"), .hang]
  }
  let bed = try Bed(upstream)
  for version in ["1.1", "1.0"] {
    #expect(verdict(try bed.ask(request("GET", "/x", version: version))) == "broken 200")
  }
  #expect(bed.idle() == 0)
}

@Test func `an event reaches the client as soon as the upstream has sent it`() throws {
  // The upstream sends nothing more until it is asked on another connection.
  let gate = Lock(false)
  let upstream = try Upstream { request in
    if request.target == "/next" {
      gate.signal { $0 = true }
      return [.send("HTTP/1.1 204 No Content\r\n\r\n")]
    }
    return request.target == "/events"
      ? [
        .send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"), .wait(gate),
        .send("data: 2\n\n"), .close,
      ] : []
  }
  let bed = try Bed(upstream)
  let client = try bed.connect()
  client.send(request("GET", "/events"))
  #expect(client.read(until: "data: 1\n\n"))
  #expect(try bed.ask(request("GET", "/next")).status == 204)
  #expect(client.read(until: "data: 2\n\n"))
  #expect(client.read(until: "0\r\n\r\n"))
}
