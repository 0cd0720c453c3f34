internal import Bytes
internal import COpenSSL

/// The public half of an ES256 key: a point on P-256. Threads may verify with one key at once.
@safe public final class ES256PublicKey: Sendable {
  /// Bytes of a coordinate.
  public static let coordinateCount = 32

  /// The point's coordinates, big-endian, `coordinateCount` bytes each.
  public let x, y: [UInt8]
  /// Never changed once it is made; OpenSSL reads it on any thread.
  nonisolated(unsafe) let key: OpaquePointer

  /// Nil unless both are `coordinateCount` bytes and the point is on the curve.
  public init?(x: Span<UInt8>, y: Span<UInt8>) {
    guard x.count == ES256PublicKey.coordinateCount, y.count == ES256PublicKey.coordinateCount else { return nil }
    ERR_set_mark()
    defer { ERR_pop_to_mark() }
    let (x, y) = (x.indices.map { x[$0] }, y.indices.map { y[$0] })
    let info = ES256PublicKey.infoStart + x + y
    let key = unsafe info.withUnsafeBufferPointer { info in
      var start = info.baseAddress
      return unsafe d2i_PUBKEY(nil, &start, info.count)
    }
    guard let key = unsafe key else { return nil }
    self.x = x
    self.y = y
    unsafe self.key = unsafe key
  }

  /// The public half of a whole key.
  convenience init?(of key: OpaquePointer) {
    guard let x = unsafe ES256PublicKey.coordinate(OSSL_PKEY_PARAM_EC_PUB_X, of: key),
      let y = unsafe ES256PublicKey.coordinate(OSSL_PKEY_PARAM_EC_PUB_Y, of: key)
    else { return nil }
    self.init(x: x.span, y: y.span)
  }

  deinit {
    unsafe EVP_PKEY_free(key)
  }

  /// Whether `signature`, the 64 bytes `r ‖ s` and nothing else, is this key's for `message`.
  public func verify(_ signature: Span<UInt8>, of message: Span<UInt8>) -> Bool {
    guard signature.count == ES256Key.signatureCount else { return false }
    ERR_set_mark()
    defer { ERR_pop_to_mark() }
    let context = unsafe mustExist(EVP_MD_CTX_new())
    defer { unsafe EVP_MD_CTX_free(context) }
    guard unsafe EVP_DigestVerifyInit(context, nil, HashAlgorithm.sha256.method, nil, key) == 1 else { return false }
    return unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: ES256Signature.longestDER) { der in
      let count = unsafe signature.withUnsafeBytes { unsafe ES256Signature.pack($0, into: der) }
      return unsafe message.withUnsafeBytes { message in
        let start = unsafe message.baseAddress?.assumingMemoryBound(to: UInt8.self)
        return unsafe EVP_DigestVerify(context, der.baseAddress, count, start, message.count) == 1
      }
    }
  }

  /// The members of the JSON Web Key (RFC 7518 §6.2.1), by name; no value needs escaping in JSON.
  public var jwk: [(name: String, value: String)] {
    [("crv", "P-256"), ("kty", "EC"), ("x", base64URL(x)), ("y", base64URL(y))]
  }

  /// The key's name by its content: SHA-256 of the JSON Web Key, in base64url (RFC 7638), 43 characters.
  public var thumbprint: String {
    let members = jwk.map { "\"\($0.name)\":\"\($0.value)\"" }.joined(separator: ",")
    var digest = Buffer()
    Digest.append(.sha256, of: Array("{\(members)}".utf8).span, to: &digest)
    return base64URL(digest.span)
  }

  private func base64URL(_ bytes: [UInt8]) -> String { base64URL(bytes.span) }

  private func base64URL(_ bytes: Span<UInt8>) -> String {
    var text = Buffer()
    text.appendBase64URL(bytes)
    return String(text.span)
  }

  /// What stands before the coordinates in the DER of every public key on P-256 (RFC 5480 §2): `id-ecPublicKey`,
  /// `prime256v1`, and the 4 of an uncompressed point.
  private static let infoStart: [UInt8] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE,
    0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
  ]

  private static func coordinate(_ name: String, of key: OpaquePointer) -> [UInt8]? {
    var number: OpaquePointer?
    guard unsafe EVP_PKEY_get_bn_param(key, name, &number) == 1 else { return nil }
    defer { unsafe BN_free(number) }
    var bytes = [UInt8](repeating: 0, count: coordinateCount)
    return unsafe BN_bn2binpad(number, &bytes, Int32(coordinateCount)) == coordinateCount ? bytes : nil
  }
}

extension ES256PublicKey: Equatable {
  public static func == (one: ES256PublicKey, other: ES256PublicKey) -> Bool {
    one.x == other.x && one.y == other.y
  }
}
