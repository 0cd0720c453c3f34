import Bytes
import Crypto
import Testing

struct ES256PEMTests {
  @Test(arguments: ["pkcs8.pem", "sec1.pem", "sec1-no-public.pem", "sec1-compressed.pem"])
  func `one key is the same in each form that openssl writes`(_ file: String) throws {
    let key = try ES256Key(pem: vectors("es256/\(file)").span)
    #expect(
      key.jwk == [
        "P-256", "EC", "KrqK_9O4S1PwhfMV6SNTQW8l8cPl5j7WSFE7Hpre-po", "0nlz8HB8lk6e_i4aI5Vkqt0mJSVskOI2EujVjCXmAZ4",
      ])
    #expect(key.publicKey.thumbprint == "h5wEAgQ8W7jrf-KjahgtYwHZg8_HtuMNHn2h8CQdI64")
    let again = try ES256Key(pem: key.pem().span)
    #expect(again.publicKey == key.publicKey)
    var signature = Buffer()
    try again.sign([1, 2, 3].span, into: &signature)
    #expect(key.publicKey.accepts(signature.copy, of: [1, 2, 3]))
  }

  @Test(arguments: [
    ("pkcs8.pem", "pkcs8.pem"), ("sec1.pem", "pkcs8.pem"),
    ("ecparam.pem", "ecparam-pkcs8.pem"), ("ecparam-pkcs8.pem", "ecparam-pkcs8.pem"),
  ])
  func `what is written for the store is what openssl writes as PKCS 8`(_ from: String, _ to: String) throws {
    let key = try ES256Key(pem: vectors("es256/\(from)").span)
    #expect(key.pem() == Secret(copying: vectors("es256/\(to)").span))
  }

  @Test func `a new key is the same after it was written and read`() throws {
    let key = ES256Key.generate()
    let pem = key.pem()
    let again = try ES256Key(pem: pem.span)
    #expect(again.publicKey == key.publicKey)
    #expect(again.pem() == pem)
  }

  @Test func `lines may end in CRLF, and text may stand around the block`() throws {
    let lines = String(decoding: vectors("es256/pkcs8.pem"), as: UTF8.self)
    let text = "a note\r\n" + lines.split(separator: "\n").map { $0 + "\r\n" }.joined() + "the end"
    let key = try ES256Key(pem: Array(text.utf8).span)
    #expect(key.pem() == Secret(copying: vectors("es256/pkcs8.pem").span))
  }

  @Test(arguments: [
    ("sec1-encrypted.pem", ES256Error.encrypted), ("pkcs8-encrypted.pem", .encrypted),
    ("public.pem", .publicKey), ("certificate.pem", .publicKey),
    ("rsa.pem", .keyType), ("rsa-traditional.pem", .keyType), ("ed25519.pem", .keyType),
    ("p384.pem", .curve), ("secp256k1.pem", .curve), ("explicit.pem", .curve),
    ("mismatch.pem", .mismatch), ("out-of-range.pem", .mismatch),
    ("off-curve.pem", .format), ("trailing.pem", .format), ("cut.pem", .format), ("mislabelled.pem", .format),
    ("README.md", .format),
  ])
  func `each thing that is no key for ES256 is refused by name`(_ file: String, _ error: ES256Error) {
    #expect(throws: error) { try ES256Key(pem: vectors("es256/\(file)").span) }
  }

  @Test func `no text, no key in it and too much text are refused`() {
    let pem = vectors("es256/pkcs8.pem")
    #expect(throws: ES256Error.format) { try ES256Key(pem: [UInt8]().span) }
    #expect(throws: ES256Error.format) { try ES256Key(pem: Array(pem.dropLast(20)).span) }
    let parameters =
      vectors("es256/ecparam.pem").prefix { $0 != UInt8(ascii: "\n") } + Array("\nBggqhkjOPQMBBw==\n".utf8)
    #expect(throws: ES256Error.format) {
      try ES256Key(pem: (parameters + Array("-----END EC PARAMETERS-----\n".utf8)).span)
    }
    let much = pem + [UInt8](repeating: UInt8(ascii: "\n"), count: 65_536 - pem.count)
    #expect(throws: Never.self) { try ES256Key(pem: much.span) }
    #expect(throws: ES256Error.format) { try ES256Key(pem: (much + [0x0A]).span) }
  }

  @Test func `a changed byte anywhere is refused or is another key, and never traps`() {
    let pem = vectors("es256/sec1.pem")
    let key = try? ES256Key(pem: pem.span)
    for index in pem.indices {
      var changed = pem
      changed[index] ^= 1
      guard let other = try? ES256Key(pem: changed.span) else { continue }
      // Outside of the base64, or in bits that DER leaves open.
      #expect(other.publicKey == key?.publicKey, "byte \(index)")
    }
  }
}

extension ES256Key {
  fileprivate var jwk: [String] { publicKey.jwk.map(\.value) }
}
