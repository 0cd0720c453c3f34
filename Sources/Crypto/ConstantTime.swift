internal import COpenSSL

/// Whether two runs of bytes are equal, in a time that depends on their length only. Lengths are not secret.
public func constantTimeEquals(_ one: Span<UInt8>, _ other: Span<UInt8>) -> Bool {
  guard one.count == other.count else { return false }
  return unsafe one.withUnsafeBytes { one in
    unsafe other.withUnsafeBytes { other in
      unsafe one.isEmpty || CRYPTO_memcmp(one.baseAddress, other.baseAddress, one.count) == 0
    }
  }
}
