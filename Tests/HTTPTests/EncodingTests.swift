import Bytes
import HTTP
import Testing

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
private func token(_ bytes: [UInt8]) -> Bool { isToken(bytes.span) }
private func value(_ bytes: [UInt8]) -> Bool { isFieldValue(bytes.span) }

@Test func `a request line has a question mark only when there is a query`() {
  let (method, path, empty, query) = (bytes("GET"), bytes("/a%2Fb"), bytes(""), bytes("a=1&b"))
  var out = Buffer()
  out.appendRequestLine(method: method.span, path: path.span)
  out.appendRequestLine(method: method.span, path: path.span, query: empty.span)
  out.appendRequestLine(method: method.span, path: path.span, query: query.span)
  #expect(String(out.span) == "GET /a%2Fb HTTP/1.1\r\nGET /a%2Fb? HTTP/1.1\r\nGET /a%2Fb?a=1&b HTTP/1.1\r\n")
}

@Test func `a field as it came is written like any other, whatever the white space around its value`() throws {
  for before in ["", " ", "\t", "  ", " \t"] {
    for after in ["", " ", "\t"] {
      for value in ["", "v", "a value, rather long: \u{e9}"] {
        let head = bytes("GET / HTTP/1.1\r\nHost: h\r\nX-Name:\(before)\(value)\(after)\r\n\r\n")
        var reader = RequestReader()
        try #require(try reader.read(head.span))
        var out = Buffer()
        out.appendField(reader.head.fields[1], of: head.span)
        #expect(String(out.span) == "X-Name: \(value)\r\n", "\(String(head.span))")
      }
    }
  }
}

@Test func `every status has a phrase of ours (row 118)`() {
  for status in 100...599 {
    var out = Buffer()
    out.appendStatusLine(status)
    let text = String(out.span)
    #expect(text.hasPrefix("HTTP/1.1 \(status) "))
    #expect(text.hasSuffix("\r\n") && text.utf8.count > 16)
  }
}

@Test(arguments: [
  (1, "1"), (9, "9"), (10, "a"), (15, "f"), (16, "10"), (255, "ff"), (65536, "10000"), (Int.max, "7fffffffffffffff"),
])
func `a chunk's size is hexadecimal without leading zeros`(_ size: Int, _ text: String) {
  var out = Buffer()
  out.appendChunkHeader(size)
  #expect(String(out.span) == text + "\r\n")
}

@Test(arguments: [0, 1, 9, 10, 12345, UInt64.max]) func `a field's number is decimal`(_ number: UInt64) {
  var out = Buffer()
  out.appendField(name: "Content-Length", number: number)
  #expect(String(out.span) == "Content-Length: \(number)\r\n")
}

@Test func `what is written in chunks is read back (row 100)`() throws {
  var out = Buffer()
  var sent: [UInt8] = []
  for size in [1, 15, 16, 17, 255, 256, 4096, 70_000] {
    let piece = [UInt8](repeating: UInt8(truncatingIfNeeded: size), count: size)
    out.appendChunkHeader(size)
    out.append(piece)
    out.appendChunkEnd()
    sent += piece
  }
  out.appendLastChunk()
  var body = BodyReader(.chunked)
  var received: [UInt8] = []
  while !body.isFinished {
    let piece = try body.next(out.span)
    received += Array(out.span.extracting(piece.payload))
    out.consume(piece.consumed)
    if piece.needsMore { break }
  }
  #expect(body.isFinished && out.isEmpty)
  #expect(received == sent)
}

@Test func `a token is what RFC 9110 says, byte for byte`() {
  let marks = Set("!#$%&'*+-.^_`|~".utf8)
  for byte in UInt8.min...UInt8.max {
    let letter = (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte)
    #expect(token([byte]) == (letter || marks.contains(byte)), "\(byte)")
  }
  #expect(!token([]))
}

@Test func `a value has no control characters, and no white space around it`() {
  for byte in UInt8.min...UInt8.max {
    #expect(value([0x61, byte, 0x61]) == (byte == 0x09 || byte >= 0x20 && byte != 0x7F), "\(byte)")
    #expect(value([byte]) == (byte > 0x20 && byte != 0x7F), "\(byte)")
  }
  #expect(value([]))
  #expect(!value(bytes(" a")) && !value(bytes("a\t")) && !value(bytes("a\r\nX: y")))
}

@Test func `every error has a status, a code and a reason`() {
  for error in HTTPError.allCases {
    #expect([400, 414, 417, 431, 501, 505].contains(error.status))
    #expect(!"\(error.code)".isEmpty)
    #expect("\(error.reason)".hasSuffix("."))
  }
  #expect(HTTPError.allCases.filter(\.closeSilently) == [.notHTTP])
}
