import Support
import HTTP

/// Reads a vector as a connection would, in the pieces that it comes in, and writes down what was found.
struct Reading {
  private(set) var lines: [[UInt8]] = []
  /// Bytes behind the last message of an upstream.
  private(set) var surplus = 0
  private let vector: Vector
  /// What a reader is given ends where it ends.
  private let page: GuardPage

  /// - Parameter cuts: where a read ends; the last one ends with the input.
  init(_ vector: Vector, _ input: [UInt8], cuts: some Sequence<Int>, on page: GuardPage = GuardPage()) {
    self.vector = vector
    self.page = page
    do throws(HTTPError) {
      if vector.isResponse { try readResponses(input, cuts) } else { try readRequests(input, cuts) }
    } catch {
      let status = error.closeSilently ? "silent" : vector.isResponse ? "502" : "\(error.status)"
      note("\(status) \(error)")
    }
  }

  private mutating func note(_ text: String) { lines.append(Array(text.utf8)) }

  private mutating func note(_ text: String, _ bytes: some Collection<UInt8>) { lines.append(Array(text.utf8) + bytes) }

  // MARK: Requests

  private mutating func readRequests(_ input: [UInt8], _ cuts: some Sequence<Int>) throws(HTTPError) {
    var reader = RequestReader()
    var body: BodyReader?
    var payload: [UInt8] = []
    var at = 0
    for cut in cuts {
      while true {
        if body == nil {
          guard try reader.read(page.hold(input[at..<cut]).span) else { break }
          note(reader.head, Array(input[at..<cut]))
          at += reader.head.byteCount
          body = BodyReader(reader.head.framing)
        }
        guard try readBody(&body, input, &at, cut, &payload) else { break }
        reader.reset()
      }
    }
    if body != nil || !reader.isIdle { try stop(&body, payload) }
  }

  private mutating func note(_ head: RequestHead, _ bytes: [UInt8]) {
    var line = Array("request ".utf8) + bytes[head.methodName] + Array(" \(head.form)".utf8)
    if !head.path.isEmpty { line += [0x20] + bytes[head.path] }
    if let query = head.query { line += [0x20, 0x3F] + bytes[query] }
    lines.append(line + Array(" HTTP/1.\(head.minorVersion)".utf8))
    note("method \(head.method)")
    if let authority = head.authority { note("authority ", authority, bytes) }
    note("host ", head.host, bytes)
    note(head.fields, bytes)
    if head.nominatesOthers { note("nominates others") }
    if head.hasEmptySegments { note("empty segments") }
    note(head.framing)
    if head.wantsClose { note("close") }
    if head.expectsContinue { note("continue") }
    if head.asksForWebSocket { note("websocket") }
    note("fields \(head.fields.count)")
    note("bytes \(head.byteCount)")
  }

  private mutating func note(_ text: String, _ host: HostPort, _ bytes: [UInt8]) {
    note(text, bytes[host.name] + Array((host.port.map { " \($0)" } ?? "").utf8))
  }

  // MARK: Responses

  private mutating func readResponses(_ input: [UInt8], _ cuts: some Sequence<Int>) throws(HTTPError) {
    var reader = ResponseReader()
    var body: BodyReader?
    var payload: [UInt8] = []
    var at = 0
    var done = false
    for cut in cuts {
      while !done {
        if body == nil {
          guard try reader.read(page.hold(input[at..<cut]).span, requestMethodIsHEAD: vector.isHEAD) else { break }
          note(reader.head, Array(input[at..<cut]))
          at += reader.head.byteCount
          if reader.head.isInterim {
            reader.reset()
            continue
          }
          body = BodyReader(reader.head.framing, .response)
        }
        guard try readBody(&body, input, &at, cut, &payload) else { break }
        done = true
      }
    }
    if !done { return try stop(&body, payload) }
    surplus = input.count - at
    if surplus > 0 { note("surplus \(surplus)") }
  }

  private mutating func note(_ head: ResponseHead, _ bytes: [UInt8]) {
    note("response \(head.status) HTTP/1.\(head.minorVersion)")
    note(head.fields, bytes)
    note(head.framing)
    if head.wantsClose { note("close") }
    if head.upgrades { note("upgrades") }
  }

  // MARK: What both have

  private mutating func note(_ fields: [Field], _ bytes: [UInt8]) {
    for field in fields {
      let value = bytes[field.value]
      note("field ", bytes[field.name] + [0x3A] + (value.isEmpty ? [] : [0x20]) + value)
      if field.marks.contains(.underscore) { note("marks underscore") }
      if field.marks.contains(.nominated) { note("marks nominated") }
      if field.marks.contains(.obsoleteText) { note("marks obs-text") }
      if field.isHopByHop { note("marks hop-by-hop") }
    }
  }

  private mutating func note(_ framing: BodyFraming) {
    switch framing {
    case .none: note("framing none")
    case .length(let length): note("framing length \(length)")
    case .chunked: note("framing chunked")
    case .untilClose: note("framing until close")
    }
  }

  /// - Returns: whether the body is complete.
  private mutating func readBody(
    _ body: inout BodyReader?, _ input: [UInt8], _ at: inout Int, _ cut: Int, _ payload: inout [UInt8]
  ) throws(HTTPError) -> Bool {
    while true {
      let piece: BodyPiece?
      do throws(HTTPError) {
        piece = try body?.next(page.hold(input[at..<cut]).span)
      } catch {
        note(payload)
        throw error
      }
      guard let piece else { return false }
      payload += input[at..<cut][(at + piece.payload.lowerBound)..<(at + piece.payload.upperBound)]
      at += piece.consumed
      if piece.finished {
        note(payload)
        if let received = body?.received { note("received \(received)") }
        note("end")
        body = nil
        payload = []
        return true
      }
      if piece.needsMore { return false }
    }
  }

  private mutating func note(_ payload: [UInt8]) {
    if !payload.isEmpty { note("body ", payload) }
  }

  /// The input is over in the middle of a message.
  private mutating func stop(_ body: inout BodyReader?, _ payload: [UInt8]) throws(HTTPError) {
    note(payload)
    guard vector.endsInput, body != nil else { return note("more") }
    try body?.endOfInput()
    note("end")
  }
}
