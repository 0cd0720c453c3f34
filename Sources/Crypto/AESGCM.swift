public import Bytes
internal import COpenSSL

/// AES-256 in Galois/counter mode (NIST SP 800-38D), in the one shape that the store uses: keys of 32 bytes, nonces of
/// 12, tags of 16 behind the ciphertext. A nonce is never used twice under one key: that is the caller's duty.
public enum AESGCM {
  public static let keyCount = 32
  public static let nonceCount = 12
  public static let tagCount = 16

  /// Appends the ciphertext and its tag, `plaintext.count + tagCount` bytes.
  /// - Throws: `AEADError.keyLength`, `.nonceLength`.
  public static func seal(
    _ plaintext: Span<UInt8>, key: Secret, nonce: Span<UInt8>, associated: Span<UInt8>, to buffer: inout Buffer
  ) throws(AEADError) {
    let cipher = try Cipher(key: key, nonce: nonce, sealing: true)
    cipher.associate(associated)
    unsafe buffer.write(upTo: plaintext.count + tagCount) { room in
      let end = unsafe room.baseAddress.map { unsafe $0 + plaintext.count }
      unsafe cipher.update(plaintext, into: UnsafeMutableRawBufferPointer(rebasing: room[..<plaintext.count]))
      mustSucceed(
        unsafe cipher.finish()
          && EVP_CIPHER_CTX_ctrl(cipher.context, EVP_CTRL_AEAD_GET_TAG, Int32(tagCount), end) == 1, "cipher cannot end")
      return plaintext.count + tagCount
    }
  }

  /// What was sealed; nothing at all is given out unless key, nonce, associated bytes, ciphertext and tag belong together.
  /// - Throws: `AEADError.authentication` if they do not (also when there is no room for a tag), `.keyLength`, `.nonceLength`.
  public static func open(
    _ sealed: Span<UInt8>, key: Secret, nonce: Span<UInt8>, associated: Span<UInt8>
  ) throws(AEADError) -> Secret {
    let cipher = try Cipher(key: key, nonce: nonce, sealing: false)
    guard sealed.count >= tagCount else { throw .authentication }
    let count = sealed.count - tagCount
    cipher.associate(associated)
    return try unsafe Secret(count: count) { room throws(AEADError) in
      unsafe cipher.update(sealed.extracting(first: count), into: room)
      let tag = sealed.extracting(last: tagCount)
      let set = unsafe tag.withUnsafeBytes { tag in
        // OpenSSL takes the expected tag through a pointer that it does not write to.
        let start = unsafe UnsafeMutableRawPointer(mutating: tag.baseAddress)
        return unsafe EVP_CIPHER_CTX_ctrl(cipher.context, EVP_CTRL_AEAD_SET_TAG, Int32(tagCount), start)
      }
      guard set == 1, cipher.finish() else { throw .authentication }
    }
  }
}

/// Why nothing was sealed or opened.
public enum AEADError: Error, Equatable {
  case keyLength, nonceLength, authentication
}

/// One cipher operation of OpenSSL; its key schedule is wiped when it goes.
@safe private final class Cipher {
  let context: OpaquePointer

  init(key: Secret, nonce: Span<UInt8>, sealing: Bool) throws(AEADError) {
    guard key.count == AESGCM.keyCount else { throw .keyLength }
    guard nonce.count == AESGCM.nonceCount else { throw .nonceLength }
    unsafe context = unsafe mustExist(EVP_CIPHER_CTX_new())
    let done = unsafe key.span.withUnsafeBytes { key in
      unsafe nonce.withUnsafeBytes { nonce in
        unsafe EVP_CipherInit_ex2(
          context, Cipher.method, key.baseAddress?.assumingMemoryBound(to: UInt8.self),
          nonce.baseAddress?.assumingMemoryBound(to: UInt8.self), sealing ? 1 : 0, nil)
      }
    }
    mustSucceed(done == 1, "cipher cannot start")
  }

  deinit {
    unsafe EVP_CIPHER_CTX_free(context)
  }

  func associate(_ bytes: Span<UInt8>) {
    guard bytes.count > 0 else { return }
    unsafe run(bytes, into: nil)
  }

  func update(_ bytes: Span<UInt8>, into room: UnsafeMutableRawBufferPointer) {
    guard bytes.count > 0 else { return }
    unsafe run(bytes, into: room.baseAddress?.assumingMemoryBound(to: UInt8.self))
  }

  private func run(_ bytes: Span<UInt8>, into start: UnsafeMutablePointer<UInt8>?) {
    var written: Int32 = 0
    let done = unsafe bytes.withUnsafeBytes { bytes in
      let from = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
      return unsafe EVP_CipherUpdate(context, start, &written, from, Int32(bytes.count))
    }
    mustSucceed(done == 1 && written == bytes.count, "cipher cannot go on")
  }

  /// True if the tag was made (sealing) or is the right one (opening).
  func finish() -> Bool {
    var nothing: UInt8 = 0
    var written: Int32 = 0
    return unsafe EVP_CipherFinal_ex(context, &nothing, &written) == 1
  }

  /// Fetched once a process. OpenSSL never changes what it gives out, and all threads may use it.
  private nonisolated(unsafe) static let method = unsafe mustExist(
    EVP_CIPHER_fetch(nil, "AES-256-GCM", nil), "OpenSSL lacks AES-256-GCM")
}
