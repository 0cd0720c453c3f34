import Testing

@testable import Bytes

/// What `write` appends, as text.
func written(_ write: (inout Buffer) -> Void) -> String {
  var buffer = Buffer()
  write(&buffer)
  return String(buffer.span)
}

/// What `write` appends, or nil when it refuses; a refusal must leave what was there.
func decoded(_ text: String, _ write: (inout Buffer, Span<UInt8>) -> Bool) -> [UInt8]? {
  var buffer = Buffer()
  buffer.append("kept")
  guard write(&buffer, Array(text.utf8).span) else {
    #expect(String(buffer.span) == "kept")
    return nil
  }
  buffer.consume(4)
  return Array(buffer.span)
}

@Suite struct DecimalTests {
  @Test func `numbers are written without padding at both ends of their type`() {
    #expect(written { $0.appendDecimal(0) } == "0")
    #expect(written { $0.appendDecimal(9) } == "9")
    #expect(written { $0.appendDecimal(10) } == "10")
    #expect(written { $0.appendDecimal(-305) } == "-305")
    #expect(written { $0.appendDecimal(Int64.min) } == "-9223372036854775808")
    #expect(written { $0.appendDecimal(UInt64.max) } == "18446744073709551615")
    #expect(written { $0.appendDecimal(UInt8.max) } == "255")
    #expect(written { $0.appendDecimal(7, width: 3) } == "007")
    #expect(written { $0.appendDecimal(1234, width: 3) } == "1234")
  }

  @Test func `only digits are a number`() {
    for (text, value) in [("0", 0), ("007", 7), ("18446744073709551615", UInt64.max)] as [(String, UInt64)] {
      #expect(UInt64(decimal: Array(text.utf8).span) == value)
    }
    for text in ["", "+5", "-1", " 1", "1 ", "0x1", "18446744073709551616", "99999999999999999999"] {
      #expect(UInt64(decimal: Array(text.utf8).span) == nil, "\(text)")
    }
  }
}

@Suite struct HexTests {
  @Test func `hex is lower case and reads both cases`() {
    #expect(written { $0.appendHex(([0, 0x1F, 0xAB, 0xFF] as [UInt8]).span) } == "001fabff")
    #expect(decoded("001FabfF") { $0.appendDecodedHex($1) } == [0, 0x1F, 0xAB, 0xFF])
    #expect(decoded("") { $0.appendDecodedHex($1) } == [])
    for text in ["0", "0g", "g0", "+1", "00 1", "0011/:"] { #expect(decoded(text) { $0.appendDecodedHex($1) } == nil) }
  }
}

@Suite struct Base64Tests {
  // RFC 4648 §10
  static let vectors = [
    ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
    ("foobar", "Zm9vYmFy"),
  ]

  @Test(arguments: vectors) func `the RFC's examples go both ways`(plain: String, encoded: String) {
    let bare = encoded.filter { $0 != "=" }
    #expect(written { $0.appendBase64(Array(plain.utf8).span) } == encoded)
    #expect(written { $0.appendBase64URL(Array(plain.utf8).span) } == bare)
    #expect(decoded(encoded) { $0.appendDecodedBase64($1) } == Array(plain.utf8))
    #expect(decoded(bare) { $0.appendDecodedBase64URL($1) } == Array(plain.utf8))
  }

  @Test func `the alphabets differ in their last two characters`() {
    let bytes: [UInt8] = [0xFB, 0xEF, 0xFF]
    #expect(written { $0.appendBase64(bytes.span) } == "++//")
    #expect(written { $0.appendBase64URL(bytes.span) } == "--__")
    #expect(decoded("--__") { $0.appendDecodedBase64($1) } == nil)
    #expect(decoded("++//") { $0.appendDecodedBase64URL($1) } == nil)
  }

  @Test(arguments: ["Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==\n", "Z g=", "Zg==Zg=="])
  func `what is not canonical is refused`(text: String) {
    #expect(decoded(text) { $0.appendDecodedBase64($1) } == nil)
  }

  @Test(arguments: ["Z", "Zh", "Zm9vY", "Zg=="]) func `base64url has no padding and no stray bits`(text: String) {
    #expect(decoded(text) { $0.appendDecodedBase64URL($1) } == nil)
  }
}

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

@Suite struct DateTests {
  @Test(
    arguments: [
      (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z"),
      (0, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00Z"),
      (-1, "Wed, 31 Dec 1969 23:59:59 GMT", "1969-12-31T23:59:59Z"),
      (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00Z"),
      (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT", "2100-03-01T00:00:00Z"),
      (1_767_225_600, "Thu, 01 Jan 2026 00:00:00 GMT", "2026-01-01T00:00:00Z"),
      (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59Z"),
    ] as [(Int64, String, String)])
  func `a moment has one date in either format`(seconds: Int64, http: String, iso: String) {
    #expect(written { $0.appendHTTPDate(seconds) } == http)
    #expect(written { $0.appendISO8601(seconds) } == iso)
  }
}

@Suite struct ByteSetTests {
  @Test func `a set has its bytes and no others`() {
    var set = ByteSet("aZ")
    set.insert(0xFF)
    set.insert(0x00...0x02)
    let members = (0...255).filter { set.contains(UInt8($0)) }
    #expect(members == [0, 1, 2, 0x5A, 0x61, 0xFF])
    #expect((0...255).filter { ByteSet.unreserved.contains(UInt8($0)) }.count == 66)
  }
}

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
}
