extension Buffer {
  /// Appends base64 with padding (RFC 4648 §4).
  public mutating func appendBase64(_ bytes: Span<UInt8>) {
    appendBase64(bytes, alphabet: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", padding: true)
  }

  /// Appends base64url without padding (RFC 4648 §5, as in JWTs).
  public mutating func appendBase64URL(_ bytes: Span<UInt8>) {
    appendBase64(bytes, alphabet: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", padding: false)
  }

  private mutating func appendBase64(_ bytes: Span<UInt8>, alphabet: StaticString, padding: Bool) {
    func character(_ group: UInt32, _ shift: UInt32) -> UInt8 {
      unsafe alphabet.utf8Start[Int(group &>> shift & 63)]
    }
    reserve((bytes.count + 2) / 3 * 4)
    var index = 0
    while index < bytes.count {
      let left = bytes.count - index
      var group = UInt32(bytes[index]) &<< 16
      if left > 1 { group |= UInt32(bytes[index + 1]) &<< 8 }
      if left > 2 { group |= UInt32(bytes[index + 2]) }
      append(character(group, 18))
      append(character(group, 12))
      if left > 1 { append(character(group, 6)) } else if padding { append(0x3D) }
      if left > 2 { append(character(group, 0)) } else if padding { append(0x3D) }
      index += 3
    }
  }

  /// Appends what canonical padded base64 stands for.
  /// - Returns: false, with nothing appended, for anything else: white space, missing padding, stray bits.
  public mutating func appendDecodedBase64(_ text: Span<UInt8>) -> Bool {
    guard text.count.isMultiple(of: 4) else { return false }
    var end = text.count
    while end > 0, text.count - end < 2, text[end - 1] == 0x3D { end -= 1 }
    return appendDecoded(text.extracting(0..<end), plus: 0x2B, slash: 0x2F)
  }

  /// Appends what canonical unpadded base64url stands for.
  /// - Returns: false, with nothing appended, for anything else, padding included.
  public mutating func appendDecodedBase64URL(_ text: Span<UInt8>) -> Bool {
    appendDecoded(text, plus: 0x2D, slash: 0x5F)
  }

  private mutating func appendDecoded(_ text: Span<UInt8>, plus: UInt8, slash: UInt8) -> Bool {
    guard text.count % 4 != 1 else { return false }
    let start = count
    reserve(text.count / 4 * 3 + 2)
    var bits: UInt32 = 0
    var held = 0
    for index in text.indices {
      let byte = text[index]
      let value: UInt8
      switch byte {
      case 0x41...0x5A: value = byte - 0x41
      case 0x61...0x7A: value = byte - 0x61 + 26
      case 0x30...0x39: value = byte - 0x30 + 52
      case plus: value = 62
      case slash: value = 63
      default:
        truncate(to: start)
        return false
      }
      bits = bits &<< 6 | UInt32(value)
      held += 6
      if held >= 8 {
        held -= 8
        append(UInt8(truncatingIfNeeded: bits &>> UInt32(held)))
      }
    }
    // Bits that stand for nothing must be zero, or two texts would mean the same bytes.
    if bits & (1 &<< UInt32(held) - 1) != 0 {
      truncate(to: start)
      return false
    }
    return true
  }
}
