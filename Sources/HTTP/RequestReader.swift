internal import Bytes

/// Reads the head of a request: sections A–E and G of the rules (RFC 9112 §3–§6, RFC 9110 §7.6.1 and §10.1.1).
///
///     start ─▶ method ─ SP ─▶ target ─ SP ─▶ version ─ CR ─▶ lineEnd ─ LF ─▶ fields ─▶ complete
///       └ CR ─▶ emptyLine ─ LF ─▶ method
public struct RequestReader: ~Copyable, Sendable {
  enum Step: UInt8 { case start, emptyLine, method, target, version, lineEnd, fields, complete }

  /// Valid once `read` has returned true.
  public private(set) var head = RequestHead()
  public let limits: HTTPLimits
  private var step = Step.start
  private var position = 0
  /// The first byte of the part that is being read.
  private var start = 0
  private var section = FieldSection()

  public init(_ limits: HTTPLimits = .request) {
    self.limits = limits
  }

  /// Nothing of a head has been seen.
  public var isIdle: Bool { position == 0 }

  /// Forgets the head, keeping the room for its fields.
  public mutating func reset() {
    head.reset()
    step = .start
    position = 0
    start = 0
  }

  /// Goes on where it stopped.
  /// - Parameter bytes: from the first byte of the message on; what was there in an earlier call is unchanged.
  /// - Returns: whether `head` is complete; what is behind `head.byteCount` was not looked at. False: more bytes are needed.
  public mutating func read(_ bytes: Span<UInt8>) throws(HTTPError) -> Bool {
    if step == .complete { return true }
    if step != .fields {
      try readRequestLine(bytes)
      guard step == .fields else { return false }
      section.begin(at: position)
    }
    let isComplete = try section.read(bytes, limits, into: &head.fields)
    position = section.position
    guard isComplete else { return false }
    head.byteCount = position
    try finish(bytes)
    step = .complete
    return true
  }

  private mutating func readRequestLine(_ bytes: Span<UInt8>) throws(HTTPError) {
    let end = min(bytes.count, limits.head)
    while position < end {
      switch step {
      case .start:
        switch bytes[position] {
        case 0x0D:
          position += 1
          step = .emptyLine
        case 0x0A: throw .bareLineFeed
        case 0x00...0x08, 0x0B, 0x0C, 0x0E...0x1F: throw .notHTTP
        default: step = .method
        }
      case .emptyLine:
        guard bytes[position] == 0x0A else { throw .bareCarriageReturn }
        position += 1
        start = position
        step = .method
      case .method: try readMethod(bytes, end)
      case .target: try readTarget(bytes, end)
      case .version:
        if position == start, position &+ 9 <= end, bytes.equals("HTTP/1.1\r", at: position) {
          head.minorVersion = 1
          position &+= 9
          step = .lineEnd
        } else {
          try readVersion(bytes[position])
        }
      case .lineEnd:
        guard bytes[position] == 0x0A else { throw .bareCarriageReturn }
        position += 1
        let target = try Target(bytes, head.target, head.method)
        head.form = target.form
        head.isHTTPS = target.isHTTPS
        head.authority = target.authority
        head.path = target.path
        head.query = target.query
        head.hasEmptySegments = target.hasEmptySegments
        step = .fields
        return
      case .fields, .complete: return
      }
    }
    if position >= limits.head { throw .targetTooLong }
  }

  private mutating func readMethod(_ bytes: Span<UInt8>, _ end: Int) throws(HTTPError) {
    while position < end {
      let byte = bytes[position]
      if Characters.isToken(byte) {
        guard position - start < limits.method else { throw .methodTooLong }
        position += 1
        continue
      }
      if byte == 0x0D, position == start { throw .emptyLine }
      guard byte == 0x20, position > start else { throw .badMethod }
      head.methodName = start..<position
      head.method = Method(bytes, head.methodName)
      position += 1
      start = position
      step = .target
      return
    }
  }

  private mutating func readTarget(_ bytes: Span<UInt8>, _ end: Int) throws(HTTPError) {
    var at = position
    let last = min(end, start + limits.target)
    while at < last {
      if at &+ ByteBlock.count <= last {
        let plain = ByteBlock.before(Characters.areNotInTargets(ByteBlock(bytes, at: at)))
        at &+= plain
        if plain == ByteBlock.count { continue }
      }
      guard Characters.isTarget(bytes[at]) else { break }
      at &+= 1
    }
    position = at
    guard at < end else { return }
    if bytes[at] == 0x20, at > start {
      head.target = start..<at
      position = at + 1
      start = position
      step = .version
      return
    }
    throw Characters.isTarget(bytes[at]) ? .targetTooLong : .badTarget
  }

  /// `HTTP/1.1` and CR, one byte a call.
  private mutating func readVersion(_ byte: UInt8) throws(HTTPError) {
    let expected: StaticString = "HTTP/0.0\r"
    let at = position - start
    if at == 5 || at == 7 {
      guard Characters.isDigit(byte) else { throw .badVersion }
      if at == 5 {
        head.minorVersion = byte == 0x31 ? 0 : -1
      } else if head.minorVersion == 0 {
        head.minorVersion = byte &- 0x30 < 2 ? Int(byte &- 0x30) : -1
      }
    } else {
      guard unsafe byte == expected.utf8Start[at] else { throw .badVersion }
      if at == 8 {
        guard head.minorVersion >= 0 else { throw .versionNotSupported }
        step = .lineEnd
      }
    }
    position += 1
  }

  /// What the fields mean together: Host, framing, Connection, Expect. What is malformed comes before what is not supported.
  private mutating func finish(_ bytes: Span<UInt8>) throws(HTTPError) {
    var hosts = 0
    var lengths = 0
    var codings = 0
    var expectations = 0
    var failure: HTTPError?
    var options = ConnectionOptions()
    var websocket = false
    for i in head.fields.indices {
      let field = head.fields[i]
      guard field.id != .other else { continue }
      let bit: UInt64 = 1 << UInt64(field.id.rawValue)
      if head.seen & bit != 0, field.id.isSingleton { throw .duplicateField }
      head.seen |= bit
      switch field.id {
      case .host:
        hosts += 1
        guard hosts == 1 else { throw .duplicateHost }
        head.host = try HostPort(bytes, in: field.value)
      case .contentLength:
        lengths += 1
        guard lengths == 1 else { throw .duplicateLength }
        head.framing = .length(try FieldValues.length(bytes, field.value))
      case .transferEncoding:
        codings += 1
        guard codings == 1 else { throw .badTransferEncoding }
        do throws(HTTPError) {
          try FieldValues.transferEncoding(bytes, field.value)
        } catch {
          guard error == .transferEncodingNotSupported else { throw error }
          failure = error
        }
      case .connection:
        try FieldValues.connection(bytes, field.value, limits, emptyElements: false, &options, &head.fields)
      case .expect where head.minorVersion > 0:
        expectations += 1
        head.expectsContinue = bytes.matches("100-continue", in: field.value)
        if !head.expectsContinue || expectations > 1 { failure = failure ?? .expectationFailed }
      case .upgrade: websocket = bytes.matches("websocket", in: field.value)
      default: break
      }
    }
    guard hosts == 1 else { throw .missingHost }
    if codings > 0 {
      guard lengths == 0 else { throw .lengthAndTransferEncoding }
      guard head.minorVersion > 0 else { throw .transferEncodingInHTTP10 }
      head.framing = .chunked
    }
    head.wantsClose = options.close || head.minorVersion == 0
    head.asksForWebSocket = websocket && options.upgrade && head.minorVersion > 0
    head.nominatesOthers = options.nominatesOthers
    if let failure { throw failure }
  }
}
