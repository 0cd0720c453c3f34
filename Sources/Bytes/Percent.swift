extension Buffer {
  /// Appends the bytes, each that is not unreserved as `%XX` in upper case (RFC 3986 §2.1 and §2.3).
  /// - Parameter plusForSpace: a space becomes `+`, as in forms.
  public mutating func appendPercentEncoded(_ bytes: Span<UInt8>, plusForSpace: Bool = false) {
    // Room for the worst, a page of it at a time.
    var start = 0
    while start < bytes.count {
      let piece = bytes.extracting(start..<min(bytes.count, start &+ 1024))
      start &+= piece.count
      unsafe write(upTo: 3 &* piece.count) { room in
        var written = 0
        for index in piece.indices {
          let byte = piece[index]
          if isUnreserved(byte) {
            unsafe room[written] = byte
            written &+= 1
          } else if plusForSpace, byte == 0x20 {
            unsafe room[written] = 0x2B
            written &+= 1
          } else {
            unsafe room[written] = 0x25
            unsafe room[written &+ 1] = hexDigit(byte &>> 4).asciiUppercased
            unsafe room[written &+ 2] = hexDigit(byte & 15).asciiUppercased
            written &+= 3
          }
        }
        return written
      }
    }
  }

  /// Appends the bytes with every `%XX` decoded.
  /// - Returns: false, with nothing appended, when a `%` has no two digits behind it.
  public mutating func appendPercentDecoded(_ text: Span<UInt8>) -> Bool {
    appendDecoded(text, plusIsSpace: false)
  }

  /// Appends a name or value of a form or query: `%XX` decoded, `+` as a space.
  /// - Returns: false, with nothing appended, when a `%` has no two digits behind it.
  public mutating func appendFormDecoded(_ text: Span<UInt8>) -> Bool {
    appendDecoded(text, plusIsSpace: true)
  }

  private mutating func appendDecoded(_ text: Span<UInt8>, plusIsSpace: Bool) -> Bool {
    // Most names and values have nothing to decode.
    var plain = 0
    while plain < text.count, text[plain] != 0x25, text[plain] != 0x2B || !plusIsSpace { plain &+= 1 }
    if plain == text.count {
      append(text)
      return true
    }
    let start = count
    var isValid = true
    unsafe write(upTo: text.count) { room in
      var index = 0
      var written = 0
      while index < text.count {
        var byte = text[index]
        index += 1
        if byte == 0x25 {
          guard text.count - index >= 2, let high = hexValue(text[index]), let low = hexValue(text[index + 1]) else {
            isValid = false
            break
          }
          byte = high &<< 4 | low
          index += 2
        } else if plusIsSpace, byte == 0x2B {
          byte = 0x20
        }
        unsafe room[written] = byte
        written += 1
      }
      return written
    }
    if !isValid { truncate(to: start) }
    return isValid
  }
}

/// `unreserved` of RFC 3986 §2.3, what percent-encoding leaves alone: letters, digits, `-`, `.`, `_` and `~`.
@inlinable @inline(__always) public func isUnreserved(_ byte: UInt8) -> Bool {
  let bits: UInt64 = byte & 0x40 == 0 ? 0x03FF_6000_0000_0000 : 0x47FF_FFFE_87FF_FFFE
  return byte < 0x80 && (bits &>> UInt64(byte)) & 1 == 1
}
