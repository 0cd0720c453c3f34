import Broker
import Bytes
import Glibc
import HTTP
import Testing

@testable import Daemon
@testable import Net

private let hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

// MARK: One after another

@Test func `requests sent in one go are answered in order, one at a time`() throws {
  let upstream = try Upstream { request in
    let head = "HTTP/1.1 200 OK\r\nContent-Length: \(request.target.utf8.count)\r\n\r\n"
    return [.body, .send(request.method == "HEAD" ? head : head + request.target)]
  }
  let bed = try Bed(upstream)
  let client = try bed.connect()
  client.send(
    request("GET", "/1") + request("POST", "/2", body: "body") + request("HEAD", "/3")
      + request("PUT", "/4", "Transfer-Encoding: chunked\r\n") + "1\r\nx\r\n0\r\n\r\n" + request("GET", "/5"))
  #expect(client.answer().text == "/1")
  #expect(client.answer().text == "/2")
  #expect(client.answer(isHEAD: true).field("content-length") == "2")
  #expect(client.answer().text == "/4")
  #expect(client.answer().text == "/5")
  #expect(upstream.connections.count == 1)
  #expect(upstream.requests.map(\.target) == ["/1", "/2", "/3", "/4", "/5"])
}

@Test func `a long row of requests is answered to the end, and others are served between`() throws {
  let upstream = try Upstream.answering(hello)
  let bed = try Bed(upstream)
  let busy = try bed.connect()
  busy.send(String(repeating: "GET /-/livez HTTP/1.1\r\nHost: localhost\r\n\r\n", count: 1000))
  #expect(try bed.ask(request("GET", "/x")).text == "hello")
  var answers = 0
  while answers < 1000, busy.answer().text == "ok\n" { answers += 1 }
  #expect(answers == 1000)
}

@Test func `nothing is read behind an error`() throws {
  let upstream = try Upstream.answering(hello)
  let bed = try Bed(upstream)
  for wrong in ["GET /r/x HTTP/1.1\r\nHost : localhost\r\n\r\n", "GET /r/x HTTP/2.0\r\nHost: localhost\r\n\r\n"] {
    let client = try bed.connect()
    client.send(wrong + request("GET", "/smuggled"))
    let (bytes, end) = client.rest()
    #expect(String(decoding: bytes, as: UTF8.self).components(of: "X-Request-Id: ").count == 2, "one answer")
    #expect(end == .end)
  }
  #expect(upstream.connections.isEmpty)
}

@Test func `what is no HTTP is closed without a word`() throws {
  let bed = try Bed(try Upstream.answering(hello))
  let client = try bed.connect()
  client.socket.write([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03])
  let (bytes, end) = client.rest()
  #expect(bytes.isEmpty)
  #expect(end == .end || end == .reset)
}

@Test func `an answer that ends the connection says so, and ends it`() throws {
  let bed = try Bed(try Upstream.answering(hello))
  for fields in [request("GET", "/x", "Connection: close\r\n"), request("GET", "/x", version: "1.0")] {
    let client = try bed.connect()
    let answer = client.ask(fields)
    #expect(answer.field("connection") == "close")
    #expect(client.rest().end == .end)
  }
}

@Test func `a connection holds no exchange between requests`() throws {
  let bed = try Bed(try Upstream.answering(hello))
  let client = try bed.connect()
  #expect(client.ask(request("GET", "/x")).text == "hello")
  let (all, busy) = bed.look { worker in
    var (all, busy) = (0, 0)
    worker.loop.forEachHandler { handler in
      guard let client = handler as? ClientConnection else { return }
      all += 1
      if !client.isIdle { busy += 1 }
    }
    return (all, busy)
  }
  #expect((all, busy) == (1, 0))
}

// MARK: Early answers

@Test(arguments: ["bearer", "codegate"])
func `an answer that comes before the body has is passed on, and the connection ends so that it is read`(
  _ connector: String
) throws {
  let upstream = try Upstream { _ in [.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nlarge"), .hang]
  }
  let bed = try Bed(upstream)
  let client = try bed.connect()
  client.send(request("POST", "/x", "Content-Length: 1000000\r\n") + "begun")
  let answer = client.answer()
  #expect(answer.status == 413)
  #expect(answer.text == "large")
  #expect(answer.field("connection") == "close")
  // What the client still sends is taken, so that no reset destroys the answer.
  for _ in 0..<4 {
    #expect(client.socket.write([UInt8](repeating: 0x78, count: 8 << 10)))
    bed.look { _ in }
  }
  client.socket.finish()
  #expect(client.rest().end == .end)
  #expect(upstream.settled().count == 1)
  #expect(bed.idle() == 0, "half a request was sent on it")
}

@Test func `a body that nobody wants any more is not read without end`() throws {
  let bed = try Bed(try Upstream.answering(hello))
  let client = try bed.connect()
  client.send("POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n")
  #expect(client.answer().problem == "unknown_route")
  let block = [UInt8](repeating: 0x78, count: 64 << 10)
  var taken = 0
  while taken < 100_000_000, client.socket.write(block) { taken += block.count }
  #expect(taken < 20 << 20)
}

@Test func `100 Continue is sent when the request is decided, and never for one that is refused`() throws {
  let upstream = try Upstream.answering(hello)
  let bed = try Bed(upstream)
  let client = try bed.connect()
  client.send(request("POST", "/x", "Expect: 100-continue\r\nContent-Length: 4\r\n"))
  #expect(client.read(until: "HTTP/1.1 100 Continue\r\n\r\n"))
  client.send("body")
  #expect(client.answer().text == "hello")
  #expect(!upstream.connections[0].text.contains("Expect"))
  let refused = try bed.connect()
  let answer = refused.ask(
    "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
  #expect(answer.interims == [])
  #expect(answer.status == 404)
  #expect(answer.field("connection") == "close")
}

// MARK: Slow ones

@Test func `a client that does not read keeps no more than a limit in memory, and the upstream waits`() throws {
  let size = 64 << 20
  let upstream = try Upstream { _ in
    [.send("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n"), .fill(size)]
  }
  let bed = try Bed(upstream)
  let client = try bed.connect(room: 16 << 10, sendRoom: 16 << 10)
  client.send(request("GET", "/x"))
  bed.onExchange { $0.clientOutput.count >= Exchange.highWater ? () : nil }
  // The daemon has stopped; once it goes on, everything arrives.
  let limit = Exchange.highWater + 2 * Exchange.bodyRoom
  #expect(bed.onExchange { $0.clientOutput.count + $0.upstreamInput.count < limit ? true : nil } == true)
  #expect(client.read(until: "\r\n\r\n"))
  var received = client.takeInput().count
  while received < size, case .bytes(let bytes) = client.socket.read() { received += bytes.count }
  #expect(received == size)
}

@Test func `small chunks for a slow client do not pile up in front of it`() throws {
  let chunks = String(repeating: "1\r\nx\r\n", count: 500_000)
  let upstream = try Upstream { _ in
    [.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + "0\r\n\r\n")]
  }
  let bed = try Bed(upstream)
  let client = try bed.connect(room: 8 << 10, sendRoom: 8 << 10)
  client.send(request("GET", "/x"))
  bed.onExchange { $0.clientOutput.count >= Exchange.highWater ? () : nil }
  var most = 0
  for _ in 0..<200 {
    guard case .bytes = client.socket.read(upTo: 8 << 10) else { break }
    most = max(most, bed.onExchange { $0.upstreamInput.count } ?? 0)
  }
  #expect(most <= Exchange.highWater + Exchange.bodyRoom)
}

@Test func `an upstream that does not read keeps no more than a limit in memory, and the client waits`() throws {
  let gate = Lock(false)
  let upstream = try Upstream { _ in [.wait(gate), .body, .send(hello)] }
  let bed = try Bed(upstream)
  let size = 32 << 20
  let client = try bed.connect()
  client.send(request("PUT", "/x", "Content-Length: \(size)\r\n"))
  let socket = client.socket
  try Thread.start("sender") {
    let block = [UInt8](repeating: 0x78, count: 64 << 10)
    for _ in 0..<size / block.count { socket.write(block) }
  }
  bed.onExchange { $0.upstreamOutput.count >= Exchange.highWater ? () : nil }
  let limit = Exchange.highWater + 2 * Exchange.bodyRoom
  #expect(bed.onExchange { $0.upstreamOutput.count + $0.clientInput.count < limit ? true : nil } == true)
  gate.signal { $0 = true }
  #expect(client.answer().text == "hello")
  #expect(upstream.connections[0].bytes.count > size)
}

// MARK: Deadlines

@Test func `an upstream that says nothing is given up after first_byte, and is not asked again`() throws {
  let upstream = try Upstream { _ in [.body, .hang] }
  let bed = try Bed(upstream, timeouts: 100, route: #""retry": { "attempts": 3 },"#)
  let client = try bed.connect()
  for target in ["/a", "/b"] {
    let answer = client.ask(request("PUT", target, body: "body"))
    #expect(answer.problem == "upstream_timeout")
    #expect(answer.field("proxy-status")?.contains("http_response_timeout") == true)
    #expect(upstream.count(target) == 1)
  }
  #expect(bed.idle() == 0)
}

@Test func `first_byte ends with the response's head however that trickles, and idle begins with its body`() throws {
  let head = "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n"
  let upstream = try Upstream { request in
    switch request.target {
    case "/silent": [.hang]
    case "/head": [.trickle(head + String(repeating: "x", count: 30), 20)]
    case "/stalled": [.send(head + "hello"), .hang]
    default: [.send(head), .trickle(String(repeating: "x", count: 30), 20)]
    }
  }
  let soon = try Bed(upstream, timeouts: 250, idle: 60_000)
  let late = try Bed(upstream, timeouts: 60_000, idle: 250)
  let started = Clock.milliseconds()
  #expect(try soon.ask(request("GET", "/silent")).problem == "upstream_timeout")
  #expect(try soon.ask(request("GET", "/head")).problem == "upstream_timeout")
  #expect(try soon.ask(request("GET", "/body")).isWhole)
  let stalled = try late.ask(request("GET", "/stalled"))
  #expect(!stalled.isWhole && stalled.isDecided && stalled.text == "hello")
  #expect(try late.ask(request("GET", "/body")).body.count == 30)
  #expect((700...10_000).contains(Clock.milliseconds() - started))
}

@Test func `a name that answers to nobody is given up after connect`() throws {
  // A listener whose queue is full takes no connection and refuses none.
  let full = try FullListener()
  let upstream = try Upstream.answering(hello)
  let bed = try Bed(upstream, port: full.port, connect: 50)
  #expect(try bed.ask(request("GET", "/x")).problem == "upstream_timeout")
}

@Test func `half a head is answered with 408 when its time is over`() throws {
  let bed = try Bed(try Upstream.answering(hello))
  let client = try bed.connect()
  client.send("GET /r/x HTTP/1.1\r\nHost: loc")
  bed.onExchange { exchange -> Bool? in
    guard exchange.phase == .head, exchange.clientInput.count > 20 else { return nil }
    exchange.deadlinePassed()
    return true
  }
  let answer = client.answer()
  #expect(answer.status == 408)
  #expect(answer.problem == "request_timeout")
  #expect(answer.field("connection") == "close")
}

@Test(arguments: ["bearer", "codegate"])
func `a body slower than 1 KiB a second is answered with 408 after its ten seconds, and not before`(
  _ connector: String
) throws {
  let upstream = try Upstream { _ in [.body, .hang] }
  let bed = try Bed(upstream, connector: connector)
  let client = try bed.connect()
  client.send(request("POST", "/x", "Content-Length: 100000\r\n") + String(repeating: "x", count: 5000))
  let early = bed.onExchange { exchange -> Bool? in
    guard exchange.requestBody.received == 5000, exchange.bodySince > 0, exchange.upstreamOutput.isEmpty else {
      return nil
    }
    exchange.bodySince -= Patience().bodyGrace - 1000
    exchange.deadlinePassed()
    let early = exchange.phase == .finishing || exchange.phase == .lingering
    exchange.bodySince -= 1000
    exchange.deadlinePassed()
    return early
  }
  #expect(early == false)
  #expect(client.answer().problem == "request_timeout")
  #expect(upstream.settled().filter { Sent.isComplete($0.bytes) }.isEmpty)
}

// MARK: Draining

@Test func `an answer that has begun before draining does so to its end, and its connection ends with it`() throws {
  let gate = Lock(false)
  let upstream = try Upstream { _ in [.send(hello.prefix(utf8: 40)), .wait(gate), .send("llo")] }
  let bed = try Bed(upstream)
  let client = try bed.connect()
  client.send(request("GET", "/x"))
  #expect(client.read(until: "\r\n\r\n"))
  bed.crew.drain {}
  #expect(bed.look { $0.isDraining })
  gate.signal { $0 = true }
  let (bytes, end) = client.rest()
  #expect(String(decoding: bytes, as: UTF8.self) == "hello")
  #expect(end == .end)
}

@Test func `draining lets what is under way finish, closes the rest, and then tells`() throws {
  let gate = Lock(false)
  let upstream = try Upstream { _ in [.wait(gate), .send(hello)] }
  let bed = try Bed(upstream)
  let busy = try bed.connect()
  busy.send(request("GET", "/x"))
  upstream.awaitRequests(1)
  let quiet = try bed.connect(loop: 1)
  let done = Lock(false)
  bed.crew.drain { done.signal { $0 = true } }
  #expect(quiet.rest().end == .end)
  #expect(bed.look { $0.isDraining })
  #expect(!done.withLock { $0 })
  gate.signal { $0 = true }
  let answer = busy.answer()
  #expect(answer.text == "hello")
  #expect(answer.field("connection") == "close")
  busy.socket.finish()
  #expect(busy.rest().end == .end)
  eventually("drained") { done.withLock { $0 } ? () : nil }
}
