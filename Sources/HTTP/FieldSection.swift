internal import Bytes

/// Reads field lines up to the empty line: RFC 9112 §5, section D of the rules.
///
///     lineStart ─ token ─▶ name ─ ":" ─▶ padding ─▶ value ─ CR ─▶ valueEnd ─ LF ─▶ lineStart
///         └──── CR ──▶ sectionEnd ─ LF ─▶ complete
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
  private var bits: UInt64 = 0

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
          bits = 0
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

  /// Eight bytes at a time while they are plain: none below SP, no DEL.
  private mutating func readValue(
    _ bytes: Span<UInt8>, _ headEnd: Int, _ limits: borrowing HTTPLimits
  ) throws(HTTPError) {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let tops: UInt64 = 0x8080_8080_8080_8080
    let lineEnd = lineStart + limits.field
    let end = min(headEnd, lineEnd)
    let raw = unsafe bytes.bytes
    var at = position
    var seen = bits
    scan: while at < end {
      while at &+ 8 <= end {
        let word = unsafe raw.unsafeLoadUnaligned(fromByteOffset: at, as: UInt64.self)
        let del = word ^ (ones &* 0x7F)
        let stop = ((word &- ones &* 0x20) & ~word | (del &- ones) & ~del) & tops
        if stop != 0 { break }
        seen |= word
        at &+= 8
      }
      while at < end {
        let byte = bytes[at]
        if byte < 0x20 || byte == 0x7F {
          if byte == 0x09 {
            at &+= 1
            continue scan
          }
          break scan
        }
        seen |= UInt64(byte)
        at &+= 1
      }
    }
    position = at
    bits = seen
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

  /// A number of ten thousand digits is a bad number, not a large field (row 72).
  private func tooLarge(_ bytes: Span<UInt8>) -> HTTPError {
    FieldID.classify(bytes, lineStart, nameEnd - lineStart) == .contentLength ? .badLength : .fieldTooLarge
  }

  /// The line that has just ended.
  private mutating func field(_ bytes: Span<UInt8>) throws(HTTPError) -> Field {
    var valueEnd = valueEnd
    while valueEnd > valueStart, bytes[valueEnd &- 1] == 0x20 || bytes[valueEnd &- 1] == 0x09 { valueEnd &-= 1 }
    var field = Field(
      nameStart: UInt32(truncatingIfNeeded: lineStart), valueStart: UInt32(truncatingIfNeeded: valueStart),
      valueCount: UInt32(truncatingIfNeeded: valueEnd - valueStart),
      nameCount: UInt8(truncatingIfNeeded: nameEnd - lineStart),
      id: FieldID.classify(bytes, lineStart, nameEnd &- lineStart), marks: [])
    if bits & 0x8080_8080_8080_8080 != 0 {
      field.marks.insert(.obsoleteText)
      if field.id.isInterpreted { throw .badFieldValue }
    }
    if bytes.extracting(lineStart..<nameEnd).firstOffset(of: 0x5F) != nil {
      field.marks.insert(.underscore)
      field.id = try FieldSection.meaning(ofAmbiguous: bytes.extracting(lineStart..<nameEnd))
    }
    return field
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
