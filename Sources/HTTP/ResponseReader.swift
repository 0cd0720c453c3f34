internal import Bytes

/// A response's head as places in its bytes: every range counts from the head's first byte.
public struct ResponseHead: Sendable {
  /// 100–599.
  public internal(set) var status = 0
  /// 1 or 0.
  public internal(set) var minorVersion = 1
  public internal(set) var fields: [Field] = []
  /// `none` for 1xx, 204, 205, 304 and answers to HEAD, whatever the fields say.
  public internal(set) var framing = BodyFraming.none
  /// What Content-Length said, whether or not a body follows.
  public internal(set) var contentLength: UInt64?
  /// The connection cannot carry another exchange.
  public internal(set) var wantsClose = false
  /// `Connection` holds `upgrade`.
  public internal(set) var upgrades = false
  /// Bytes of the head with its empty line.
  public internal(set) var byteCount = 0

  /// 1xx: another head follows. 101 is not one: it ends the conversation in HTTP.
  public var isInterim: Bool { status < 200 && status != 101 }

  /// The first field of this kind.
  public func first(_ id: FieldID) -> Field? { fields.first { $0.id == id } }
}

/// Reads the head of a response: section H of the rules (RFC 9112 §4, §6.3).
///
///     statusLine ─▶ reason ─ CR LF ─▶ fields ─▶ complete
public struct ResponseReader: ~Copyable, Sendable {
  enum Step: UInt8 { case statusLine, reason, reasonEnd, fields, complete }

  /// Valid once `read` has returned true.
  public private(set) var head = ResponseHead()
  public let limits: HTTPLimits
  private var step = Step.statusLine
  private var position = 0
  private var section = FieldSection()

  public init(_ limits: HTTPLimits = .response) {
    self.limits = limits
  }

  /// Forgets the head, keeping the room for its fields. Needed after each interim head, too.
  public mutating func reset() {
    var fields: [Field] = []
    swap(&fields, &head.fields)
    fields.removeAll(keepingCapacity: true)
    head = ResponseHead()
    head.fields = fields
    step = .statusLine
    position = 0
  }

  /// Goes on where it stopped.
  /// - Parameters:
  ///   - bytes: from the first byte of the message on; what was there in an earlier call is unchanged.
  ///   - isHEAD: the request was HEAD, so no body follows.
  /// - Returns: whether `head` is complete. False: more bytes are needed.
  public mutating func read(_ bytes: Span<UInt8>, requestMethodIsHEAD isHEAD: Bool) throws(HTTPError) -> Bool {
    if step == .complete { return true }
    if step != .fields {
      try readStatusLine(bytes)
      guard step == .fields else { return false }
      section.begin(at: position)
    }
    guard try section.read(bytes, limits, into: &head.fields) else { return false }
    head.byteCount = section.position
    try finish(bytes, isHEAD)
    step = .complete
    return true
  }

  /// Row 117. A missing space before an empty reason is the one leniency; the reason is not looked at (row 118).
  private mutating func readStatusLine(_ bytes: Span<UInt8>) throws(HTTPError) {
    let expected: StaticString = "HTTP/1.0 000"
    let end = min(bytes.count, limits.head)
    if position == 0, end > 9, bytes.equals("HTTP/1.1 ", at: 0) {
      head.minorVersion = 1
      position = 9
    }
    while position < end {
      let byte = bytes[position]
      switch step {
      case .statusLine:
        switch position {
        case 7:
          guard byte == 0x30 || byte == 0x31 else { throw .badStatusLine }
          head.minorVersion = Int(byte - 0x30)
        case 9...11:
          guard Characters.isDigit(byte) else { throw .badStatusLine }
          head.status = head.status * 10 + Int(byte - 0x30)
        case 12:
          guard byte == 0x20 || byte == 0x0D, 100...599 ~= head.status else { throw .badStatusLine }
          step = byte == 0x0D ? .reasonEnd : .reason
        default: guard unsafe byte == expected.utf8Start[position] else { throw .badStatusLine }
        }
      case .reason:
        if byte == 0x0A { throw .bareLineFeed }
        if byte == 0x0D { step = .reasonEnd }
      case .reasonEnd:
        // Where no space is before the reason, there is none.
        guard byte == 0x0A || position > 13 else { throw .badStatusLine }
        if byte == 0x0A { step = .fields } else if byte != 0x0D { step = .reason }
      case .fields, .complete: return
      }
      position += 1
      if step == .fields { return }
    }
    if position >= limits.head { throw .headTooLarge }
  }

  private mutating func finish(_ bytes: Span<UInt8>, _ isHEAD: Bool) throws(HTTPError) {
    var codings = 0
    var options = ConnectionOptions()
    for i in head.fields.indices {
      let field = head.fields[i]
      switch field.id {
      case .contentLength:
        guard head.contentLength == nil else { throw .duplicateLength }
        head.contentLength = try FieldValues.length(bytes, field.value)
      case .transferEncoding:
        codings += 1
        guard codings == 1 else { throw .badTransferEncoding }
        try FieldValues.transferEncoding(bytes, field.value)
      case .connection:
        try FieldValues.connection(bytes, field.value, limits, emptyElements: true, &options, &head.fields)
      default: break
      }
    }
    if codings > 0 {
      guard head.contentLength == nil else { throw .lengthAndTransferEncoding }
      guard head.minorVersion > 0 else { throw .transferEncodingInHTTP10 }
    }
    head.upgrades = options.upgrade
    let announcesBody = codings > 0 || (head.contentLength ?? 0) > 0
    if head.status < 200, announcesBody { throw .unexpectedBody }
    // RFC 9112 §6.3, in its order; 205 has no content either (RFC 9110 §15.3.6).
    let hasNoContent = head.status == 204 || head.status == 205
    if head.status < 200 || hasNoContent || head.status == 304 || isHEAD {
      head.framing = .none
    } else if codings > 0 {
      head.framing = .chunked
    } else if let length = head.contentLength {
      head.framing = .length(length)
    } else {
      head.framing = .untilClose
    }
    // Rows 124 and 125: content that was announced where none may be is perhaps still to come.
    head.wantsClose =
      options.close || head.minorVersion == 0 || head.framing == .untilClose || hasNoContent && announcesBody
  }
}
