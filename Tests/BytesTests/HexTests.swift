import Testing

@testable import Bytes

@Suite struct HexTests {
  @Test func `hex is lower case and reads both cases`() {
    #expect(written { $0.appendHex(([0, 0x1F, 0xAB, 0xFF] as [UInt8]).span) } == "001fabff")
    #expect(decoded("001FabfF") { $0.appendDecodedHex($1) } == [0, 0x1F, 0xAB, 0xFF])
    #expect(decoded("") { $0.appendDecodedHex($1) } == [])
    for text in ["0", "0g", "g0", "+1", "00 1", "0011/:"] { #expect(decoded(text) { $0.appendDecodedHex($1) } == nil) }
  }
}
