/// A response as a client of little learning sees it: whole, or visibly not. It shares no code with what it judges.
struct Answer: Sendable {
  /// Statuses of the interim responses in front.
  var interims: [Int] = []
  /// 0 when not even a head came.
  var status = 0
  var head = ""
  var body: [UInt8] = []
  /// Its framing says that it is complete.
  var isWhole = false
  /// How the connection ended; nil while it stands.
  var end: Socket.Received?
  /// Bytes that came behind it.
  var surplus: [UInt8] = []

  var text: String { String(decoding: body, as: UTF8.self) }

  func field(_ name: String) -> String? { fieldValue(name, in: head) }

  /// The `code` of a problem of the daemon's own; nil for anything else.
  var problem: String? {
    guard field("content-type") == "application/problem+json" else { return nil }
    let parts = text.split(separator: "\"")
    return parts.firstIndex(of: "code").map { String(parts[$0 + 2]) }
  }

  /// Nothing hangs: it is whole, or the connection was ended.
  var isDecided: Bool { isWhole || end == .end || end == .reset }
}

/// A client's connection to the daemon, and what has come on it.
final class Client {
  let socket: Socket
  private var input: [UInt8] = []
  private var end: Socket.Received?

  init(_ socket: Socket) { self.socket = socket }

  func send(_ text: String) { socket.write(text) }

  /// Reads one response: until it is whole by its own framing, or the connection has ended.
  /// - Parameter isHEAD: the request was HEAD.
  func answer(isHEAD: Bool = false) -> Answer {
    while true {
      if let answer = parse(isHEAD) { return answer }
      receive()
    }
  }

  /// A request, and the response to it.
  func ask(_ request: String) -> Answer {
    send(request)
    return answer(isHEAD: request.hasPrefix("HEAD"))
  }

  /// Reads, and forgets, as far as the end of `text`. False when it does not come.
  func read(until text: StaticString) -> Bool {
    while true {
      if let end = input.firstIndex(ofSequence: text) {
        input.removeFirst(end)
        return true
      }
      guard end == nil else { return false }
      receive()
    }
  }

  /// What was received and not used yet.
  func takeInput() -> [UInt8] {
    defer { input = [] }
    return input
  }

  /// Everything until the end.
  func rest() -> (bytes: [UInt8], end: Socket.Received) {
    while end == nil { receive() }
    defer { input = [] }
    return (input, end ?? .nothing)
  }

  private func receive() {
    let received = socket.read()
    if case .bytes(let bytes) = received { input += bytes } else { end = received }
  }

  /// nil: there must be more to come.
  private func parse(_ isHEAD: Bool) -> Answer? {
    var answer = Answer()
    answer.end = end
    var start = 0
    while true {
      guard let headEnd = input.firstIndex(ofSequence: "\r\n\r\n", from: start) else {
        return end == nil ? nil : answer
      }
      let head = String(decoding: input[start..<headEnd], as: UTF8.self)
      let status = Int(head.dropFirst(9).prefix(3)) ?? 0
      start = headEnd
      if 100...199 ~= status {
        answer.interims.append(status)
        continue
      }
      answer.status = status
      answer.head = head
      break
    }
    let rest = Array(input[start...])
    var bodyEnd: Int?
    if isHEAD || answer.status == 204 || answer.status == 304 {
      bodyEnd = 0
    } else if answer.field("transfer-encoding") != nil {
      if let (body, end) = unchunked(rest) { (answer.body, bodyEnd) = (body, end) }
    } else if let length = answer.field("content-length").flatMap({ Int($0) }) {
      answer.body = Array(rest.prefix(length))
      if rest.count >= length { bodyEnd = length }
    } else {
      answer.body = rest
      if end == .end { bodyEnd = rest.count }
    }
    guard let bodyEnd else { return end == nil ? nil : answer }
    answer.isWhole = true
    answer.surplus = Array(rest[bodyEnd...])
    input = answer.surplus
    return answer
  }
}

/// The value of a field of a head, without the white space around it.
func fieldValue(_ name: String, in head: String) -> String? {
  for line in head.split(separator: "\r\n").dropFirst() {
    guard let colon = line.firstIndex(of: ":"), line[..<colon].lowercased() == name else { continue }
    return String(line[line.index(after: colon)...].drop { $0 == " " })
  }
  return nil
}

/// The content of a chunked body without trailers, and where it ends; nil as long as it is not all there.
func unchunked(_ bytes: [UInt8]) -> (body: [UInt8], end: Int)? {
  var body: [UInt8] = []
  var start = 0
  while let lineEnd = bytes.firstIndex(ofSequence: "\r\n", from: start) {
    let line = String(decoding: bytes[start..<lineEnd - 2], as: UTF8.self)
    guard let size = Int(line.prefix { $0 != ";" }, radix: 16), bytes.count >= lineEnd + size + 2 else { return nil }
    body += bytes[lineEnd..<lineEnd + size]
    start = lineEnd + size + 2
    if size == 0 { return (body, start) }
  }
  return nil
}

extension [UInt8] {
  /// The index behind the first occurrence of `text`.
  func firstIndex(ofSequence text: StaticString, from start: Int = 0) -> Int? {
    let wanted = Array(text.description.utf8)
    guard count - start >= wanted.count else { return nil }
    for index in start...count - wanted.count where self[index] == wanted[0] && self[index...].starts(with: wanted) {
      return index + wanted.count
    }
    return nil
  }
}
