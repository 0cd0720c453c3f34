import Bytes

/// The text of a file, for reading and for pointing into.
public struct Source: Sendable {
  /// As it is to stand in messages.
  public let file: String
  public let bytes: [UInt8]
  /// Byte ranges that no diagnostic may show, ascending and apart.
  public var masked: [Range<Int>] = []

  public init(file: String, bytes: [UInt8]) {
    self.file = file
    self.bytes = bytes
  }

  public func position(at offset: Int) -> Position {
    var position = Position()
    position.advance(to: min(offset, bytes.count), in: bytes.span)
    return position
  }

  /// The source offset of a byte of a string value's UTF-8: where escapes were, the two differ.
  /// - Parameter decoded: from 0 to the string's UTF-8 count, which is the closing quote.
  public func offset(in string: JSONValue, decoded: Int) -> Int {
    var offset = string.position.offset + 1
    let end = string.position.offset + string.sourceCount - 1
    var passed = 0
    while offset < end {
      let (raw, meant) = literalStep(at: offset)
      if passed + meant > decoded { return meant == raw ? offset + decoded - passed : offset }
      offset += raw
      passed += meant
    }
    return min(offset, end)
  }

  /// Bytes that one character or escape takes in the literal, and in the string.
  private func literalStep(at offset: Int) -> (raw: Int, meant: Int) {
    guard bytes[offset] == UInt8(ascii: "\\"), offset + 1 < bytes.count else { return (1, 1) }
    guard bytes[offset + 1] == UInt8(ascii: "u") else { return (2, 1) }
    var code: UInt32 = 0
    for digit in bytes[min(offset + 2, bytes.count)..<min(offset + 6, bytes.count)] {
      code = code << 4 | UInt32(hexValue(digit) ?? 0)
    }
    if code & 0xFC00 == 0xD800 { return (12, 4) }
    return (6, code < 0x80 ? 1 : code < 0x800 ? 2 : 3)
  }

  // MARK: diagnostics

  /// - Parameter count: bytes at fault; the caret's line ends with the source line.
  public func diagnostic(
    _ message: String, at offset: Int, count: Int = 1, severity: Diagnostic.Severity = .error, help: String? = nil
  ) -> Diagnostic {
    let shown = shownLine(offset, count)
    return Diagnostic(
      file: file, position: position(at: offset), severity: severity, message: message, sourceLine: shown.line,
      caretOffset: shown.caret, length: shown.length, help: help)
  }

  /// At a value: all of a scalar, the bracket of an array or object.
  public func diagnostic(
    _ message: String, at value: JSONValue, severity: Diagnostic.Severity = .error, help: String? = nil
  ) -> Diagnostic {
    let isContainer = value.array != nil || value.members != nil
    return diagnostic(
      message, at: value.position.offset, count: isContainer ? 1 : value.sourceCount, severity: severity, help: help)
  }

  /// At a member's key.
  public func diagnostic(
    _ message: String, atKey member: JSONMember, severity: Diagnostic.Severity = .error, help: String? = nil
  ) -> Diagnostic {
    diagnostic(
      message, at: member.keyPosition.offset, count: member.keySourceCount, severity: severity, help: help)
  }

  /// Inside a string value, given as a range of the string's UTF-8.
  public func diagnostic(
    _ message: String, in string: JSONValue, decoded range: Range<Int>, help: String? = nil
  ) -> Diagnostic {
    let start = offset(in: string, decoded: range.lowerBound)
    let end = offset(in: string, decoded: range.upperBound)
    return diagnostic(message, at: start, count: max(end - start, 1), help: help)
  }

  public func diagnostic(_ error: JSONError) -> Diagnostic {
    diagnostic(error.message, at: error.position.offset, count: error.sourceCount, help: error.help)
  }

  /// The line around an offset as it may be shown, and where in it the fault is, in characters.
  private func shownLine(_ offset: Int, _ count: Int) -> (line: String, caret: Int, length: Int) {
    let offset = min(offset, bytes.count)
    let start = bytes[..<offset].lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
    var end = bytes[offset...].firstIndex(of: 0x0A) ?? bytes.count
    if end > start, bytes[end - 1] == 0x0D { end -= 1 }
    var first = min(offset, end)
    var last = min(offset + count, end)
    for mask in masked where mask.upperBound > first && mask.lowerBound < last {
      // A fault inside of what is masked is all of it.
      if mask.contains(first) { first = max(mask.lowerBound, start) }
      if mask.contains(last) { last = min(mask.upperBound, end) }
    }
    while last < end, bytes[last] & 0xC0 == 0x80 { last += 1 }
    var before = characters(start..<first)
    var fault = characters(first..<last)
    var after = characters(last..<end)
    // A line of a file that no person wrote can be a megabyte long.
    let room = 160
    if before.count > room { before = ["…"] + before.suffix(room / 2) }
    if fault.count > room { fault = fault.prefix(room) + ["…"] }
    if after.count > room { after = after.prefix(room / 2) + ["…"] }
    var line = String.UnicodeScalarView()
    line.append(contentsOf: before + fault + after)
    return (String(line), before.count, max(fault.count, 1))
  }

  /// Part of a line, with masked bytes as `•••` and no control characters.
  private func characters(_ range: Range<Int>) -> [Unicode.Scalar] {
    var shown: [Unicode.Scalar] = []
    var offset = range.lowerBound
    while offset < range.upperBound {
      let mask = masked.first { $0.upperBound > offset } ?? bytes.count..<bytes.count
      if mask.lowerBound <= offset, !mask.isEmpty {
        if offset == mask.lowerBound || offset == range.lowerBound { shown += ["•", "•", "•"] }
        offset = mask.upperBound
      } else {
        let end = min(range.upperBound, max(mask.lowerBound, offset + 1))
        let text = String(bytes[offset..<end].span)
        shown += text.unicodeScalars.map { $0.value < 0x20 && $0 != "\t" || 0x7F...0x9F ~= $0.value ? "\u{FFFD}" : $0 }
        offset = end
      }
    }
    return shown
  }
}
