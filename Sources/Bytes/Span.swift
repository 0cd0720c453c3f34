import Glibc

extension UInt8 {
  /// The lower-case letter for `A`–`Z`, any other byte as it is.
  @inlinable public var asciiLowercased: UInt8 {
    self &- 0x41 < 26 ? self | 0x20 : self
  }

  /// The upper-case letter for `a`–`z`, any other byte as it is.
  @inlinable public var asciiUppercased: UInt8 {
    self &- 0x61 < 26 ? self & 0xDF : self
  }

  @inlinable public var isASCIIDigit: Bool { self &- 0x30 < 10 }
}

extension Span where Element == UInt8 {
  /// Not constant in time: secrets are compared by `Crypto`.
  public func equals(_ other: Span<UInt8>) -> Bool {
    guard count == other.count else { return false }
    return unsafe withUnsafeBytes { a in
      unsafe other.withUnsafeBytes { b in unsafe Bytes.equals(a, b) }
    }
  }

  public func equals(_ text: StaticString) -> Bool {
    guard count == text.utf8CodeUnitCount else { return false }
    return unsafe withUnsafeBytes { a in
      unsafe Bytes.equals(a, UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
  }

  /// Equality that ignores the case of ASCII letters, as header names are compared.
  public func equalsIgnoringCase(_ other: Span<UInt8>) -> Bool {
    guard count == other.count else { return false }
    for index in indices where self[index].asciiLowercased != other[index].asciiLowercased { return false }
    return true
  }

  /// Equality that ignores the case of ASCII letters, as header names are compared.
  public func equalsIgnoringCase(_ text: StaticString) -> Bool {
    guard count == text.utf8CodeUnitCount else { return false }
    for index in indices where unsafe self[index].asciiLowercased != text.utf8Start[index].asciiLowercased {
      return false
    }
    return true
  }

  public func hasPrefix(_ other: Span<UInt8>) -> Bool {
    count >= other.count && extracting(first: other.count).equals(other)
  }

  public func hasPrefix(_ text: StaticString) -> Bool {
    count >= text.utf8CodeUnitCount && extracting(first: text.utf8CodeUnitCount).equals(text)
  }

  public func hasSuffix(_ text: StaticString) -> Bool {
    count >= text.utf8CodeUnitCount && extracting(last: text.utf8CodeUnitCount).equals(text)
  }

  /// The offset of the first control character, 0x00–0x1F or 0x7F, at or after `start`.
  public func firstControl(from start: Int = 0) -> Int? {
    var at = start
    while at &+ ByteBlock.count <= count {
      let plain = ByteBlock.before(ByteBlock(self, at: at).areControls)
      at &+= plain
      if plain < ByteBlock.count { return at }
    }
    while at < count {
      if self[at] < 0x20 || self[at] == 0x7F { return at }
      at &+= 1
    }
    return nil
  }

  /// The offset of the first such byte at or after `start`.
  public func firstOffset(of byte: UInt8, from start: Int = 0) -> Int? {
    precondition(start >= 0 && start <= count)
    return unsafe withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress, let found = unsafe memchr(base + start, Int32(byte), bytes.count - start)
      else { return nil }
      return unsafe UnsafeRawPointer(found) - base
    }
  }
}

private func equals(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
  guard let x = a.baseAddress, let y = b.baseAddress, a.count > 0 else { return a.count == b.count }
  return unsafe memcmp(x, y, a.count) == 0
}

extension String {
  /// The bytes as UTF-8; what is not valid becomes U+FFFD.
  public init(_ bytes: Span<UInt8>) {
    self = unsafe bytes.withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
  }
}

extension Array where Element == UInt8 {
  public init(_ bytes: Span<UInt8>) {
    self = unsafe bytes.withUnsafeBufferPointer { unsafe Array($0) }
  }
}
