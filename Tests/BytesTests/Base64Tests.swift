import Testing

@testable import Bytes

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
