import Testing

@testable import Bytes

@Suite struct SpanTests {
  @Test func `spans compare with and without case`() {
    let text = Array("Content-Type".utf8)
    #expect(text.span.equals("Content-Type") == true)
    #expect(text.span.equals("content-type") == false)
    #expect(text.span.equals("Content-Typ") == false)
    #expect(text.span.equalsIgnoringCase("content-TYPE") == true)
    #expect(text.span.equalsIgnoringCase("content_type") == false)
    #expect(text.span.equalsIgnoringCase(Array("CONTENT-type".utf8).span) == true)
    #expect(text.span.hasPrefix("Content") == true)
    #expect(text.span.hasPrefix("Content-Type-") == false)
    #expect((0...255).filter { UInt8($0).asciiLowercased != UInt8($0) } == Array(0x41...0x5A))
    #expect((0...255).filter { UInt8($0).asciiUppercased != UInt8($0) } == Array(0x61...0x7A))
    let nothing: [UInt8] = []
    #expect(nothing.span.equals("") == true)
  }

  @Test func `a byte is found from where the search starts`() {
    let text = Array("a,b,c".utf8)
    #expect(text.span.firstOffset(of: 0x2C) == 1)
    #expect(text.span.firstOffset(of: 0x2C, from: 2) == 3)
    #expect(text.span.firstOffset(of: 0x2C, from: 4) == nil)
    #expect(text.span.firstOffset(of: 0x2C, from: 5) == nil)
    let nothing: [UInt8] = []
    #expect(nothing.span.firstOffset(of: 0) == nil)
  }

  @Test func `bytes that are not UTF-8 become replacement characters`() {
    let bytes: [UInt8] = [0x61, 0xFF, 0x62]
    #expect(String(bytes.span) == "a\u{FFFD}b")
  }

  @Test func `the first control character is found wherever it stands, and nothing else is one`() {
    for byte in UInt8.min...UInt8.max {
      for place in 0..<20 {
        var bytes = [UInt8](repeating: 0x41, count: 20)
        bytes[place] = byte
        let isControl = byte < 0x20 || byte == 0x7F
        #expect(bytes.span.firstControl() == (isControl ? place : nil))
        #expect(bytes.span.firstControl(from: place + 1) == nil)
      }
    }
  }
}
