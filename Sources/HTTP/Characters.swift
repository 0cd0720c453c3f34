internal import Bytes

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

  /// Those of a block that are no letters, digits or `-`, of which nearly all names of fields are made.
  @inline(__always) static func areNotInNames(_ block: ByteBlock) -> ByteBlock.Mask {
    .!(block.are(0x61, to: 0x7A) .| block.are(0x41, to: 0x5A) .| block.are(0x30, to: 0x39) .| block.are(0x2D))
  }

  /// Those of a block that are not `isTarget`, and the rare `!`, `]` and `~`, which are.
  @inline(__always) static func areNotInTargets(_ block: ByteBlock) -> ByteBlock.Mask {
    .!(block.are(0x61, to: 0x7A) .| block.are(0x3F, to: 0x5B) .| block.are(0x24, to: 0x3B) .| block.are(0x3D)
      .| block.are(0x5F))
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
    let known = unsafe UnsafeRawPointer(text.utf8Start)
    let own = unsafe bytes
    // Words that overlap at the end; the text is known when this is compiled, and so is all but the loads.
    if length >= 8 {
      var at = 0
      while true {
        let word = unsafe own.unsafeLoadUnaligned(fromByteOffset: start &+ at, as: UInt64.self) | 0x2020_2020_2020_2020
        guard unsafe word == known.loadUnaligned(fromByteOffset: at, as: UInt64.self) else { return false }
        if at == length &- 8 { return true }
        at = Swift.min(at &+ 8, length &- 8)
      }
    }
    if length >= 4 {
      let first = unsafe own.unsafeLoadUnaligned(fromByteOffset: start, as: UInt32.self) | 0x2020_2020
      let last = unsafe own.unsafeLoadUnaligned(fromByteOffset: start &+ length &- 4, as: UInt32.self) | 0x2020_2020
      return unsafe first == known.loadUnaligned(as: UInt32.self)
        && last == known.loadUnaligned(fromByteOffset: length &- 4, as: UInt32.self)
    }
    for i in 0..<length where unsafe self[start &+ i] | 0x20 != text.utf8Start[i] { return false }
    return true
  }

  /// The bytes of `range` are `text` in any ASCII case.
  @inline(__always) func matches(_ text: StaticString, in range: Range<Int>) -> Bool {
    range.count == text.utf8CodeUnitCount && matches(text, at: range.lowerBound)
  }

  /// The bytes of `range` are exactly `text`.
  @inline(__always) func equals(_ text: StaticString, in range: Range<Int>) -> Bool {
    range.count == text.utf8CodeUnitCount && equals(text, at: range.lowerBound)
  }

  /// The bytes at `start` are exactly `text`.
  @inline(__always) func equals(_ text: StaticString, at start: Int) -> Bool {
    let length = text.utf8CodeUnitCount
    guard start &+ length <= count else { return false }
    for i in 0..<length where unsafe self[start &+ i] != text.utf8Start[i] { return false }
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
