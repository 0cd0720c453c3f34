extension Buffer {
  /// Appends the bytes, each that is not in `keeping` as `%XX` in upper case (RFC 3986 §2.1).
  /// - Parameter plusForSpace: a space becomes `+`, as in forms.
  public mutating func appendPercentEncoded(_ bytes: Span<UInt8>, keeping: ByteSet, plusForSpace: Bool = false) {
    reserve(bytes.count)
    var start = 0
    for index in bytes.indices where !keeping.contains(bytes[index]) {
      append(bytes.extracting(start..<index))
      start = index + 1
      let byte = bytes[index]
      if plusForSpace, byte == 0x20 {
        append(0x2B)
      } else {
        append(0x25)
        append(hexDigit(byte &>> 4).asciiUppercased)
        append(hexDigit(byte & 15).asciiUppercased)
      }
    }
    append(bytes.extracting(start...))
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
