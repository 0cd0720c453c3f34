import Broker
import Glibc
import JSON
import Testing

@testable import Daemon
@testable import Net

private let hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

private func local(_ method: String, _ path: String, _ fields: String = "") -> String {
  "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\n\(fields)\r\n"
}

@Test func `health is told to anybody, on one connection as well as on several`() throws {
  let upstream = try Upstream.answering(hello)
  let bed = try Bed(upstream)
  let client = try bed.connect(uid: nil)
  for path in ["/-/livez", "/-/readyz"] {
    let answer = client.ask(local("GET", path))
    #expect(answer.status == 200)
    #expect(answer.text == "ok\n")
    #expect(answer.field("cache-control") == "no-store")
    #expect(answer.field("x-request-id")?.utf8.count == 32)
    let head = client.ask(local("HEAD", path))
    #expect(head.isWhole)
    #expect(head.field("content-length") == "3")
    #expect(client.ask(local("POST", path, "Content-Length: 0\r\n")).field("allow") == "GET, HEAD")
  }
  #expect(client.ask(local("GET", "/-/other")).problem == "unknown_route")
  #expect(upstream.connections.isEmpty)
}

@Test func `ready turns into draining, alive does not`() throws {
  let bed = try Bed(try Upstream.answering(hello))
  let half = try (0..<2).map { _ in try bed.connect() }
  for client in half { client.send("GET /-/") }
  bed.onExchange { $0.phase == .head ? () : nil }
  eventually("both have begun") {
    bed.look { worker in
      var count = 0
      worker.loop.forEachHandler { if ($0 as? ClientConnection)?.isIdle == false { count += 1 } }
      return count
    } == 2 ? () : nil
  }
  bed.crew.drain {}
  #expect(bed.look { $0.isDraining })
  let ready = half[0].ask("readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
  #expect(ready.status == 503)
  #expect(ready.field("connection") == "close")
  #expect(half[1].ask("livez HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200)
}

@Test func `OPTIONS * is answered here`() throws {
  let upstream = try Upstream.answering(hello)
  let bed = try Bed(upstream)
  let client = try bed.connect()
  let answer = client.ask(local("OPTIONS", "*"))
  #expect(answer.status == 204)
  #expect(answer.isWhole)
  #expect(answer.field("allow")?.contains("PATCH") == true)
  #expect(client.ask(local("GET", "/-/livez")).text == "ok\n")
  #expect(upstream.connections.isEmpty)
}

@Test func `a body for an endpoint that reads none is not gathered, and ends the connection`() throws {
  let bed = try Bed(try Upstream.answering(hello))
  let client = try bed.connect(uid: nil)
  client.send(local("GET", "/-/livez", "Content-Length: 100000000\r\n"))
  let answer = client.answer()
  #expect(answer.text == "ok\n")
  #expect(answer.field("connection") == "close")
  #expect(!String(decoding: client.rest().bytes, as: UTF8.self).contains("HTTP/1.1"))
}

@Test func `a problem has every field that is promised, and nothing of the request`() throws {
  let bed = try Bed(try Upstream.answering(hello))
  let answer = try bed.ask("GET /canary-path?canary-query HTTP/1.1\r\nHost: localhost\r\nX: canary-field\r\n\r\n")
  #expect(answer.status == 404)
  #expect(answer.field("proxy-status") == "chatelaine; error=destination_not_found")
  let json = try JSONReader.parse(answer.body)
  for key in ["type", "title", "detail", "code", "instance", "hint"] {
    #expect(json[key]?.string?.isEmpty == false, "\(key)")
  }
  #expect(json["status"]?.int == 404)
  #expect(json["retryable"]?.bool == false)
  #expect(json["instance"]?.string == answer.field("x-request-id"))
  #expect(!answer.text.contains("canary"))
}

@Test func `the admin socket is for the daemon's user and root, whoever its mode lets in`() throws {
  let bed = try Bed(try Upstream.answering(hello))
  let stranger = try bed.connect(uid: geteuid() + 1, entrance: .admin)
  #expect(stranger.ask(local("GET", "/status")).problem == "caller_not_allowed")
  #expect(stranger.rest().end == .end)
  let nobody = try bed.connect(uid: nil, entrance: .admin)
  #expect(nobody.ask(local("GET", "/status")).problem == "caller_not_allowed")
}
