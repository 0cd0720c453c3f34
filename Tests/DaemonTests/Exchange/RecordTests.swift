import Glibc
import JSON
import Testing

@testable import Daemon
@testable import Net

/// The lines of a whole life, as they come out of standard error of a process of its own.
private func lines(_ bytes: [UInt8]) throws -> [JSONValue] {
  try bytes.split(separator: 0x0A).map { try JSONReader.parse(Array($0)) }
}

@Test func `an exchange is one line, with where it went and how it ended, and nothing that is secret`() async throws {
  let result = try await #require(
    processExitsWith: .success, observing: [\.standardErrorContent]
  ) {
    let upstream = try Upstream { request in
      request.target.hasPrefix("/gone")
        ? [.close] : [.body, .send("HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello")]
    }
    let bed = try Bed(upstream, log: Log(level: .info, isJSON: true))
    let client = try bed.connect()
    #expect(client.ask(request("POST", "/a?canary=query", body: "canary", "X: canary\r\n")).status == 201)
    #expect(client.ask(request("POST", "/gone", "Content-Length: 0\r\n")).status == 502)
    #expect(client.ask("GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 404)
    var aborted: Client? = try bed.connect()
    aborted?.send(request("PUT", "/b", "Content-Length: 10\r\n"))
    upstream.awaitRequests(3)
    aborted?.socket.finish()
    aborted = nil
    #expect(upstream.settled().count == 2)
    // A turn's lines are written when it ends.
    for _ in 0..<2 { bed.look { _ in } }
    exit(0)
  }
  let text = String(decoding: result.standardErrorContent, as: UTF8.self)
  #expect(!text.contains("canary") && !text.contains("value-of"))
  let records = try lines(result.standardErrorContent)
  #expect(records.allSatisfy { $0["message"]?.string == "exchange" && $0["id"]?.string?.utf8.count == 32 })
  #expect(records.map { $0["path"]?.string } == ["/r/a", "/r/gone", "/nowhere", "/r/b"])
  #expect(records.map { $0["method"]?.string } == ["POST", "POST", "GET", "PUT"])
  #expect(records.map { $0["status"]?.int } == [201, 502, 404, nil])
  #expect(records.map { $0["route"]?.string } == ["r", "r", nil, "r"])
  #expect(records.map { $0["error"]?.string } == [nil, "upstream_protocol", "unknown_route", nil])
  #expect(records.map { $0["aborted"]?.string } == [nil, nil, nil, "client"])
  #expect(records.map { $0["bytes_in"]?.int } == [6, 0, 0, 0])
  #expect(records.map { $0["reused"]?.int } == [nil, 1, nil, nil])
  #expect(records.allSatisfy { $0["uid"]?.int == Int(geteuid()) })
  #expect(records.allSatisfy { $0["duration_us"]?.int ?? 0 > 0 })
}
