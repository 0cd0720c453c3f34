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
