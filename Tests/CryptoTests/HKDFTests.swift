import Bytes
import Crypto
import JSON
import Testing

struct HKDFTests {
  @Test func `every Wycheproof case is derived, or refused, as published`() throws {
    for test in try Wycheproof.cases("hkdf_sha256_test.json") {
      let key = Secret(copying: test.bytes("ikm").span)
      let count = try #require(test.fields["size"]?.int)
      guard test.isValid else {
        #expect(throws: KeyDerivationError.tooLong, "case \(test.id)") {
          try HKDF.derive(
            .sha256, from: key, salt: test.bytes("salt").span, info: test.bytes("info").span, count: count)
        }
        continue
      }
      let derived = try HKDF.derive(
        .sha256, from: key, salt: test.bytes("salt").span, info: test.bytes("info").span, count: count)
      #expect(hex(derived.span) == test.fields["okm"]?.string, "case \(test.id)")
    }
  }
}
