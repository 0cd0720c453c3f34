extension Buffer {
  /// Appends two lower-case hexadecimal digits a byte.
  public mutating func appendHex(_ bytes: Span<UInt8>) {
    unsafe write(upTo: bytes.count * 2) { room in
      for index in bytes.indices {
        unsafe room[2 &* index] = hexDigit(bytes[index] &>> 4)
        unsafe room[2 &* index &+ 1] = hexDigit(bytes[index] & 15)
      }
      return bytes.count * 2
    }
  }

  /// Appends the bytes that the hexadecimal digits (either case) stand for.
  /// - Returns: false, with nothing appended, for an odd count or another character.
  public mutating func appendDecodedHex(_ text: Span<UInt8>) -> Bool {
    guard text.count.isMultiple(of: 2) else { return false }
    let start = count
    reserve(text.count / 2)
    for index in 0..<(text.count / 2) {
      guard let high = hexValue(text[2 * index]), let low = hexValue(text[2 * index + 1]) else {
        truncate(to: start)
        return false
      }
      append(high &<< 4 | low)
    }
    return true
  }
}

/// The lower-case digit of 0–15.
@inlinable public func hexDigit(_ value: UInt8) -> UInt8 {
  value < 10 ? 0x30 + value : 0x57 + value
}

/// 0–15 for a hexadecimal digit of either case.
@inlinable public func hexValue(_ digit: UInt8) -> UInt8? {
  switch digit {
  case 0x30...0x39: digit - 0x30
  case 0x41...0x46: digit - 0x37
  case 0x61...0x66: digit - 0x57
  default: nil
  }
}
