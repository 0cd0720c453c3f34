import Testing

@testable import Daemon
@testable import Net

/// What is done to one byte of a response.
enum Lie: Sendable, CustomTestStringConvertible {
  case replace(UInt8)
  case drop, double

  static let all: [Lie] =
    [0x00, 0x0A, 0x0D, 0x20, 0x3A, 0x30, 0x31, 0x39, 0x3B, 0x58, 0x80].map(Lie.replace) + [.drop, .double]

  var testDescription: String { "\(self)" }

  func told(of bytes: [UInt8], at offset: Int) -> [UInt8] {
    var bytes = bytes
    switch self {
    case .replace(let byte): bytes[offset] = byte
    case .drop: bytes.remove(at: offset)
    case .double: bytes.insert(bytes[offset], at: offset)
    }
    return bytes
  }
}

/// What a strict reader of few words makes of the bytes of a response. It shares no code with what it judges.
private enum Meaning {
  case refused
  /// There is no end of a head.
  case head
  case whole(status: Int, body: [UInt8], mayBeKept: Bool)
  /// All there is of a body that has not ended.
  case part(status: Int)
  /// A body that ends with the connection.
  case untilEnd(status: Int, body: [UInt8])

  init(_ bytes: [UInt8]) {
    var rest = bytes[...]
    while true {
      guard let end = Array(rest).firstIndex(ofSequence: "\r\n\r\n") else {
        self = .head
        return
      }
      let head = rest.prefix(end - 4)
      rest = rest.dropFirst(end)
      guard let (status, minor, fields) = Meaning.head(head) else {
        self = .refused
        return
      }
      let lengths = fields.filter { $0.name == "content-length" }.map(\.value)
      let codings = fields.filter { $0.name == "transfer-encoding" }.map(\.value)
      if status < 200 {
        guard status != 101, lengths.isEmpty, codings.isEmpty else {
          self = .refused
          return
        }
        continue
      }
      self = Meaning.body(status, minor, lengths, codings, Array(rest))
      return
    }
  }

  private static func head(_ head: ArraySlice<UInt8>) -> (Int, Int, [(name: String, value: String)])? {
    let lines = lines(Array(head))
    let first = lines[0]
    let start = String(decoding: first.prefix(12), as: UTF8.self)
    guard start.hasPrefix("HTTP/1.0 ") || start.hasPrefix("HTTP/1.1 "), first.count == 12 || first[12] == 0x20,
      !first.contains(0x0A), let status = number(start.dropFirst(9)), 100...599 ~= status
    else { return nil }
    var fields: [(name: String, value: String)] = []
    for line in lines.dropFirst() {
      guard let field = field(line) else { return nil }
      fields.append(field)
    }
    return (status, start.hasPrefix("HTTP/1.1") ? 1 : 0, fields)
  }

  private static func field(_ line: [UInt8]) -> (name: String, value: String)? {
    guard let colon = line.firstIndex(of: 0x3A), colon > 0 else { return nil }
    let marks = Array("!#$%&'*+-.^_`|~".utf8)
    func isToken(_ byte: UInt8) -> Bool {
      0x30...0x39 ~= byte || 0x41...0x5A ~= byte || 0x61...0x7A ~= byte || marks.contains(byte)
    }
    let value = line[(colon + 1)...]
    guard line[..<colon].allSatisfy(isToken), value.allSatisfy({ $0 == 9 || $0 >= 0x20 && $0 != 0x7F }) else {
      return nil
    }
    let text = String(decoding: value, as: UTF8.self)
    let name = String(decoding: line[..<colon], as: UTF8.self).lowercased()
    return (name, String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()))
  }

  private static func body(
    _ status: Int, _ minor: Int, _ lengths: [String], _ codings: [String], _ rest: [UInt8]
  ) -> Meaning {
    guard lengths.count <= 1, codings.count <= 1, lengths.isEmpty || codings.isEmpty,
      codings.isEmpty || minor == 1 && codings[0].lowercased() == "chunked"
    else { return .refused }
    var length = 0
    if let text = lengths.first {
      guard let value = number(text[...]), "\(value)" == text else { return .refused }
      length = value
    }
    if status == 204 || status == 304 { length = 0 }
    if status == 204 || status == 304 || !lengths.isEmpty {
      guard rest.count >= length else { return .part(status: status) }
      return .whole(status: status, body: Array(rest[..<length]), mayBeKept: rest.count == length && minor == 1)
    }
    guard !codings.isEmpty else { return .untilEnd(status: status, body: rest) }
    guard let (body, end) = chunks(rest) else { return .part(status: status) }
    return .whole(status: status, body: body, mayBeKept: end == rest.count)
  }

  /// nil: it breaks a rule, or has not ended; either is a body without its end.
  private static func chunks(_ bytes: [UInt8]) -> (body: [UInt8], end: Int)? {
    var body: [UInt8] = []
    var start = 0
    while let next = bytes.firstIndex(ofSequence: "\r\n", from: start) {
      let line = bytes[start..<next - 2]
      let digits = String(decoding: line.prefix { $0 != 0x3B }, as: UTF8.self)
      guard digits.allSatisfy(\.isHexDigit), let size = Int(digits, radix: 16),
        extensionIsRight(line.drop { $0 != 0x3B })
      else { return nil }
      start = next
      if size == 0 { break }
      guard bytes.count >= start + size + 2, bytes[start + size] == 0x0D, bytes[start + size + 1] == 0x0A else {
        return nil
      }
      body += bytes[start..<start + size]
      start += size + 2
    }
    while let next = bytes.firstIndex(ofSequence: "\r\n", from: start) {
      let line = Array(bytes[start..<next - 2])
      start = next
      if line.isEmpty { return (body, start) }
      guard field(line) != nil else { return nil }
    }
    return nil
  }

  /// Of those that the lies make of `;a=b`: names and values of letters and digits, with spaces where they may be.
  private static func extensionIsRight(_ bytes: ArraySlice<UInt8>) -> Bool {
    let text = String(decoding: bytes, as: UTF8.self)
    return text.wholeMatch(of: /( *; *[0-9A-Za-z]+( *= *[0-9A-Za-z]+)?)* */) != nil
      && (text.isEmpty || text.last != " ")
  }

  private static func number(_ text: Substring) -> Int? {
    text.utf8.allSatisfy { 0x30...0x39 ~= $0 } ? Int(text) : nil
  }

  private static func lines(_ bytes: [UInt8]) -> [[UInt8]] {
    var lines: [[UInt8]] = []
    var start = 0
    while let next = bytes.firstIndex(ofSequence: "\r\n", from: start) {
      lines.append(Array(bytes[start..<next - 2]))
      start = next
    }
    return lines + [Array(bytes[start...])]
  }

  var mayBeKept: Bool { if case .whole(_, _, true) = self { true } else { false } }

  /// What a client may be told.
  func promised(_ fault: Fault) -> [String] {
    let refusal = "problem 502 upstream_protocol"
    switch self {
    case .refused: return [refusal]
    case .head: return [refusal, fault == .close ? "problem 502 upstream_truncated" : "problem 504 upstream_timeout"]
    case .part(let status): return ["broken \(status)"]
    case .whole(let status, let body, _):
      return ["whole \(status) \(String(decoding: body, as: UTF8.self))"]
    case .untilEnd(let status, let body):
      return fault == .close ? ["whole \(status) \(String(decoding: body, as: UTF8.self))"] : ["broken \(status)"]
    }
  }
}

@Test(arguments: Shape.all, [Fault.close, .hang])
func `a response with a lie at any byte is what it then says, or is refused, and only a whole one's connection is kept`(
  _ shape: Shape, _ fault: Fault
) throws {
  let truth = Array(shape.response.utf8)
  // Those that are waited for in vain cost their time: of them a few kinds.
  let lies = fault == .close ? Lie.all : [.replace(0x39), .replace(0x0D), .drop, .double]
  let upstream = try Upstream { request in
    let words = request.target.dropFirst().split(separator: "/").compactMap { Int($0) }
    let bytes = lies[words[0]].told(of: truth, at: words[1])
    // Behind an answer that is whole a connection that stands serves the next request.
    let goesOn = fault == .hang && Meaning(bytes).mayBeKept
    return [.body, .sendBytes(bytes)] + (goesOn ? [] : [fault.step])
  }
  let bed = try Bed(upstream, timeouts: fault == .close ? 4000 : 250)
  for (index, lie) in lies.enumerated() {
    let clients = try truth.indices.map { offset in
      let client = try bed.connect()
      client.send(request("GET", "/\(index)/\(offset)"))
      return client
    }
    var keepers = 0
    for (offset, client) in clients.enumerated() {
      let meaning = Meaning(lie.told(of: truth, at: offset))
      if meaning.mayBeKept { keepers += 1 }
      var told = verdict(client.answer())
      // A busy machine may have been later than the timeout, but not again and again.
      for _ in 0..<3 where told == "problem 504 upstream_timeout" && !meaning.promised(fault).contains(told) {
        told = verdict(try bed.ask(request("GET", "/\(index)/\(offset)/again")))
      }
      #expect(meaning.promised(fault).contains(told), "\(lie) at \(offset): \(told)")
      #expect(upstream.count("/\(index)/\(offset)") == 1)
    }
    // A kept connection that has ended is found out; one that stands is used again by those that come.
    if fault == .close {
      eventually("the pool is empty") { bed.idle() == 0 ? () : nil }
    } else {
      #expect(bed.idle() <= keepers)
    }
  }
}
