import Bytes
import Connector
import JSON

/// Finds what may be a secret in the text of a configuration: those bytes are in no message.
///
/// It goes by words, colons and quotes alone, because a file with a mistake in its syntax is shown too, and one lost
/// quote turns strings inside out. It rather masks too much.
enum SecretMask {
  static func masked(_ source: Source) -> Source {
    var source = source
    source.masked = ranges(in: source.bytes)
    return source
  }

  static func ranges(in bytes: [UInt8]) -> [Range<Int>] {
    var masked: [Range<Int>] = []
    var offset = 0
    while offset < bytes.count {
      if let range = named(bytes, offset) ?? random(bytes, offset) {
        masked.append(range)
        offset = range.upperBound
      } else {
        offset += 1
      }
    }
    return masked
  }

  private static let word = ByteSet.letters.union(.digits).union(ByteSet("_-"))
  private static let space = ByteSet(" \t\r\n")
  private static let quote = ByteSet("\"'")
  private static let ends = ByteSet(" \t\r\n\"',{}[]")

  /// The value of a name that starts here, if it is the name of a secret.
  private static func named(_ bytes: [UInt8], _ start: Int) -> Range<Int>? {
    guard word.contains(bytes[start]), start == 0 || !word.contains(bytes[start - 1]) else { return nil }
    let end = bytes[start...].firstIndex { !word.contains($0) } ?? bytes.count
    let name = String(decoding: bytes[start..<end], as: UTF8.self)
    if name == "Bearer" || name == "Basic", end + 1 < bytes.count, bytes[end] == 0x20 {
      return trimmed(bytes, end + 1, until: ByteSet("\"'\n"))
    }
    guard let value = valueStart(bytes, end), isNearSecretName(name) else { return nil }
    guard let range = trimmed(bytes, value, until: stop(bytes, value)) else { return nil }
    let text = String(decoding: bytes[range], as: UTF8.self)
    if ["true", "false", "null"].contains(text) { return nil }
    // Here the name of a secret stands, which people have to see.
    let isName = (name == "secret" || name == "client_key") && text.contains("/") && SecretName.isValid(text)
    return isName && !InlineSecret.looksLikeSecret(text) ? nil : range
  }

  /// Behind the colon and the opening quote; nil when there is no value, or it is an object.
  private static func valueStart(_ bytes: [UInt8], _ nameEnd: Int) -> Int? {
    var offset = nameEnd
    var hasColon = false
    var quotes = 0
    while offset < bytes.count, offset - nameEnd < 64 {
      switch bytes[offset] {
      case UInt8(ascii: ":"), UInt8(ascii: "="): hasColon = true
      case UInt8(ascii: "{") where hasColon: return nil
      case UInt8(ascii: "{"), UInt8(ascii: "}"): break
      case UInt8(ascii: "["): return hasColon ? offset : nil
      case let byte where quote.contains(byte):
        quotes += 1
        // The quote that opens the value; where the colon was forgotten, it is the second.
        if hasColon || quotes == 2 { return offset + 1 }
      case let byte where space.contains(byte): break
      case let byte where !hasColon:
        return quotes == 1 && word.contains(byte) && bytes[offset - 1] == 0x20 ? offset : nil
      default: return offset
      }
      offset += 1
    }
    return nil
  }

  /// What ends the value that starts here.
  private static func stop(_ bytes: [UInt8], _ start: Int) -> ByteSet {
    if start < bytes.count, bytes[start] == UInt8(ascii: "[") { return ByteSet("]\n") }
    if start > 0, quote.contains(bytes[start - 1]) {
      return ByteSet(bytes[start - 1] == UInt8(ascii: "'") ? "'\n" : "\"\n")
    }
    return ByteSet(",}]\n\"")
  }

  private static func trimmed(_ bytes: [UInt8], _ start: Int, until stop: ByteSet) -> Range<Int>? {
    var end = start
    while end < bytes.count, !stop.contains(bytes[end]) {
      end += bytes[end] == UInt8(ascii: "\\") && end + 1 < bytes.count && bytes[end + 1] != 0x0A ? 2 : 1
    }
    end = min(end, bytes.count)
    while end > start, space.contains(bytes[end - 1]) { end -= 1 }
    return start < end ? start..<end : nil
  }

  /// Text without spaces and quotes that starts here, if it looks like a secret.
  private static func random(_ bytes: [UInt8], _ start: Int) -> Range<Int>? {
    guard !ends.contains(bytes[start]), start == 0 || ends.contains(bytes[start - 1]) else { return nil }
    let end = bytes[start...].firstIndex { ends.contains($0) } ?? bytes.count
    return InlineSecret.looksLikeSecret(String(decoding: bytes[start..<end], as: UTF8.self)) ? start..<end : nil
  }

  /// The name of a secret, or a misspelling of one: that is why its line is shown.
  private static func isNearSecretName(_ name: String) -> Bool {
    if ["cookies", "secrets"].contains(name) { return false }
    return InlineSecret.isSecretName(name) || InlineSecret.isMisspeltSecretName(name)
  }
}
