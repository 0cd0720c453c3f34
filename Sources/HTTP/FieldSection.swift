internal import Bytes

/// Reads field lines up to the empty line: RFC 9112 §5, section D of the rules.
///
///     lineStart ─ token ─▶ name ─ ":" ─▶ padding ─▶ value ─ CR ─▶ valueEnd ─ LF ─▶ lineStart
///       │ │└──── CR ──▶ sectionEnd ─ LF ─▶ complete
///       └─┘ a whole line without anything to object to
///
/// Every step stands on one byte, so the first byte that is wrong decides, however the input was cut (I5).
struct FieldSection {
  enum Step: UInt8 { case lineStart, name, padding, value, valueEnd, sectionEnd, complete }

  /// The next byte to look at.
  var position = 0
  private var step = Step.lineStart
  private var lineStart = 0
  private var nameEnd = 0
  private var valueStart = 0
  private var valueEnd = 0
  /// The value has bytes 0x80–0xFF.
  private var isObsolete = false

  /// Begins a section at `position`.
  mutating func begin(at position: Int) {
    self = FieldSection()
    self.position = position
  }

  /// - Returns: whether the section is complete; `position` is then behind it.
  mutating func read(
    _ bytes: Span<UInt8>, _ limits: borrowing HTTPLimits, into fields: inout [Field]
  ) throws(HTTPError) -> Bool {
    let end = min(bytes.count, limits.head)
    while position < end {
      switch step {
      case .lineStart:
        readPlainLines(bytes, end, limits, into: &fields)
        guard position < end else { continue }
        switch bytes[position] {
        case 0x0D:
          position += 1
          step = .sectionEnd
        case 0x0A: throw .bareLineFeed
        case 0x20, 0x09: throw .foldedLine
        default:
          guard fields.count < limits.fields else { throw .tooManyFields }
          lineStart = position
          step = .name
        }
      case .name: try readName(bytes, end, limits)
      case .padding:
        switch bytes[position] {
        case 0x20, 0x09:
          position += 1
          guard position - lineStart <= limits.field else { throw .fieldTooLarge }
        default:
          valueStart = position
          isObsolete = false
          step = .value
        }
      case .value: try readValue(bytes, end, limits)
      case .valueEnd:
        guard bytes[position] == 0x0A else { throw .bareCarriageReturn }
        position += 1
        fields.append(try field(bytes))
        step = .lineStart
      case .sectionEnd:
        guard bytes[position] == 0x0A else { throw .bareCarriageReturn }
        position += 1
        step = .complete
        return true
      case .complete: return true
      }
    }
    guard bytes.count < limits.head || step == .complete else { throw .headTooLarge }
    return step == .complete
  }

  private mutating func readName(
    _ bytes: Span<UInt8>, _ end: Int, _ limits: borrowing HTTPLimits
  ) throws(HTTPError) {
    var at = position
    let longest = min(end, lineStart &+ min(limits.name, limits.field))
    while at < longest, Characters.isToken(bytes[at]) { at &+= 1 }
    position = at
    guard at < end else { return }
    switch bytes[at] {
    case 0x3A where at > lineStart:
      nameEnd = at
      position = at + 1
      step = .padding
    case 0x20, 0x09: throw .whitespaceBeforeColon
    case 0x0D, 0x0A: throw .missingColon
    case let byte where Characters.isToken(byte):
      throw at - lineStart < limits.name ? .fieldTooLarge : .fieldNameTooLong
    default: throw .badFieldName
    }
  }

  private mutating func readValue(
    _ bytes: Span<UInt8>, _ headEnd: Int, _ limits: borrowing HTTPLimits
  ) throws(HTTPError) {
    let lineEnd = lineStart + limits.field
    let at = FieldSection.valueEnd(bytes, position, min(headEnd, lineEnd), &isObsolete)
    position = at
    guard at < headEnd else { return }
    switch bytes[at] {
    case 0x0D:
      valueEnd = at
      position = at + 1
      step = .valueEnd
    case 0x0A: throw .bareLineFeed
    case 0x00...0x1F, 0x7F: throw at == lineEnd && bytes[at] == 0x09 ? tooLarge(bytes) : .badFieldValue
    default: throw tooLarge(bytes)
    }
  }

  /// Where a value stops: at a control character that is no HTAB, or at `end`.
  /// - Parameter isObsolete: becomes true when one of the bytes before that is 0x80–0xFF.
  @inline(__always)
  private static func valueEnd(_ bytes: Span<UInt8>, _ start: Int, _ end: Int, _ isObsolete: inout Bool) -> Int {
    var at = start
    while true {
      while at &+ ByteBlock.count <= end {
        let block = ByteBlock(bytes, at: at)
        let plain = ByteBlock.before(block.areControls .| block.are(0x80, to: 0xFF))
        at &+= plain
        if plain < ByteBlock.count { break }
      }
      while at < end, bytes[at] >= 0x20, bytes[at] != 0x7F {
        if bytes[at] >= 0x80 { isObsolete = true }
        at &+= 1
      }
      guard at < end, bytes[at] == 0x09 else { return at }
      at &+= 1
    }
  }

  /// Reads lines that are here as a whole and as they nearly always are: a name of letters, digits and `-`, a value without
  /// anything to object to. It stops in front of any other, for the steps to say what is wrong with it or to wait for its end:
  /// they alone refuse.
  private mutating func readPlainLines(
    _ bytes: Span<UInt8>, _ end: Int, _ limits: borrowing HTTPLimits, into fields: inout [Field]
  ) {
    while fields.count < limits.fields {
      var at = position
      while at &+ ByteBlock.count <= end {
        let plain = ByteBlock.before(Characters.areNotInNames(ByteBlock(bytes, at: at)))
        at &+= plain
        if plain < ByteBlock.count { break }
      }
      let name = position..<at
      guard !name.isEmpty, name.count <= limits.name, at < end, bytes[at] == 0x3A else { return }
      at &+= 1
      while at < end, bytes[at] == 0x20 || bytes[at] == 0x09 { at &+= 1 }
      let start = at
      var hasObsoleteText = false
      at = FieldSection.valueEnd(bytes, at, end, &hasObsoleteText)
      guard at &+ 1 < end, bytes[at] == 0x0D, bytes[at &+ 1] == 0x0A, at &- position <= limits.field else { return }
      let id = FieldID.classify(bytes, position, name.count)
      if hasObsoleteText, id.isInterpreted { return }
      fields.append(
        FieldSection.field(
          bytes, name: name, value: start..<at, id: id, marks: hasObsoleteText ? .obsoleteText : []))
      position = at &+ 2
    }
  }

  /// A number of ten thousand digits is a bad number, not a large field (row 72).
  private func tooLarge(_ bytes: Span<UInt8>) -> HTTPError {
    FieldID.classify(bytes, lineStart, nameEnd - lineStart) == .contentLength ? .badLength : .fieldTooLarge
  }

  /// The line that has just ended.
  private func field(_ bytes: Span<UInt8>) throws(HTTPError) -> Field {
    let name = bytes.extracting(lineStart..<nameEnd)
    var id = FieldID.classify(bytes, lineStart, nameEnd &- lineStart)
    var marks: Field.Marks = []
    if isObsolete {
      marks.insert(.obsoleteText)
      if id.isInterpreted { throw .badFieldValue }
    }
    if name.firstOffset(of: 0x5F) != nil {
      marks.insert(.underscore)
      id = try FieldSection.meaning(ofAmbiguous: name)
    }
    return FieldSection.field(bytes, name: lineStart..<nameEnd, value: valueStart..<valueEnd, id: id, marks: marks)
  }

  /// - Parameter value: with the white space behind it.
  @inline(__always)
  private static func field(
    _ bytes: Span<UInt8>, name: Range<Int>, value: Range<Int>, id: FieldID, marks: Field.Marks
  ) -> Field {
    var valueEnd = value.upperBound
    while valueEnd > value.lowerBound, bytes[valueEnd &- 1] == 0x20 || bytes[valueEnd &- 1] == 0x09 { valueEnd &-= 1 }
    return Field(
      nameStart: UInt32(truncatingIfNeeded: name.lowerBound), valueStart: UInt32(truncatingIfNeeded: value.lowerBound),
      valueCount: UInt32(truncatingIfNeeded: valueEnd &- value.lowerBound),
      nameCount: UInt8(truncatingIfNeeded: name.count), id: id, marks: marks)
  }

  /// A name with `_` counts as what it would be with `-` if that is to be stripped, and is refused if that steers us.
  private static func meaning(ofAmbiguous name: Span<UInt8>) throws(HTTPError) -> FieldID {
    var plain = InlineArray<255, UInt8>(repeating: 0)
    for i in 0..<name.count { plain[i] = name[i] == 0x5F ? 0x2D : name[i] }
    let id = FieldID(plain.span.extracting(first: name.count))
    if id.isGuarded { throw .ambiguousFieldName }
    return id.isHopByHop || id.isStrippedFromRequests || id == .accessControl || id == .secFetchSite ? id : .other
  }
}
