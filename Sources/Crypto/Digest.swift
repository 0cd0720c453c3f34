public import Bytes
internal import COpenSSL

/// A hash being computed; `finish` gives it out and starts the next one, so that one object serves many messages.
@safe public final class Digest {
  public let algorithm: HashAlgorithm
  private let context: OpaquePointer
  /// Nothing was added: what comes of that is known. Most requests have no body.
  private var isUntouched = true
  private var ofNothing = Buffer()

  public init(_ algorithm: HashAlgorithm) {
    self.algorithm = algorithm
    unsafe context = unsafe mustExist(EVP_MD_CTX_new())
    reset()
    unsafe ofNothing.write(upTo: algorithm.digestCount) { unsafe computed(in: $0) }
  }

  deinit {
    unsafe EVP_MD_CTX_free(context)
  }

  /// Forgets what was added since the last `finish`.
  public func reset() {
    mustSucceed(unsafe EVP_DigestInit_ex2(context, algorithm.method, nil) == 1, "hash cannot start")
    isUntouched = true
  }

  public func update(_ bytes: Span<UInt8>) {
    if bytes.isEmpty { return }
    isUntouched = false
    let done = unsafe bytes.withUnsafeBytes { unsafe EVP_DigestUpdate(context, $0.baseAddress, $0.count) }
    mustSucceed(done == 1, "hash cannot go on")
  }

  /// Appends the `algorithm.digestCount` bytes of the digest.
  public func finish(into buffer: inout Buffer) {
    unsafe buffer.write(upTo: algorithm.digestCount) { unsafe finish(in: $0) }
  }

  /// Writes the digest to the start of `room`, which holds at least `algorithm.digestCount` bytes; returns how many.
  func finish(in room: UnsafeMutableRawBufferPointer) -> Int {
    guard isUntouched else { return unsafe computed(in: room) }
    ofNothing.withSpan { digest in unsafe digest.withUnsafeBytes { unsafe room.copyMemory(from: $0) } }
    return ofNothing.count
  }

  private func computed(in room: UnsafeMutableRawBufferPointer) -> Int {
    var count: UInt32 = 0
    let start = unsafe room.baseAddress?.assumingMemoryBound(to: UInt8.self)
    mustSucceed(unsafe EVP_DigestFinal_ex(context, start, &count) == 1, "hash cannot end")
    reset()
    return Int(count)
  }

  /// Appends the digest of one message.
  public static func append(_ algorithm: HashAlgorithm, of bytes: Span<UInt8>, to buffer: inout Buffer) {
    let digest = Digest(algorithm)
    digest.update(bytes)
    digest.finish(into: &buffer)
  }
}
