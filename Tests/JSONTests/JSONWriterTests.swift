import Bytes
import Testing

@testable import JSON

@Suite struct JSONWriterTests {
  @Test func `commas stand between values and nowhere else`() {
    var buffer = Buffer()
    buffer.append("X: 1\r\n\r\n")
    buffer.appendObjectStart()
    buffer.appendMember("a", 1)
    buffer.appendMember("b", true)
    buffer.appendMember("c", "")
    buffer.appendKey("d")
    buffer.appendArrayStart()
    buffer.appendArrayStart()
    buffer.appendArrayEnd()
    buffer.appendObjectStart()
    buffer.appendObjectEnd()
    buffer.appendJSONNull()
    buffer.appendJSON(-5)
    buffer.appendArrayEnd()
    buffer.appendMember("e", "x")
    buffer.appendObjectEnd()
    #expect(
      String(buffer.span) == "X: 1\r\n\r\n{\"a\":1,\"b\":true,\"c\":\"\",\"d\":[[],{},null,-5],\"e\":\"x\"}")
  }

  @Test func `each text on a line of its own starts anew`() {
    var buffer = Buffer()
    for _ in 0..<2 {
      buffer.appendObjectStart()
      buffer.appendObjectEnd()
      buffer.append("\n")
    }
    #expect(String(buffer.span) == "{}\n{}\n")
  }

  @Test func `what would break a string is escaped, and bad bytes are replaced`() {
    var buffer = Buffer()
    let bytes: [UInt8] = [0x22, 0x5C, 0x0A, 0x00, 0x7F, 0xFF, 0xC3, 0xA9]
    buffer.appendJSON(bytes.span)
    #expect(String(buffer.span) == "\"\\\"\\\\\\n\\u0000\\u007f\u{FFFD}é\"")
  }

  @Test func `what is written reads back the same`() {
    for scalar in (0...0x10FFFF).lazy.compactMap(Unicode.Scalar.init).filter({ $0.value < 0x3000 || $0.value % 97 == 0 }
    ) {
      var buffer = Buffer()
      buffer.appendJSON("a\(Character(scalar))b")
      let text = try? JSONReader.parse(buffer.span).string
      guard text?.unicodeScalars.elementsEqual("a\(Character(scalar))b".unicodeScalars) == true else {
        Issue.record("U+\(String(scalar.value, radix: 16)) came back as \(text ?? "nothing")")
        return
      }
    }
  }
}
