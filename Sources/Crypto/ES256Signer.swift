public import Bytes
internal import COpenSSL

/// An ES256 key at work on one thread: what a signature takes beside the key is kept from one to the next. `finish` gives the
/// signature out and starts the next message.
@safe public final class ES256Signer {
  private let key: ES256Key
  private let digest = Digest(.sha256)
  private let maker, judge: OpaquePointer

  public init(_ key: ES256Key) {
    self.key = key
    ERR_set_mark()
    defer { ERR_pop_to_mark() }
    unsafe maker = unsafe mustExist(EVP_PKEY_CTX_new_from_pkey(nil, key.key, nil))
    unsafe judge = unsafe mustExist(EVP_PKEY_CTX_new_from_pkey(nil, key.publicKey.key, nil))
    mustSucceed(unsafe EVP_PKEY_sign_init(maker) == 1 && EVP_PKEY_verify_init(judge) == 1, "ES256 cannot start")
  }

  deinit {
    unsafe EVP_PKEY_CTX_free(maker)
    unsafe EVP_PKEY_CTX_free(judge)
  }

  /// Forgets what was added since the last `finish`.
  public func reset() { digest.reset() }

  public func update(_ bytes: Span<UInt8>) { digest.update(bytes) }

  /// Appends the `ES256Key.signatureCount` bytes of `r ‖ s`, each padded on the left to 32: not DER. What is appended has been
  /// verified with the public key, so a fault of the machine costs an error and not the private key.
  /// - Throws: `ES256Error.signature`, with nothing appended.
  public func finish(into buffer: inout Buffer) throws(ES256Error) {
    ERR_set_mark()
    defer { ERR_pop_to_mark() }
    try unsafe buffer.write(upTo: ES256Key.signatureCount) { room throws(ES256Error) in
      guard unsafe sign(in: room) else { throw .signature }
      return ES256Key.signatureCount
    }
  }

  private func sign(in room: UnsafeMutableRawBufferPointer) -> Bool {
    let digestCount = HashAlgorithm.sha256.digestCount
    let needed = digestCount + ES256Signature.longestDER
    return unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: needed) { all in
      let hash = unsafe UnsafeMutableBufferPointer(rebasing: all[..<digestCount])
      let der = unsafe UnsafeMutableBufferPointer(rebasing: all[digestCount...])
      _ = unsafe digest.finish(in: UnsafeMutableRawBufferPointer(hash))
      var count = der.count
      guard unsafe EVP_PKEY_sign(maker, der.baseAddress, &count, hash.baseAddress, hash.count) == 1,
        unsafe ES256Signature.unpack(UnsafeBufferPointer(rebasing: der[..<count]), into: room)
      else { return false }
      // Made anew from what is given out, whatever OpenSSL made.
      count = unsafe ES256Signature.pack(UnsafeRawBufferPointer(room), into: der)
      return unsafe EVP_PKEY_verify(judge, der.baseAddress, count, hash.baseAddress, hash.count) == 1
    }
  }
}
