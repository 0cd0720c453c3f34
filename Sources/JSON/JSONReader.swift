import Bytes

/// Reads JSON by RFC 8259 and not one text more, or JSON with comments for people.
///
/// What RFC 8259 leaves open is refused: a byte order mark, invalid UTF-8, lone surrogates, a key twice.
public enum JSONReader {
  public static func parse(
    _ bytes: Span<UInt8>, dialect: JSONDialect = .strict, limits: JSONLimits = JSONLimits()
  ) throws(JSONError) -> JSONValue {
    var parser = JSONParser(bytes, dialect, limits)
    let value = try parser.document()
    if let error = parser.duplicates.first { throw error }
    return value
  }

  public static func parse(
    _ bytes: [UInt8], dialect: JSONDialect = .strict, limits: JSONLimits = JSONLimits()
  ) throws(JSONError) -> JSONValue {
    try parse(bytes.span, dialect: dialect, limits: limits)
  }

  /// Reads a file that people write: every key that is there twice is reported, and the value is still given (with the
  /// first of each), so that a checker can go on; after a syntax error there is no value.
  public static func read(
    _ source: Source, dialect: JSONDialect = .jsonc, limits: JSONLimits = JSONLimits()
  ) -> (value: JSONValue?, diagnostics: [Diagnostic]) {
    var parser = JSONParser(source.bytes.span, dialect, limits)
    do {
      let value = try parser.document()
      return (value, parser.duplicates.map { source.diagnostic($0) })
    } catch {
      return (nil, parser.duplicates.map { source.diagnostic($0) } + [source.diagnostic(error)])
    }
  }
}

/// The recursive descent behind `JSONReader`.
struct JSONParser: ~Escapable {
  let bytes: Span<UInt8>
  let dialect: JSONDialect
  let limits: JSONLimits
  /// Keys that an object has twice: they do not stop the reading.
  var duplicates: [JSONError] = []
  var offset = 0
  /// The last position that was worked out; positions are asked for in the order of the text.
  private var anchor = Position()

  @_lifetime(copy bytes)
  init(_ bytes: Span<UInt8>, _ dialect: JSONDialect, _ limits: JSONLimits) {
    self.bytes = bytes
    self.dialect = dialect
    self.limits = limits
  }

  mutating func document() throws(JSONError) -> JSONValue {
    guard bytes.count <= limits.bytes else {
      throw error(.tooLarge, "longer than the \(limits.bytes) bytes allowed", at: 0)
    }
    do { _ = try UTF8Span(validating: bytes) } catch let invalid {
      let range = invalid.byteOffsets
      throw error(.invalidUTF8, "this is not UTF-8", at: range.lowerBound, count: range.count)
    }
    if bytes.hasPrefix("\u{FEFF}") {
      throw error(.byteOrderMark, "a byte order mark is not allowed", at: 0, help: "save the file as UTF-8 without BOM")
    }
    try skipSpace()
    let value = try value(depth: 0)
    try skipSpace()
    if offset < bytes.count { throw error(.syntax, "text after the end of the value", at: offset) }
    return value
  }

  // MARK: values

  private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
    let start = position(at: offset)
    let kind: JSONValue.Kind
    switch peek ?? 0 {
    case UInt8(ascii: "{"): kind = .object(try object(from: start, depth: depth + 1))
    case UInt8(ascii: "["): kind = .array(try array(from: start, depth: depth + 1))
    case UInt8(ascii: "\""): kind = .string(try string())
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): kind = .number(try number())
    default: kind = try word()
    }
    return JSONValue(kind, position: start, sourceCount: offset - start.offset)
  }

  private mutating func object(from start: Position, depth: Int) throws(JSONError) -> [JSONMember] {
    try open(start, depth)
    var members: [JSONMember] = []
    var seen: [[UInt8]: Position] = [:]
    while try !closes(UInt8(ascii: "}"), from: start, isFirst: members.isEmpty) {
      guard peek == UInt8(ascii: "\"") else { throw misplacedKey() }
      let keyPosition = position(at: offset)
      let key = try string()
      let keyCount = offset - keyPosition.offset
      try skipSpace()
      guard peek == UInt8(ascii: ":") else {
        throw error(.syntax, "expected \":\" and a value after this key", at: keyPosition.offset, count: keyCount)
      }
      offset += 1
      try skipSpace()
      let value = try value(depth: depth)
      try separate(after: value, closing: UInt8(ascii: "}"), from: start)
      if let first = seen.updateValue(keyPosition, forKey: Array(key.utf8)) {
        seen[Array(key.utf8)] = first
        duplicates.append(
          JSONError(
            .duplicateKey, "the key \"\(key)\" is already there at \(first.lineAndColumn)", at: keyPosition,
            count: keyCount, help: "keep one of the two"))
      } else {
        members.append(JSONMember(key, value, keyPosition: keyPosition, keySourceCount: keyCount))
      }
    }
    return members
  }

  private mutating func array(from start: Position, depth: Int) throws(JSONError) -> [JSONValue] {
    try open(start, depth)
    var elements: [JSONValue] = []
    while try !closes(UInt8(ascii: "]"), from: start, isFirst: elements.isEmpty) {
      let element = try value(depth: depth)
      try separate(after: element, closing: UInt8(ascii: "]"), from: start)
      elements.append(element)
    }
    return elements
  }

  // MARK: brackets and commas

  private mutating func open(_ start: Position, _ depth: Int) throws(JSONError) {
    guard depth <= limits.depth else {
      throw JSONError(.tooDeep, "more than \(limits.depth) levels deep", at: start)
    }
    offset += 1
    try skipSpace()
  }

  /// Whether the bracket is here; it is consumed.
  private mutating func closes(_ bracket: UInt8, from start: Position, isFirst: Bool) throws(JSONError) -> Bool {
    guard peek != nil else { throw neverClosed(start) }
    guard peek == bracket else { return false }
    // What stands before the bracket of a list that is not empty is the comma `separate` left behind, or a value.
    if !isFirst, dialect == .strict, let comma = trailingComma {
      throw error(.syntax, "a comma before the closing bracket is not allowed", at: comma)
    }
    offset += 1
    return true
  }

  /// Offset of a comma that separated nothing yet.
  private var trailingComma: Int?

  /// Consumes the comma behind an element, or sees that the list ends here.
  private mutating func separate(
    after value: JSONValue, closing bracket: UInt8, from start: Position
  ) throws(JSONError) {
    let end = value.position.offset + value.sourceCount
    try skipSpace()
    trailingComma = nil
    switch peek {
    case UInt8(ascii: ","):
      trailingComma = offset
      offset += 1
      try skipSpace()
    case bracket: return
    case nil: throw neverClosed(start)
    default:
      let name = String(UnicodeScalar(bracket))
      throw error(
        .syntax, "expected \",\" or \"\(name)\" after this value", at: end > 0 ? end - 1 : end, help: "add a comma here"
      )
    }
  }

  private func neverClosed(_ start: Position) -> JSONError {
    let bracket = bytes[start.offset] == UInt8(ascii: "{") ? "{" : "["
    return JSONError(.syntax, "this \"\(bracket)\" is never closed", at: start)
  }

  // MARK: where we are

  var peek: UInt8? { offset < bytes.count ? bytes[offset] : nil }

  mutating func skipSpace() throws(JSONError) {
    while let byte = peek {
      switch byte {
      case 0x20, 0x09, 0x0A, 0x0D: offset += 1
      case UInt8(ascii: "/"): try skipComment()
      default: return
      }
    }
  }

  private mutating func skipComment() throws(JSONError) {
    let start = offset
    let next = start + 1 < bytes.count ? bytes[start + 1] : 0
    guard next == UInt8(ascii: "/") || next == UInt8(ascii: "*") else {
      throw error(.syntax, "a stray \"/\"", at: start)
    }
    guard dialect == .jsonc else {
      throw error(.syntax, "comments are not allowed in strict JSON", at: start, count: 2)
    }
    if next == UInt8(ascii: "/") {
      offset = bytes.firstOffset(of: 0x0A, from: start) ?? bytes.count
      return
    }
    var search = start + 2
    while let star = bytes.firstOffset(of: UInt8(ascii: "*"), from: search) {
      if star + 1 < bytes.count, bytes[star + 1] == UInt8(ascii: "/") {
        offset = star + 2
        return
      }
      search = star + 1
    }
    throw error(.syntax, "this comment is never closed", at: start, count: 2, help: "end it with */")
  }

  /// Works on from the position asked for last.
  private mutating func position(at offset: Int) -> Position {
    anchor.advance(to: offset, in: bytes)
    return anchor
  }

  func error(_ code: JSONError.Code, _ message: String, at offset: Int, count: Int = 1, help: String? = nil)
    -> JSONError
  {
    var position = Position()
    position.advance(to: offset, in: bytes)
    return JSONError(code, message, at: position, count: count, help: help)
  }
}

extension Position {
  /// Moves on to a later offset of the same text.
  mutating func advance(to end: Int, in bytes: Span<UInt8>) {
    while offset < end {
      let byte = bytes[offset]
      offset += 1
      if byte == 0x0A {
        line += 1
        column = 1
      } else if byte & 0xC0 != 0x80 {
        column += 1
      }
    }
  }
}
