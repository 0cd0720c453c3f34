import Bytes
import Crypto
import Testing

struct ScryptTests {
  @Test func `the cheap vectors of RFC 7914 come out`() throws {
    let nothing = try Scrypt.derive(
      from: Secret(copying: [UInt8]().span), salt: [UInt8]().span, cost: .init(n: 16, r: 1, p: 1), count: 64)
    #expect(
      hex(nothing.span) == "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
        + "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906")
    let salted = try Scrypt.derive(
      from: Secret(copying: Array("pleaseletmein".utf8).span), salt: Array("SodiumChloride".utf8).span,
      cost: .init(n: 16384, r: 8, p: 1), count: 64)
    #expect(
      hex(salted.span) == "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
        + "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887")
  }

  @Test func `a cost that is none, or more than a gigabyte, is refused`() {
    for cost in [
      Scrypt.Cost(n: 0, r: 8, p: 1), .init(n: 1000, r: 8, p: 1), .init(n: 16, r: 0, p: 1), .init(n: 16, r: 1, p: 0),
      .init(n: 1 << 24, r: 8, p: 1), .init(n: UInt64.max, r: UInt64.max, p: UInt64.max),
    ] {
      #expect(throws: KeyDerivationError.badCost) {
        try Scrypt.derive(from: Secret(copying: [1].span), salt: [1].span, cost: cost, count: 32)
      }
    }
  }
}
