import Bytes

/// Finds what may be a secret in the text of a configuration, which need not be valid: those bytes are in no message.
///
/// It works on the text, because a file with a mistake in its syntax is shown too. It rather masks too much: a value
/// under a name like `token` or `password`, and whatever looks random.
struct SecretMask {
  private let bytes: [UInt8]
  private var offset = 0
  private var masked: [Range<Int>] = []
  /// The key whose value is awaited, and those of the objects around.
  private var key = ""
  private var enclosing: [String] = []

  static func ranges(in bytes: [UInt8]) -> [Range<Int>] {
    var mask = SecretMask(bytes)
    mask.scan()
    return mask.masked
  }

  private init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  private mutating func scan() {
    while offset < bytes.count {
      switch bytes[offset] {
      case UInt8(ascii: "\""): string()
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        enclosing.append(key)
        offset += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        key = enclosing.popLast() ?? ""
        offset += 1
      case 0x00...0x20, UInt8(ascii: ","), UInt8(ascii: ":"): offset += 1
      case UInt8(ascii: "/") where offset + 1 < bytes.count && bytes[offset + 1] == UInt8(ascii: "/"):
        comment(isBlock: false)
      case UInt8(ascii: "/") where offset + 1 < bytes.count && bytes[offset + 1] == UInt8(ascii: "*"):
        comment(isBlock: true)
      default: bareWord()
      }
    }
  }

  private mutating func string() {
    let start = offset + 1
    offset = start
    while offset < bytes.count, bytes[offset] != UInt8(ascii: "\""), bytes[offset] != 0x0A {
      offset += bytes[offset] == UInt8(ascii: "\\") && offset + 1 < bytes.count && bytes[offset + 1] != 0x0A ? 2 : 1
    }
    let content = start..<min(offset, bytes.count)
    let isClosed = offset < bytes.count && bytes[offset] == UInt8(ascii: "\"")
    if isClosed { offset += 1 }
    let text = String(decoding: bytes[content], as: UTF8.self)
    var next = offset
    while next < bytes.count, bytes[next] <= 0x20 { next += 1 }
    if isClosed, next < bytes.count, bytes[next] == UInt8(ascii: ":") {
      key = text
      if InlineSecret.looksLikeSecret(text) { hide(content) }
    } else {
      value(text, content)
    }
  }

  private mutating func value(_ text: String, _ content: Range<Int>) {
    // Here stand names of secrets, which people have to see.
    let isName =
      switch key {
      case "secret", "client_key": text.contains("/") && SecretName.isValid(text)
      case "credential": enclosing.last == "key"
      default: enclosing.last == "secrets" && text.contains("/") && SecretName.isValid(text)
      }
    if InlineSecret.looksLikeSecret(text) || (InlineSecret.isSecretName(key) && !isName) { hide(content) }
    // A key whose colon was forgotten is still a key.
    if InlineSecret.isSecretName(text) { key = text }
  }

  /// Something without quotes that stands where it cannot: it may be a secret whose quotes were forgotten.
  private mutating func bareWord() {
    let start = offset
    let end = ByteSet(",]}\n\r\"")
    while offset < bytes.count, !end.contains(bytes[offset]) { offset += 1 }
    if offset == start { offset += 1 }
    var last = offset
    while last > start, bytes[last - 1] <= 0x20 { last -= 1 }
    let text = String(decoding: bytes[start..<last], as: UTF8.self)
    if InlineSecret.looksLikeSecret(text)
      || (InlineSecret.isSecretName(key) && !["true", "false", "null"].contains(text))
    {
      hide(start..<last)
    }
    if let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) {
      let name = String(text[..<colon])
      if InlineSecret.isSecretName(name) { hide((start + name.utf8.count + 1)..<last) }
      key = name
    }
  }

  /// People comment a secret out as well: `// "password": "x"`.
  private mutating func comment(isBlock: Bool) {
    let start = offset + 2
    offset = start
    while offset < bytes.count, isBlock ? !(bytes[offset] == 0x2F && bytes[offset - 1] == 0x2A) : bytes[offset] != 0x0A
    {
      offset += 1
    }
    var isAwaited = false
    for word in bytes[min(start, offset)..<offset].split(whereSeparator: { $0 <= 0x20 }) {
      let text = String(decoding: word, as: UTF8.self)
      let mark = word.firstIndex { $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: "=") } ?? word.endIndex
      if isAwaited || InlineSecret.looksLikeSecret(text) {
        hide(word.indices)
        isAwaited = false
      } else if mark < word.endIndex, InlineSecret.isSecretName(String(decoding: word[..<mark], as: UTF8.self)) {
        hide((mark + 1)..<word.endIndex)
        isAwaited = mark + 1 == word.endIndex
      }
    }
    if isBlock { offset = min(offset + 1, bytes.count) }
  }

  private mutating func hide(_ range: Range<Int>) {
    guard !range.isEmpty, range.lowerBound >= masked.last?.upperBound ?? 0 else { return }
    masked.append(range)
  }
}
