public import Bytes
internal import COpenSSL

/// An HMAC under one key (RFC 2104); `finish` gives it out and re-arms it.
///
/// Keeping one and re-arming it costs a fifth of keying it anew for each message. It is not `Sendable`: each thread has its own.
@safe public final class HMAC {
  public let algorithm: HashAlgorithm
  private let context: OpaquePointer

  public convenience init(_ algorithm: HashAlgorithm, key: Secret) {
    self.init(algorithm, key: key.span)
  }

  /// - Parameter key: any length, also none.
  public init(_ algorithm: HashAlgorithm, key: Span<UInt8>) {
    self.algorithm = algorithm
    unsafe context = unsafe mustExist(EVP_MAC_CTX_new(HMAC.method))
    rekey(key)
  }

  deinit {
    unsafe EVP_MAC_CTX_free(context)
  }

  /// Starts over under another key.
  public func rekey(_ key: Span<UInt8>) {
    let name = unsafe UnsafeMutableRawPointer(mutating: algorithm.name.utf8Start).assumingMemoryBound(to: CChar.self)
    let digest = unsafe UnsafeRawPointer(HMAC.digest.utf8Start).assumingMemoryBound(to: CChar.self)
    let parameters = unsafe [OSSL_PARAM_construct_utf8_string(digest, name, 0), OSSL_PARAM_construct_end()]
    let done = unsafe key.withUnsafeBytes { key in
      // A null key would mean "the one before": no key is a valid address and no bytes.
      let start = unsafe key.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? algorithm.name.utf8Start
      return unsafe EVP_MAC_init(context, start, key.count, parameters)
    }
    mustSucceed(done == 1, "HMAC cannot start")
  }

  /// Forgets what was added since the last `finish`; the key stays.
  public func reset() {
    mustSucceed(unsafe EVP_MAC_init(context, nil, 0, nil) == 1, "HMAC cannot start")
  }

  public func update(_ bytes: Span<UInt8>) {
    let done = unsafe bytes.withUnsafeBytes {
      unsafe EVP_MAC_update(context, $0.baseAddress?.assumingMemoryBound(to: UInt8.self), $0.count)
    }
    mustSucceed(done == 1, "HMAC cannot go on")
  }

  /// Appends the `algorithm.digestCount` bytes of the code.
  public func finish(into buffer: inout Buffer) {
    unsafe buffer.write(upTo: algorithm.digestCount) { unsafe finish(in: $0) }
  }

  /// Writes the code to the start of `room`, which holds at least `algorithm.digestCount` bytes; returns how many.
  func finish(in room: UnsafeMutableRawBufferPointer) -> Int {
    var count = 0
    let start = unsafe room.baseAddress?.assumingMemoryBound(to: UInt8.self)
    mustSucceed(unsafe EVP_MAC_final(context, start, &count, room.count) == 1, "HMAC cannot end")
    reset()
    return count
  }

  /// `OSSL_MAC_PARAM_DIGEST`, at an address that stays: as a `String` it would be gone before OpenSSL reads it.
  private static let digest: StaticString = "digest"

  /// Fetched once a process. OpenSSL never changes what it gives out, and all threads may use it.
  private nonisolated(unsafe) static let method = unsafe mustExist(
    EVP_MAC_fetch(nil, "HMAC", nil), "OpenSSL lacks HMAC")
}
