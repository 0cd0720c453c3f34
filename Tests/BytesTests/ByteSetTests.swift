import Testing

@testable import Bytes

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
