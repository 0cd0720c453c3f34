public import Bytes

/// Writes JSON text without white space. Commas come by themselves: a value or key that follows another is separated.
///
///     buffer.appendObjectStart()
///     buffer.appendMember("status", 404)
///     buffer.appendMember("code", "unknown_route")
///     buffer.appendObjectEnd()
extension Buffer {
  public mutating func appendObjectStart() {
    separateJSON()
    append(UInt8(ascii: "{"))
  }

  public mutating func appendObjectEnd() {
    append(UInt8(ascii: "}"))
  }

  public mutating func appendArrayStart() {
    separateJSON()
    append(UInt8(ascii: "["))
  }

  public mutating func appendArrayEnd() {
    append(UInt8(ascii: "]"))
  }

  public mutating func appendKey(_ key: String) {
    appendJSON(key)
    append(UInt8(ascii: ":"))
  }

  public mutating func appendJSON(_ text: String) {
    separateJSON()
    var text = text
    text.withUTF8 { utf8 in unsafe appendQuoted(utf8.span) }
  }

  /// Appends a string of bytes from anywhere: what is not UTF-8 becomes U+FFFD.
  public mutating func appendJSON(_ text: Span<UInt8>) {
    guard (try? UTF8Span(validating: text)) != nil else { return appendJSON(String(text)) }
    separateJSON()
    appendQuoted(text)
  }

  public mutating func appendJSON(_ number: some FixedWidthInteger) {
    separateJSON()
    appendDecimal(number)
  }

  public mutating func appendJSON(_ value: Bool) {
    separateJSON()
    append(value ? "true" : "false")
  }

  public mutating func appendJSONNull() {
    separateJSON()
    append("null")
  }

  /// Appends the value, numbers as they were written, members in their order.
  public mutating func appendJSON(_ value: JSONValue) {
    switch value.kind {
    case .null: appendJSONNull()
    case .bool(let value): appendJSON(value)
    case .string(let text): appendJSON(text)
    case .number(let text):
      separateJSON()
      append(text)
    case .array(let elements):
      appendArrayStart()
      for element in elements { appendJSON(element) }
      appendArrayEnd()
    case .object(let members):
      appendObjectStart()
      for member in members {
        appendKey(member.key)
        appendJSON(member.value)
      }
      appendObjectEnd()
    }
  }

  public mutating func appendMember(_ key: String, _ text: String) {
    appendKey(key)
    appendJSON(text)
  }

  public mutating func appendMember(_ key: String, _ text: Span<UInt8>) {
    appendKey(key)
    appendJSON(text)
  }

  public mutating func appendMember(_ key: String, _ number: some FixedWidthInteger) {
    appendKey(key)
    appendJSON(number)
  }

  public mutating func appendMember(_ key: String, _ value: Bool) {
    appendKey(key)
    appendJSON(value)
  }

  /// The last byte tells: a value ends with a quote, a bracket, a digit or a letter, and no bytes that come before a
  /// text (none, a line feed) do.
  private mutating func separateJSON() {
    guard !isEmpty else { return }
    switch span[count - 1] {
    case UInt8(ascii: "\""), UInt8(ascii: "}"), UInt8(ascii: "]"), UInt8(ascii: "0")...UInt8(ascii: "9"),
      UInt8(ascii: "a")...UInt8(ascii: "z"):
      append(UInt8(ascii: ","))
    default: break
    }
  }

  private mutating func appendQuoted(_ text: Span<UInt8>) {
    reserve(text.count + 2)
    append(UInt8(ascii: "\""))
    for index in text.indices {
      let byte = text[index]
      switch byte {
      case UInt8(ascii: "\""): append("\\\"")
      case UInt8(ascii: "\\"): append("\\\\")
      case 0x0A: append("\\n")
      case 0x0D: append("\\r")
      case 0x09: append("\\t")
      case 0x00..<0x20, 0x7F:
        append("\\u00")
        append(hexDigit(byte &>> 4))
        append(hexDigit(byte & 15))
      default: append(byte)
      }
    }
    append(UInt8(ascii: "\""))
  }
}
