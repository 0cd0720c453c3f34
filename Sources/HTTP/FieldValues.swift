/// The values of the fields that frame a message or speak about its connection.
enum FieldValues {
  /// RFC 9110 §8.6: digits, and no leading zero that an octal reader would read otherwise (row 71).
  static func length(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(HTTPError) -> UInt64 {
    guard range.count >= 1, range.count <= 19 else { throw .badLength }
    guard range.count == 1 || bytes[range.lowerBound] != 0x30 else { throw .badLength }
    var value: UInt64 = 0
    for i in range {
      guard Characters.isDigit(bytes[i]) else { throw .badLength }
      value = value &* 10 &+ UInt64(bytes[i] &- 0x30)
    }
    guard value <= UInt64(Int64.max) else { throw .badLength }
    return value
  }

  /// RFC 9112 §6.1: `chunked`, and nothing else. Another coding before it is 501, anything else 400.
  static func transferEncoding(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(HTTPError) {
    if bytes.matches("chunked", in: range) { return }
    var codings = ListReader(range)
    var count = 0
    var endsInChunked = false
    while let coding = try codings.next(bytes, orThrow: .badTransferEncoding) {
      if endsInChunked || bytes.matches("identity", in: coding) { throw .badTransferEncoding }
      endsInChunked = bytes.matches("chunked", in: coding)
      count += 1
    }
    throw endsInChunked && count > 1 ? .transferEncodingNotSupported : .badTransferEncoding
  }

  /// RFC 9110 §7.6.1: what `Connection` says, and which fields it takes out of the message.
  static func connection(
    _ bytes: Span<UInt8>, _ range: Range<Int>, _ limits: borrowing HTTPLimits, emptyElements: Bool,
    _ options: inout ConnectionOptions, _ fields: inout [Field]
  ) throws(HTTPError) {
    // What nearly all say.
    if bytes.matches("keep-alive", in: range), options.count < limits.connectionOptions {
      options.count += 1
      options.keepAlive = true
      return
    }
    var list = ListReader(range, emptyElements: emptyElements)
    while let option = try list.next(bytes, orThrow: .badConnection) {
      options.count += 1
      guard options.count <= limits.connectionOptions else { throw .badConnection }
      if bytes.matches("close", in: option) {
        options.close = true
      } else if bytes.matches("keep-alive", in: option) {
        options.keepAlive = true
      } else {
        let id = FieldID.classify(bytes, option.lowerBound, option.count)
        if id.isProtected { throw .protectedFieldNominated }
        if id == .upgrade { options.upgrade = true }
        if id == .other { options.nominatesOthers = true }
        mark(option, bytes, &fields)
      }
    }
  }

  private static func mark(_ option: Range<Int>, _ bytes: Span<UInt8>, _ fields: inout [Field]) {
    for i in fields.indices where Int(fields[i].nameCount) == option.count {
      if bytes.equalsIgnoringCase(fields[i].name, option) { fields[i].marks.insert(.nominated) }
    }
  }
}

/// What the `Connection` fields of a head say together.
struct ConnectionOptions {
  var count = 0
  var close = false
  var keepAlive = false
  var upgrade = false
  var nominatesOthers = false
}

/// The elements of a comma-separated list of tokens (RFC 9110 §5.6.1).
struct ListReader {
  private var position: Int
  private let end: Int
  private let emptyElements: Bool
  private var done = false

  init(_ range: Range<Int>, emptyElements: Bool = false) {
    position = range.lowerBound
    end = range.upperBound
    self.emptyElements = emptyElements
  }

  /// The next token; nil behind the last.
  /// - Throws: `error` at an element that is not a token, or is empty where that is not allowed.
  mutating func next(_ bytes: Span<UInt8>, orThrow error: HTTPError) throws(HTTPError) -> Range<Int>? {
    while !done {
      while position < end, bytes[position] == 0x20 || bytes[position] == 0x09 { position += 1 }
      let start = position
      while position < end, Characters.isToken(bytes[position]) { position += 1 }
      let token = start..<position
      while position < end, bytes[position] == 0x20 || bytes[position] == 0x09 { position += 1 }
      if position == end {
        done = true
      } else if bytes[position] == 0x2C {
        position += 1
      } else {
        throw error
      }
      if !token.isEmpty { return token }
      if !emptyElements { throw error }
    }
    return nil
  }
}

extension Span where Element == UInt8 {
  /// Two runs of tchar of the same length are the same in ASCII lower case.
  func equalsIgnoringCase(_ a: Range<Int>, _ b: Range<Int>) -> Bool {
    guard a.count == b.count else { return false }
    for i in 0..<a.count where lowered(self[a.lowerBound + i]) != lowered(self[b.lowerBound + i]) { return false }
    return true
  }

  @inline(__always) private func lowered(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }
}
