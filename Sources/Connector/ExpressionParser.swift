/// Reads one string of a connector.
///
///     template   = *( text / "${" expression "}" )
///     expression = word [ "." field / "(" [ expression *( "," expression ) ] ")" ]
///                / "'" *( any / "''" ) "'" / 1*DIGIT
///
/// The first error ends the string; other strings of the file are still read.
struct ExpressionParser {
  private let bytes: [UInt8]
  private var index = 0
  private var depth = 0
  /// Calls inside calls, more than any signature needs, and few enough for the smallest stack.
  private static let deepest = 32

  private init(_ text: String) {
    bytes = Array(text.utf8)
  }

  static func parse(_ text: String) throws(LanguageError) -> Template {
    var parser = ExpressionParser(text)
    return try parser.template()
  }

  /// The plain names that a string uses; none when it cannot be read.
  static func names(in text: String) -> [String] {
    func collect(_ expression: Expression) -> [String] {
      switch expression.kind {
      case .text, .number: []
      case .name(let word, let field): field == nil ? [word.text] : []
      case .call(_, let arguments): arguments.flatMap(collect)
      }
    }
    guard let template = try? parse(text) else { return [] }
    return template.pieces.flatMap { piece -> [String] in
      if case .expression(let expression) = piece { collect(expression) } else { [] }
    }
  }

  private mutating func template() throws(LanguageError) -> Template {
    var pieces: [Template.Piece] = []
    var literal: [UInt8] = []
    while index < bytes.count {
      guard bytes[index] == UInt8(ascii: "$"), peek(1) == UInt8(ascii: "{") else {
        literal.append(bytes[index])
        index += 1
        continue
      }
      if !literal.isEmpty { pieces.append(.literal(literal)) }
      literal = []
      let start = index
      index += 2
      skipSpace()
      if peek() == UInt8(ascii: "}") {
        throw LanguageError(message: "empty expression", range: start..<index + 1)
      }
      let expression = try expression(opened: start)
      skipSpace()
      guard let next = peek() else {
        throw LanguageError(message: "\"${\" without its \"}\"", range: start..<start + 2)
      }
      guard next == UInt8(ascii: "}") else { throw unexpected("\"}\"") }
      index += 1
      pieces.append(.expression(expression))
    }
    if !literal.isEmpty || pieces.isEmpty { pieces.append(.literal(literal)) }
    return Template(pieces: pieces)
  }

  private mutating func expression(opened: Int) throws(LanguageError) -> Expression {
    skipSpace()
    guard let byte = peek() else {
      throw LanguageError(message: "\"${\" without its \"}\"", range: opened..<opened + 2)
    }
    let start = index
    switch byte {
    case UInt8(ascii: "'"): return try text()
    case UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    case _ where isWordStart(byte):
      let word = word { isWordStart($0) || isDigit($0) }
      if peek() == UInt8(ascii: ".") {
        index += 1
        let field = self.word { isWordStart($0) || isDigit($0) || $0 == UInt8(ascii: "-") }
        guard !field.text.isEmpty else {
          throw LanguageError(message: "a name is missing after \"\(word.text).\"", range: start..<index)
        }
        return Expression(kind: .name(word, field: field), range: start..<index)
      }
      let beforeSpace = index
      skipSpace()
      guard peek() == UInt8(ascii: "(") else {
        index = beforeSpace
        return Expression(kind: .name(word, field: nil), range: start..<index)
      }
      let arguments = try arguments(of: word, opened: opened)
      return Expression(kind: .call(word, arguments), range: start..<index)
    case UInt8(ascii: "\""):
      throw LanguageError(
        message: "text inside an expression is written in single quotes", range: start..<start + 1)
    default: throw unexpected("a name, a number, 'text' or a call")
    }
  }

  private mutating func arguments(of word: Expression.Word, opened: Int) throws(LanguageError) -> [Expression] {
    let parenthesis = index
    let unclosed = LanguageError(message: "\"(\" without its \")\"", range: parenthesis..<parenthesis + 1)
    index += 1
    depth += 1
    defer { depth -= 1 }
    if depth > ExpressionParser.deepest {
      throw LanguageError(
        message: "calls nested deeper than \(ExpressionParser.deepest)", range: word.range,
        suggestion: "give the inner part a name under \"values\"")
    }
    var arguments: [Expression] = []
    skipSpace()
    if peek() == UInt8(ascii: ")") {
      index += 1
      return arguments
    }
    while true {
      skipSpace()
      if peek() == nil { throw unclosed }
      arguments.append(try expression(opened: opened))
      skipSpace()
      switch peek() {
      case UInt8(ascii: ","): index += 1
      case UInt8(ascii: ")"):
        index += 1
        return arguments
      case nil, UInt8(ascii: "}"): throw unclosed
      default: throw unexpected("\",\" or \")\"")
      }
    }
  }

  /// `''` inside is one quote; everything else stands for itself.
  private mutating func text() throws(LanguageError) -> Expression {
    let start = index
    index += 1
    var text: [UInt8] = []
    while let byte = peek() {
      index += 1
      if byte != UInt8(ascii: "'") {
        text.append(byte)
      } else if peek() == UInt8(ascii: "'") {
        text.append(byte)
        index += 1
      } else {
        return Expression(kind: .text(text), range: start..<index)
      }
    }
    throw LanguageError(message: "text without its closing quote", range: start..<start + 1)
  }

  private mutating func number() throws(LanguageError) -> Expression {
    let digits = word { isDigit($0) || isWordStart($0) }
    var value: Int64 = 0
    for byte in digits.text.utf8 {
      guard isDigit(byte) else {
        throw LanguageError(message: "\"\(digits.text)\" is neither a number nor a name", range: digits.range)
      }
      let (tens, over) = value.multipliedReportingOverflow(by: 10)
      let (sum, past) = tens.addingReportingOverflow(Int64(byte - UInt8(ascii: "0")))
      if over || past { throw LanguageError(message: "a number too large for 63 bits", range: digits.range) }
      value = sum
    }
    return Expression(kind: .number(value), range: digits.range)
  }

  private mutating func word(while belongs: (UInt8) -> Bool) -> Expression.Word {
    let start = index
    while let byte = peek(), belongs(byte) { index += 1 }
    return Expression.Word(text: String(decoding: bytes[start..<index], as: UTF8.self), range: start..<index)
  }

  private mutating func skipSpace() {
    while let byte = peek(), byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { index += 1 }
  }

  private func peek(_ ahead: Int = 0) -> UInt8? {
    index + ahead < bytes.count ? bytes[index + ahead] : nil
  }

  /// The whole character is named, not its first byte.
  private func unexpected(_ wanted: String) -> LanguageError {
    let rest = String(decoding: bytes[index...], as: UTF8.self)
    guard let scalar = rest.unicodeScalars.first else {
      return LanguageError(message: "the text ends where \(wanted) belongs", range: index..<index)
    }
    let size = UTF8.width(scalar)
    return LanguageError(message: "\"\(scalar)\" where \(wanted) belongs", range: index..<index + size)
  }
}

private func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

private func isWordStart(_ byte: UInt8) -> Bool {
  (byte | 0x20) &- UInt8(ascii: "a") < 26 || byte == UInt8(ascii: "_")
}
