import Testing

@testable import Bytes

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
