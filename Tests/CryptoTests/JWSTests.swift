import Bytes
import Crypto
import JSON
import Testing

struct JWSTests {
  let key = ES256Key.generate()

  /// RFC 7515 §A.3: its header and its claims; the signature is a new one each time.
  @Test func `the published token comes out, up to its signature`() throws {
    let claims = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}"
    var token = Buffer()
    token.append("Bearer ")
    try JWS.sign(header: [], claims: Array(claims.utf8).span, with: key, into: &token)
    let text = String(token.span)
    #expect(
      text.hasPrefix(
        "Bearer eyJhbGciOiJFUzI1NiJ9"
          + ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."))
    token.consume(7)
    #expect(Self.verify(String(token.span), with: key.publicKey))
    #expect(!Self.verify(String(token.span), with: ES256Key.generate().publicKey))
  }

  @Test func `the header keeps its order, with alg from the key`() throws {
    var token = Buffer()
    try JWS.sign(header: [("typ", "JWT"), ("kid", "default")], claims: Array("{}".utf8).span, with: key, into: &token)
    let parts = String(token.span).split(separator: ".")
    #expect(parts.count == 3)
    #expect(decoded(String(parts[0])) == Array(#"{"alg":"ES256","typ":"JWT","kid":"default"}"#.utf8))
    #expect(decoded(String(parts[1])) == Array("{}".utf8))
    #expect(decoded(String(parts[2])).count == 64)
  }

  @Test func `any text in the header is read as it was given`() throws {
    let kid = "a \"quoted\" \\ key\u{0}\n\u{1F}\u{7F} ключ 🔑"
    var token = Buffer()
    try JWS.sign(header: [("kid", kid)], claims: [1].span, with: key, into: &token)
    let header = decoded(String(String(token.span).prefix { $0 != "." }))
    #expect(try JSONReader.parse(header)["kid"]?.string == kid)
    #expect(Self.verify(String(token.span), with: key.publicKey))
  }

  @Test func `alg cannot be given`() async {
    await #expect(processExitsWith: .failure) {
      var token = Buffer()
      try JWS.sign(header: [("alg", "none")], claims: [1].span, with: ES256Key.generate(), into: &token)
    }
  }

  private static func verify(_ token: String, with key: ES256PublicKey) -> Bool {
    let parts = token.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 3
      && key.verify(decoded(String(parts[2])).span, of: Array("\(parts[0]).\(parts[1])".utf8).span)
  }
}

/// What unpadded base64url stands for; a text that is none is a mistake of the test.
func decoded(_ text: String) -> [UInt8] {
  var buffer = Buffer()
  precondition(buffer.appendDecodedBase64URL(Array(text.utf8).span))
  return buffer.copy
}
