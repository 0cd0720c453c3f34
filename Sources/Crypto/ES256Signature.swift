internal import COpenSSL

/// The two forms of a signature on P-256: DER, which OpenSSL speaks, and `r ‖ s` of 32 bytes each (RFC 7518 §3.4, IEEE P1363).
enum ES256Signature {
  /// Bytes of the longest DER: two integers of 33 bytes, three heads of 2.
  static let longestDER = 72

  /// Writes `r ‖ s` to the 64 bytes of `room`.
  @unsafe static func unpack(_ der: UnsafeBufferPointer<UInt8>, into room: UnsafeMutableRawBufferPointer) -> Bool {
    var start = der.baseAddress
    guard let signature = unsafe d2i_ECDSA_SIG(nil, &start, der.count) else { return false }
    defer { unsafe ECDSA_SIG_free(signature) }
    let half = room.count / 2
    guard let base = unsafe room.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return false }
    return unsafe BN_bn2binpad(ECDSA_SIG_get0_r(signature), base, Int32(half)) == half
      && BN_bn2binpad(ECDSA_SIG_get0_s(signature), base + half, Int32(half)) == half
  }

  /// Writes the DER of the 64 bytes `raw` to `room`, which holds `longestDER`; returns how many bytes.
  @unsafe static func pack(_ raw: Span<UInt8>, into room: UnsafeMutableBufferPointer<UInt8>) -> Int {
    guard let signature = unsafe ECDSA_SIG_new() else { fatalError("out of memory") }
    defer { unsafe ECDSA_SIG_free(signature) }
    let done = unsafe raw.withUnsafeBytes { raw in
      let base = unsafe raw.baseAddress?.assumingMemoryBound(to: UInt8.self)
      let half = raw.count / 2
      // The signature owns the numbers once they are set, which cannot fail for two that exist.
      return unsafe ECDSA_SIG_set0(
        signature, BN_bin2bn(base, Int32(half), nil), BN_bin2bn(base.map { unsafe $0 + half }, Int32(half), nil))
    }
    guard done == 1 else { fatalError("out of memory") }
    var start = room.baseAddress
    return Int(unsafe i2d_ECDSA_SIG(signature, &start))
  }
}
