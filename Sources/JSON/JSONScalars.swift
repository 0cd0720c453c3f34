import Bytes

/// Strings, numbers and words.
extension JSONParser {
  /// The string whose opening quote is here.
  mutating func string() throws(JSONError) -> String {
    let start = offset
    offset += 1
    var text: [UInt8] = []
    while let byte = peek {
      switch byte {
      case UInt8(ascii: "\""):
        offset += 1
        return String(text.span)
      case UInt8(ascii: "\\"): try escape(into: &text)
      case 0x0A, 0x0D:
        throw error(.syntax, "this string is not closed on its line", at: start, count: offset - start)
      case 0x00..<0x20:
        throw error(.syntax, "a control character in a string is written as an escape", at: offset, help: escaped(byte))
      default:
        text.append(byte)
        offset += 1
      }
    }
    throw error(.syntax, "this string is never closed", at: start, count: offset - start)
  }

  private func escaped(_ byte: UInt8) -> String {
    byte == 0x09 ? "write \\t" : "write \\u00" + (byte < 0x10 ? "0" : "") + String(byte, radix: 16)
  }

  private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
    let start = offset
    let letter = offset + 1 < bytes.count ? bytes[offset + 1] : 0
    offset += 2
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(letter)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      guard var code = unit(at: offset) else {
        throw error(.syntax, "\\u needs four hexadecimal digits", at: start, count: 2)
      }
      offset += 4
      if code & 0xFC00 == 0xD800, peek == UInt8(ascii: "\\"), offset + 1 < bytes.count,
        bytes[offset + 1] == UInt8(ascii: "u"), let low = unit(at: offset + 2), low & 0xFC00 == 0xDC00
      {
        code = 0x10000 + (code & 0x3FF) << 10 + low & 0x3FF
        offset += 6
      }
      guard let scalar = Unicode.Scalar(code) else {
        throw error(.syntax, "half of a surrogate pair is no character", at: start, count: 6)
      }
      text.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
    default:
      throw error(.syntax, "unknown escape in a string", at: start, count: 2, help: "a backslash itself is \\\\")
    }
  }

  /// The four hexadecimal digits at an offset.
  private func unit(at start: Int) -> UInt32? {
    guard start + 4 <= bytes.count else { return nil }
    var code: UInt32 = 0
    for index in start..<(start + 4) {
      guard let digit = hexValue(bytes[index]) else { return nil }
      code = code << 4 | UInt32(digit)
    }
    return code
  }

  /// The number that starts here, as written (RFC 8259 §6).
  mutating func number() throws(JSONError) -> String {
    let start = offset
    while let byte = peek, isWordByte(byte) || byte == UInt8(ascii: "+") || byte == UInt8(ascii: ".") { offset += 1 }
    let text = bytes.extracting(start..<offset)
    guard isNumber(text) else {
      let digits = text[0] == UInt8(ascii: "-") ? 1 : 0
      let hasLeadingZero = text.count > digits + 1 && text[digits] == 0x30 && text[digits + 1].isASCIIDigit
      throw error(
        .syntax, "this is not a number", at: start, count: text.count,
        help: hasLeadingZero ? "numbers have no leading zero" : "a text stands in double quotes")
    }
    return String(text)
  }

  private func isNumber(_ text: Span<UInt8>) -> Bool {
    var index = 0
    func digits() -> Bool {
      let start = index
      while index < text.count, text[index].isASCIIDigit { index += 1 }
      return index > start
    }
    func accepts(_ set: ByteSet) -> Bool {
      guard index < text.count, set.contains(text[index]) else { return false }
      index += 1
      return true
    }
    _ = accepts(ByteSet("-"))
    if !accepts(ByteSet("0")), !digits() { return false }
    if accepts(ByteSet(".")), !digits() { return false }
    if accepts(ByteSet("eE")) {
      _ = accepts(ByteSet("+-"))
      if !digits() { return false }
    }
    return index == text.count
  }

  /// `true`, `false`, `null`, or what stands where a value should.
  mutating func word() throws(JSONError) -> JSONValue.Kind {
    let start = offset
    let text = wordHere()
    offset += text.count
    switch String(text) {
    case "true": return .bool(true)
    case "false": return .bool(false)
    case "null": return .null
    case "":
      guard let byte = peek else { throw error(.syntax, "expected a value, found the end", at: start) }
      if byte == UInt8(ascii: "'") { throw singleQuotes() }
      throw error(.syntax, "expected a value", at: start)
    case let word:
      let help =
        closest(to: word, among: ["true", "false", "null"]).map { "did you mean \($0)?" }
        ?? "a text stands in double quotes"
      throw error(.syntax, "this is not a value", at: start, count: text.count, help: help)
    }
  }

  /// What stands where a key should.
  func misplacedKey() -> JSONError {
    let text = wordHere()
    if !text.isEmpty {
      return error(
        .syntax, "a key stands in double quotes", at: offset, count: text.count, help: "write \"\(String(text))\"")
    }
    if peek == UInt8(ascii: "'") { return singleQuotes() }
    return error(.syntax, "expected a key in double quotes", at: offset)
  }

  private func singleQuotes() -> JSONError {
    error(.syntax, "strings stand in double quotes", at: offset, help: "write \" instead of '")
  }

  @_lifetime(copy self)
  private func wordHere() -> Span<UInt8> {
    var end = offset
    while end < bytes.count, isWordByte(bytes[end]) { end += 1 }
    return bytes.extracting(offset..<end)
  }

  private func isWordByte(_ byte: UInt8) -> Bool {
    byte.isASCIIDigit || byte.asciiLowercased &- 0x61 < 26 || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
      || byte >= 0x80
  }
}
