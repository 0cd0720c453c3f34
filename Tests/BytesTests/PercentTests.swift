import Testing

@testable import Bytes

@Suite struct PercentTests {
  @Test func `what is not kept is written in upper case`() {
    let text = Array("a b/é~*+".utf8)
    #expect(written { $0.appendPercentEncoded(text.span) } == "a%20b%2F%C3%A9~%2A%2B")
    #expect(
      written { $0.appendPercentEncoded(text.span, plusForSpace: true) } == "a+b%2F%C3%A9~%2A%2B")
  }

  @Test func `a text of any length is encoded, and every byte by itself`() {
    let all = Array(UInt8.min...UInt8.max)
    var expected = ""
    for byte in all {
      let digits = (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
      expected += ByteSet.unreserved.contains(byte) ? String(UnicodeScalar(byte)) : "%" + digits
    }
    let long = Array(repeating: all, count: 9).flatMap { $0 }
    #expect(written { $0.appendPercentEncoded(long.span) } == String(repeating: expected, count: 9))
  }

  @Test func `only a form's plus is a space`() {
    #expect(decoded("a+b%2Fc%c3%A9") { $0.appendPercentDecoded($1) } == Array("a+b/cé".utf8))
    #expect(decoded("a+b%2B") { $0.appendFormDecoded($1) } == Array("a b+".utf8))
    for text in ["%", "%1", "a%zz", "%+1"] {
      #expect(decoded(text) { $0.appendPercentDecoded($1) } == nil)
      #expect(decoded(text) { $0.appendFormDecoded($1) } == nil)
    }
  }
}
