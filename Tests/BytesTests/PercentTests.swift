import Testing

@testable import Bytes

@Suite struct PercentTests {
  @Test func `what is not kept is written in upper case`() {
    let text = Array("a b/é~*+".utf8)
    #expect(written { $0.appendPercentEncoded(text.span, keeping: .unreserved) } == "a%20b%2F%C3%A9~%2A%2B")
    #expect(
      written { $0.appendPercentEncoded(text.span, keeping: .formUnreserved, plusForSpace: true) }
        == "a+b%2F%C3%A9%7E*%2B")
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
