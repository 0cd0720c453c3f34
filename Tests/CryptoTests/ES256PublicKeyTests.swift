import Bytes
import Crypto
import JSON
import Testing

struct ES256PublicKeyTests {
  @Test func `every Wycheproof case verifies, or does not`() throws {
    for test in try Wycheproof.cases("ecdsa_secp256r1_sha256_p1363_test.json") {
      let point = bytes(hex: try #require(test.group["publicKey"]?["uncompressed"]?.string))
      try #require(point.count == 65)
      let key = try #require(ES256PublicKey.at(point[1..<33], point[33...]), "case \(test.id)")
      #expect(key.accepts(test.bytes("sig"), of: test.bytes("msg")) == test.isValid, "case \(test.id)")
      #expect([key.x, key.y] == [Array(point[1..<33]), Array(point[33...])])
    }
  }

  /// RFC 7515 §A.3: key, signing input, signature.
  @Test func `the published signature verifies`() throws {
    let key = try #require(
      ES256PublicKey.at(
        decoded("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"), decoded("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")))
    let input =
      "eyJhbGciOiJFUzI1NiJ9"
      + ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    let signature = decoded("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")
    #expect(key.accepts(signature, of: Array(input.utf8)))
  }

  /// RFC 9449 §4.1 (the key) and §6.1 (`jkt`).
  @Test func `members and thumbprint are the published ones`() throws {
    let (x, y) = ("l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs", "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA")
    let key = try #require(ES256PublicKey.at(decoded(x), decoded(y)))
    #expect(key.jwk.map(\.name) == ["crv", "kty", "x", "y"])
    #expect(key.jwk.map(\.value) == ["P-256", "EC", x, y])
    #expect(key.thumbprint == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I")
  }

  @Test func `what is no point of the curve is no key`() throws {
    let key = ES256Key.generate().publicKey
    let (x, y) = (key.x, key.y)
    #expect(ES256PublicKey.at(x, y) == key)
    let changed = y.dropLast() + [y[31] ^ 1]
    #expect(ES256PublicKey.at(x, changed) == nil)
    let zero = [UInt8](repeating: 0, count: 32)
    #expect(ES256PublicKey.at(zero, zero) == nil)
    // The prime of the field is zero by another name: x = p would be the point with x = 0, which the curve has.
    let prime = bytes(hex: "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff")
    let root = bytes(hex: "66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4")
    #expect(ES256PublicKey.at(zero, root) != nil)
    #expect(ES256PublicKey.at(prime, root) == nil)
    #expect(ES256PublicKey.at(([0] + x), y) == nil)
    #expect(ES256PublicKey.at(x, y[..<31]) == nil)
    #expect(ES256PublicKey.at([UInt8](), [UInt8]()) == nil)
  }
}
