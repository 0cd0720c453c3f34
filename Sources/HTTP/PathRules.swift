internal import Bytes

/// What a path and a query may hold: rows 32–41. Reject, do not repair.
enum PathRules {
  /// - Parameter path: empty or starting with `/`, all of it target bytes.
  /// - Returns: whether two slashes stand side by side.
  static func check(path: Span<UInt8>) throws(HTTPError) -> Bool {
    var emptySegments = false
    var suspicious = false
    var encoded = false
    var at = 0
    // Each byte beside the one behind it.
    while at &+ ByteBlock.count < path.count {
      let block = ByteBlock(path, at: at)
      let next = ByteBlock(path, at: at &+ 1)
      let slashes = block.are(0x2F)
      let found = block.are(0x25) .| (slashes .& (next.are(0x2F) .| next.are(0x2E)))
      if ByteBlock.before(found) < ByteBlock.count { break }
      at &+= ByteBlock.count
    }
    while at < path.count {
      if path[at] == 0x25 { encoded = true }
      if path[at] == 0x2F, at &+ 1 < path.count {
        if path[at &+ 1] == 0x2F { emptySegments = true }
        if path[at &+ 1] == 0x2E { suspicious = true }
      }
      at &+= 1
    }
    guard suspicious || encoded else { return emptySegments }
    if encoded {
      try checkEncoding(path)
      try checkDecoded(path)
    }
    try checkSegments(path, depth: 1)
    if encoded { try checkSegments(path, depth: 2) }
    return emptySegments
  }

  static func check(query: Span<UInt8>) throws(HTTPError) {
    guard query.firstOffset(of: 0x25) != nil else { return }
    try checkEncoding(query)
    try checkUTF8(query)
  }

  /// Row 35.
  private static func checkEncoding(_ bytes: Span<UInt8>) throws(HTTPError) {
    for i in bytes.indices where bytes[i] == 0x25 {
      guard i + 2 < bytes.count, Characters.hex(bytes[i + 1]) != nil, Characters.hex(bytes[i + 2]) != nil else {
        throw .badPercentEncoding
      }
    }
  }

  /// Rows 36, 38 and 40: no control character, no backslash, valid UTF-8.
  private static func checkDecoded(_ path: Span<UInt8>) throws(HTTPError) {
    var at = 0
    while at < path.count {
      let (byte, next) = decode(path, at, depth: 1)
      if byte < 0x20 || byte == 0x7F || byte == 0x5C { throw .badEncodedByte }
      at = next
    }
    try checkUTF8(path)
  }

  private static func checkUTF8(_ bytes: Span<UInt8>) throws(HTTPError) {
    var text = UTF8Check()
    var at = 0
    while at < bytes.count {
      let (byte, next) = decode(bytes, at, depth: 1)
      guard text.accepts(byte) else { throw .badEncodedByte }
      at = next
    }
    guard text.isComplete else { throw .badEncodedByte }
  }

  /// Row 37: no piece between `/` or `\` is `.` or `..` after decoding `depth` times.
  private static func checkSegments(_ path: Span<UInt8>, depth: Int) throws(HTTPError) {
    var at = 0
    var dots = 0
    var others = false
    while at < path.count {
      let (byte, next) = decode(path, at, depth: depth)
      at = next
      switch byte {
      case 0x2F, 0x5C:
        if !others, dots == 1 || dots == 2 { throw .dotSegment }
        dots = 0
        others = false
      case 0x2E: dots += 1
      default: others = true
      }
    }
    if !others, dots == 1 || dots == 2 { throw .dotSegment }
  }

  /// The byte at `at` after percent-decoding `depth` times, and where the next one starts.
  private static func decode(_ bytes: Span<UInt8>, _ at: Int, depth: Int) -> (UInt8, Int) {
    guard depth > 0 else { return (bytes[at], at + 1) }
    let (first, afterFirst) = decode(bytes, at, depth: depth - 1)
    guard first == 0x25, afterFirst < bytes.count else { return (first, afterFirst) }
    let (second, afterSecond) = decode(bytes, afterFirst, depth: depth - 1)
    guard let high = Characters.hex(second), afterSecond < bytes.count else { return (first, afterFirst) }
    let (third, afterThird) = decode(bytes, afterSecond, depth: depth - 1)
    guard let low = Characters.hex(third) else { return (first, afterFirst) }
    return (high << 4 | low, afterThird)
  }
}

/// Well-formed UTF-8 (RFC 3629 §4), byte by byte.
private struct UTF8Check {
  private var needed = 0
  private var lowest: UInt8 = 0x80
  private var highest: UInt8 = 0xBF

  var isComplete: Bool { needed == 0 }

  mutating func accepts(_ byte: UInt8) -> Bool {
    if needed > 0 {
      guard byte >= lowest, byte <= highest else { return false }
      needed -= 1
      (lowest, highest) = (0x80, 0xBF)
      return true
    }
    switch byte {
    case 0x00...0x7F: break
    case 0xC2...0xDF: needed = 1
    case 0xE0: (needed, lowest) = (2, 0xA0)
    case 0xED: (needed, highest) = (2, 0x9F)
    case 0xE1...0xEF: needed = 2
    case 0xF0: (needed, lowest) = (3, 0x90)
    case 0xF4: (needed, highest) = (3, 0x8F)
    case 0xF1...0xF3: needed = 3
    default: return false
    }
    return true
  }
}
