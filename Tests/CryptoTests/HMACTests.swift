import Bytes
import Crypto
import Testing

struct HMACTests {
  /// RFC 4231 §4.3 (test case 2), RFC 2202 for MD5 and SHA-1: key `Jefe`.
  static let jefe: [(HashAlgorithm, String)] = [
    (.md5, "750c783e6ab0b503eaa86e310a5db738"),
    (.sha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
    (.sha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    (
      .sha384,
      "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649"
    ),
    (
      .sha512,
      "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
        + "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
    ),
  ]

  @Test(arguments: jefe) func `the published code comes out, again after re-arming`(
    _ algorithm: HashAlgorithm, _ expected: String
  ) {
    let hmac = HMAC(algorithm, key: Secret(copying: Array("Jefe".utf8).span))
    var out = Buffer()
    for _ in 0..<3 {
      out.clear()
      hmac.update(Array("what do ya want ".utf8).span)
      hmac.update([UInt8]().span)
      hmac.update(Array("for nothing?".utf8).span)
      hmac.finish(into: &out)
      #expect(hex(out.span) == expected)
    }
    hmac.update([1, 2, 3].span)
    hmac.reset()
    hmac.update(Array("what do ya want for nothing?".utf8).span)
    out.clear()
    hmac.finish(into: &out)
    #expect(hex(out.span) == expected)
  }

  @Test func `every Wycheproof case gives its code, or a modified one is not it`() throws {
    for test in try Wycheproof.cases("hmac_sha256_test.json") {
      let hmac = HMAC(.sha256, key: Secret(copying: test.bytes("key").span))
      hmac.update(test.bytes("msg").span)
      var out = Buffer()
      hmac.finish(into: &out)
      let tag = test.bytes("tag")
      #expect(constantTimeEquals(out.span.extracting(first: tag.count), tag.span) == test.isValid, "case \(test.id)")
    }
  }

  @Test func `no key and no message is a code too, and not the one of the key before`() {
    let hmac = HMAC(.sha256, key: Secret(copying: [1, 2, 3].span))
    hmac.rekey([UInt8]().span)
    var out = Buffer()
    hmac.finish(into: &out)
    #expect(hex(out.span) == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad")
  }
}
