/// The byte classes of RFC 9110 and RFC 3986, as two words of bits: no table in memory, no `Character`.
@usableFromInline enum Characters {
  /// tchar (RFC 9110 §5.6.2).
  @inline(__always) static func isToken(_ byte: UInt8) -> Bool {
    has(byte, 0x03FF_6CFA_0000_0000, 0x57FF_FFFF_C7FF_FFFE)
  }

  /// What a request target may hold: RFC 3986's characters and `[`, `]`, which clients leave plain; no `#`.
  @inline(__always) static func isTarget(_ byte: UInt8) -> Bool {
    has(byte, 0xAFFF_FFF2_0000_0000, 0x47FF_FFFE_AFFF_FFFF)
  }

  /// A host name or address without brackets: letters, digits, `-`, `.`, `_`.
  @inline(__always) static func isHost(_ byte: UInt8) -> Bool {
    has(byte, 0x03FF_6000_0000_0000, 0x07FF_FFFE_87FF_FFFE)
  }

  @inline(__always) static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

  /// The value of a hexadecimal digit, or nil.
  @inline(__always) static func hex(_ byte: UInt8) -> UInt8? {
    if byte &- 0x30 < 10 { return byte &- 0x30 }
    let letter = (byte | 0x20) &- 0x61
    return letter < 6 ? letter &+ 10 : nil
  }

  /// - Parameters:
  ///   - low: bits of the bytes 0–63.
  ///   - high: bits of the bytes 64–127.
  @inline(__always) private static func has(_ byte: UInt8, _ low: UInt64, _ high: UInt64) -> Bool {
    let word = byte & 0x40 == 0 ? low : high
    return (word &>> UInt64(byte)) & 1 == 1 && byte < 0x80
  }
}

extension Span where Element == UInt8 {
  /// The bytes at `start` are `text` in any ASCII case. `text` is lower case, letters, digits and `-`; the bytes are tchar.
  @inline(__always) func matches(_ text: StaticString, at start: Int) -> Bool {
    let length = text.utf8CodeUnitCount
    guard start &+ length <= count else { return false }
    for i in 0..<length where unsafe self[start &+ i] | 0x20 != text.utf8Start[i] { return false }
    return true
  }

  /// The bytes of `range` are `text` in any ASCII case.
  @inline(__always) func matches(_ text: StaticString, in range: Range<Int>) -> Bool {
    range.count == text.utf8CodeUnitCount && matches(text, at: range.lowerBound)
  }

  /// The bytes of `range` are exactly `text`.
  @inline(__always) func equals(_ text: StaticString, in range: Range<Int>) -> Bool {
    guard range.count == text.utf8CodeUnitCount else { return false }
    for i in 0..<range.count where unsafe self[range.lowerBound &+ i] != text.utf8Start[i] { return false }
    return true
  }
}

/// RFC 9110 §5.6.2: one or more tchar.
public func isToken(_ bytes: Span<UInt8>) -> Bool {
  for i in bytes.indices where !Characters.isToken(bytes[i]) { return false }
  return bytes.count > 0
}

/// RFC 9110 §5.5: visible ASCII, obs-text, and SP or HTAB between them; may be empty.
public func isFieldValue(_ bytes: Span<UInt8>) -> Bool {
  for i in bytes.indices {
    let byte = bytes[i]
    let edge = i == 0 || i == bytes.count - 1
    if byte == 0x7F || byte < 0x20 && byte != 0x09 || edge && (byte == 0x20 || byte == 0x09) { return false }
  }
  return true
}
