internal import COpenSSL

/// Bytes that must not leak: a key, a password, a token.
///
/// They live in OpenSSL's secure heap (guard pages, locked in memory where the limit allows, left out of core dumps), are
/// wiped when the last reference goes, and print as `•••` however they are printed. Comparing takes the same time
/// wherever two secrets differ. Copies of a reference share the bytes, which never change.
@safe public final class Secret: Sendable {
  /// Bytes held.
  public let count: Int
  /// Written before anybody else has it, and wiped when nobody has it any more; in between it is only read.
  private nonisolated(unsafe) let base: UnsafeMutableRawPointer

  /// Lets `fill` write `count` bytes; what it leaves untouched is zero. If it throws, what it wrote is wiped.
  public init<E: Error>(count: Int, _ fill: (UnsafeMutableRawBufferPointer) throws(E) -> Void) throws(E) {
    precondition(count >= 0)
    self.count = count
    unsafe base = SecureHeap.allocate(max(count, 1))
    try unsafe fill(UnsafeMutableRawBufferPointer(start: base, count: count))
  }

  /// A copy; wiping the original is its owner's business.
  public convenience init(copying bytes: Span<UInt8>) {
    unsafe self.init(count: bytes.count) { room in
      unsafe bytes.withUnsafeBytes { unsafe room.copyMemory(from: $0) }
    }
  }

  deinit {
    unsafe CRYPTO_secure_clear_free(base, max(count, 1), nil, 0)
  }

  /// The bytes, for as long as the secret is borrowed.
  public var span: Span<UInt8> {
    @_lifetime(borrow self)
    get {
      unsafe _overrideLifetime(
        Span(_unsafeStart: base.assumingMemoryBound(to: UInt8.self), count: count), borrowing: self)
    }
  }

  public var isEmpty: Bool { count == 0 }
}

extension Secret: Equatable {
  /// Constant-time for equal lengths.
  public static func == (one: Secret, other: Secret) -> Bool {
    constantTimeEquals(one.span, other.span)
  }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String { "•••" }
  public var debugDescription: String { "•••" }
  public var customMirror: Mirror { Mirror(self, children: []) }
}

/// OpenSSL's secure heap, prepared once for the process.
enum SecureHeap {
  /// Room for some thousand secrets; the usual limit on locked memory is 8 MiB.
  private static let arena = 1 << 20

  /// Asked for before OpenSSL itself holds a secret: private keys go where this heap is, if it is there by then.
  static let ready: Bool = CRYPTO_secure_malloc_init(arena, 32) != 0

  /// Zeroed. A full arena is no reason to fail a request: ordinary memory is wiped just the same.
  static func allocate(_ count: Int) -> UnsafeMutableRawPointer {
    _ = ready
    if let base = unsafe CRYPTO_secure_zalloc(count, nil, 0) { return unsafe base }
    // Where Swift cannot allocate it ends the process, too.
    guard let base = unsafe CRYPTO_zalloc(count, nil, 0) else { fatalError("out of memory") }
    return unsafe base
  }
}
