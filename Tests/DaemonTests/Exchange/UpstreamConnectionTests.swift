import Broker
import Glibc
import Testing

@testable import Daemon
@testable import Net

private let hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

@Test func `a connection is used again by the same loop, and by no other`() throws {
  let upstream = try Upstream.answering(hello)
  let bed = try Bed(upstream)
  for _ in 0..<3 { #expect(try bed.ask(request("GET", "/x"), loop: 0).text == "hello") }
  #expect(try bed.ask(request("GET", "/x"), loop: 1).text == "hello")
  #expect(upstream.connections.map(\.requests.count) == [3, 1])
  #expect(bed.numbers(0).dialled == 1)
  #expect(bed.numbers(0).reused == 2)
}

@Test func `requests at the same time have connections of their own, and both are kept`() throws {
  let gates = [Lock(false), Lock(false)]
  let upstream = try Upstream { [.wait(gates[$0.connection]), .send(hello)] }
  let bed = try Bed(upstream)
  let clients = try (0..<2).map { _ in try bed.connect() }
  for client in clients { client.send(request("GET", "/x")) }
  upstream.awaitRequests(2)
  for gate in gates { gate.signal { $0 = true } }
  for client in clients { #expect(client.answer().text == "hello") }
  #expect(bed.idle() == 2)
  #expect(upstream.connections.count == 2)
}

@Test func `as many connections are kept as were in use at once`() throws {
  let gates = (0..<100).map { _ in Lock(false) }
  let upstream = try Upstream { $0.number == 0 ? [.wait(gates[$0.connection]), .send(hello)] : [.send(hello)] }
  let bed = try Bed(upstream)
  let clients = try gates.map { _ in try bed.connect() }
  for client in clients { client.send(request("GET", "/x")) }
  upstream.awaitRequests(100)
  for gate in gates { gate.signal { $0 = true } }
  for client in clients { #expect(client.answer().text == "hello") }
  #expect(bed.idle() == 100)
  for client in clients { client.send(request("GET", "/x")) }
  for client in clients { #expect(client.answer().text == "hello") }
  #expect(bed.numbers().dialled == 100)
}

@Test func `an idle connection that ends, is reset or is spoken on is let go at once`() throws {
  for step in [Upstream.Step.close, .reset, .send("HTTP/1.1 408 Request Timeout\r\n\r\n")] {
    let gate = Lock(false)
    let upstream = try Upstream { request in [.send(hello)] + (request.connection == 0 ? [.wait(gate), step] : []) }
    let bed = try Bed(upstream)
    #expect(try bed.ask(request("GET", "/x")).text == "hello")
    #expect(bed.idle() == 1)
    gate.signal { $0 = true }
    eventually("the pool is empty") { bed.idle() == 0 ? () : nil }
    #expect(try bed.ask(request("POST", "/x", "Content-Length: 0\r\n")).text == "hello")
    #expect(bed.numbers().retried == 0, "nobody was sent on it any more")
  }
}

@Test func `a connection that its answer ends is not kept`() throws {
  for answer in [
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
  ] {
    let upstream = try Upstream.answering(answer)
    let bed = try Bed(upstream)
    for _ in 0..<2 { #expect(try bed.ask(request("GET", "/x")).text == "hello") }
    #expect(bed.idle() == 0)
    #expect(upstream.connections.count == 2)
  }
}

@Test func `a connection made for one uid is not used for another`() throws {
  let upstream = try Upstream.answering(hello)
  let bed = try Bed(upstream)
  #expect(try bed.ask(request("GET", "/x")).text == "hello")
  let owner = bed.look { [own = geteuid()] worker -> [Bool] in
    guard let route = worker.deployment.snapshot.routes.first else { return [] }
    let state = worker.state(of: route)
    let other = state.take(for: own + 1, now: worker.loop.now) != nil
    return [other, state.take(for: own, now: worker.loop.now) != nil]
  }
  #expect(owner == [false, true])
}

@Test func `who is not the daemon's own user reaches no upstream`() throws {
  let upstream = try Upstream.answering(hello)
  let bed = try Bed(upstream)
  for uid in [geteuid() + 1, nil] {
    let client = try bed.connect(uid: uid)
    #expect(client.ask(request("GET", "/x")).problem == "caller_unknown")
    #expect(client.ask("GET /-/livez HTTP/1.1\r\nHost: localhost\r\n\r\n").text == "ok\n")
    #expect(client.ask("GET /-/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").problem == "caller_unknown")
  }
  #expect(upstream.connections.isEmpty)
}
