import Glibc

/// A growable run of bytes with one owner: written at the end, consumed from the front.
///
/// The readable bytes are contiguous, so a parser sees one `Span`. Room is made by sliding the readable bytes to the
/// front before growing, and growth doubles: appending is amortised O(1), and nothing is allocated until the first byte.
/// Any buffer may have carried a credential, so memory that was written is zeroed before it is given back.
@safe public struct Buffer: ~Copyable {
  @usableFromInline internal var base: UnsafeMutableRawPointer?
  @usableFromInline internal var lower = 0
  @usableFromInline internal var upper = 0
  /// Bytes from the start that may have been written since the memory was last zeroed, unless `upper` is behind that.
  @usableFromInline internal var touched = 0
  @usableFromInline internal var allocated = 0
  /// Bytes allocated.
  public var capacity: Int { allocated }

  @inlinable public init() {
    unsafe base = nil
  }

  /// - Parameter capacity: bytes to allocate at once.
  public init(capacity: Int) {
    unsafe base = nil
    reserve(capacity)
  }

  deinit {
    unsafe Buffer.discard(base, max(touched, upper))
  }

  /// - Parameter used: bytes from the start that may have been written.
  private static func discard(_ base: UnsafeMutableRawPointer?, _ used: Int) {
    guard let base = unsafe base else { return }
    unsafe explicit_bzero(base, used)
    unsafe free(base)
  }

  /// Readable bytes.
  @inlinable public var count: Int { upper - lower }

  @inlinable public var isEmpty: Bool { upper == lower }

  /// The readable bytes.
  @inlinable public var span: Span<UInt8> {
    @_lifetime(borrow self)
    get {
      unsafe _overrideLifetime(
        Span(
          _unsafeStart: base.map { unsafe ($0 + lower).assumingMemoryBound(to: UInt8.self) } ?? Buffer.nowhere,
          count: upper - lower),
        borrowing: self)
    }
  }

  /// Lends the readable bytes to `body`: for a buffer that is a property of a class, whose `span` may not outlive the access.
  @inlinable public func withSpan<Result, E: Error>(_ body: (Span<UInt8>) throws(E) -> Result) throws(E) -> Result {
    try body(span)
  }

  /// A valid address for a span of no bytes.
  @usableFromInline internal static var nowhere: UnsafeMutablePointer<UInt8> {
    unsafe UnsafeMutablePointer(bitPattern: 16).unsafelyUnwrapped
  }

  /// Makes room for `additional` more bytes without moving the end.
  @inlinable public mutating func reserve(_ additional: Int) {
    precondition(additional >= 0)
    if allocated &- upper < additional { grow(additional) }
  }

  @usableFromInline internal mutating func grow(_ additional: Int) {
    touched = max(touched, upper)
    if let base = unsafe base, lower > 0 {
      unsafe base.copyMemory(from: base + lower, byteCount: count)
      upper -= lower
      lower = 0
      if allocated - upper >= additional { return }
    }
    let wanted = max(upper + additional, allocated * 2, 64)
    // Where Swift cannot allocate it ends the process, too.
    guard let grown = unsafe malloc(wanted) else { fatalError("out of memory") }
    if let base = unsafe base { unsafe grown.copyMemory(from: base, byteCount: upper) }
    unsafe Buffer.discard(base, touched)
    unsafe base = grown
    allocated = wanted
    touched = upper
  }

  @inlinable public mutating func append(_ byte: UInt8) {
    if upper == allocated { grow(1) }
    unsafe base.unsafelyUnwrapped.storeBytes(of: byte, toByteOffset: upper, as: UInt8.self)
    upper += 1
  }

  @inlinable public mutating func append(_ bytes: Span<UInt8>) {
    unsafe bytes.withUnsafeBytes { unsafe append(raw: $0) }
  }

  @inlinable public mutating func append(_ text: StaticString) {
    unsafe append(raw: UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  @inlinable public mutating func append(_ bytes: [UInt8]) {
    unsafe bytes.withUnsafeBytes { unsafe append(raw: $0) }
  }

  /// Appends the text as UTF-8. A literal is a `StaticString`: that copies bytes, this makes a `String` first.
  @_disfavoredOverload @inlinable public mutating func append(_ text: String) {
    var text = text
    text.withUTF8 { unsafe append(raw: UnsafeRawBufferPointer($0)) }
  }

  @unsafe @inlinable public mutating func append(raw bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress, bytes.count > 0 else { return }
    if allocated &- upper < bytes.count { grow(bytes.count) }
    unsafe (base.unsafelyUnwrapped + upper).copyMemory(from: start, byteCount: bytes.count)
    upper += bytes.count
  }

  /// Appends a copy of readable bytes of this same buffer, as offsets into `span`.
  @inlinable public mutating func append(own range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    reserve(range.count)
    guard let base = unsafe base else { return }
    unsafe (base + upper).copyMemory(from: base + lower + range.lowerBound, byteCount: range.count)
    upper += range.count
  }

  /// Lets `body` write up to `limit` bytes at the end (a read from a socket, a digest); it returns how many it wrote.
  @inlinable public mutating func write<E: Error>(
    upTo limit: Int, _ body: (UnsafeMutableRawBufferPointer) throws(E) -> Int
  ) throws(E) {
    reserve(limit)
    touched = max(touched, upper + limit)
    let written = try unsafe body(UnsafeMutableRawBufferPointer(start: base.map { unsafe $0 + upper }, count: limit))
    precondition(written >= 0 && written <= limit)
    upper += written
  }

  /// Overwrites one readable byte.
  public mutating func replace(at offset: Int, with byte: UInt8) {
    precondition(offset >= 0 && offset < count)
    unsafe base.unsafelyUnwrapped.storeBytes(of: byte, toByteOffset: lower + offset, as: UInt8.self)
  }

  /// Forgets the first `count` readable bytes.
  @inlinable public mutating func consume(_ count: Int) {
    precondition(count >= 0 && count <= self.count)
    lower += count
    if lower == upper { clear() }
  }

  /// Forgets the last readable bytes, keeping `count` of them.
  @inlinable public mutating func truncate(to count: Int) {
    precondition(count >= 0 && count <= self.count)
    touched = max(touched, upper)
    upper = lower + count
  }

  /// Forgets all bytes and keeps the room.
  @inlinable public mutating func clear() {
    touched = max(touched, upper)
    lower = 0
    upper = 0
  }

  /// Overwrites all that was ever written with zeroes and forgets the bytes: for bytes that held a secret.
  public mutating func wipe() {
    clear()
    if let base = unsafe base { unsafe explicit_bzero(base, touched) }
    touched = 0
  }

  /// Gives the memory back.
  public mutating func release() {
    clear()
    unsafe Buffer.discard(base, touched)
    unsafe base = nil
    allocated = 0
    touched = 0
  }
}
