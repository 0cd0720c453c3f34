import HTTP
import Testing

@Test func `a head is taken apart into ranges`() throws {
  let text: [UInt8] = Array(
    "POST /codegate/a%2Fb?x=1&y HTTP/1.1\r\nHost: localhost:7220\r\nTransfer-Encoding: chunked\r\n\r\n".utf8)
  var reader = RequestReader()
  #expect(try reader.read(text.span))
  #expect(reader.head.method == .post)
  #expect(String(decoding: text[reader.head.path], as: UTF8.self) == "/codegate/a%2Fb")
  #expect(String(decoding: text[reader.head.query ?? 0..<0], as: UTF8.self) == "x=1&y")
  #expect(String(decoding: text[reader.head.host.all], as: UTF8.self) == "localhost:7220")
  #expect(reader.head.framing == .chunked)
  #expect(reader.head.byteCount == text.count)
}

@Test func `a field that is longer than its limit is refused while its name is still being read`() throws {
  let text: [UInt8] = Array(("GET / HTTP/1.1\r\n" + String(repeating: "n", count: 65)).utf8)
  var reader = RequestReader(HTTPLimits(field: 64))
  #expect(try !reader.read(text.span.extracting(droppingLast: 1)))
  #expect(throws: HTTPError.fieldTooLarge) { try reader.read(text.span) }
}
