import Testing

extension LLHTTPCase: CustomTestStringConvertible {
  var place: String { "\(file):\(line)" }
  var testDescription: String { "\(title) (\(place))" }

  func vector(input: [UInt8]) -> Vector {
    Vector(
      file: file, line: line, row: 0, title: title, isResponse: kind == .response,
      isHEAD: kind == .response && skipsBody, endsInput: isFinished, input: input, expected: [])
  }
}

/// What llhttp and we make of one case.
struct LLHTTPComparison {
  let example: LLHTTPCase
  /// The case as we are given it: with a Host where a request has none, and a target in a request.
  let vector: Vector

  /// A message as far as it was read.
  struct Message: Equatable {
    var start: [UInt8] = []
    var target: [UInt8] = []
    var fields: [[UInt8]] = []
    var body: [UInt8] = []
    var isComplete = false
  }

  init(_ example: LLHTTPCase) {
    self.example = example
    switch example.kind {
    case .url:
      vector = example.vector(input: Array("GET ".utf8) + example.input + Array(" HTTP/1.1\r\n\(Self.host)\r\n".utf8))
    case .response: vector = example.vector(input: example.input)
    case .request: vector = example.vector(input: Self.withHosts(example))
    }
  }

  private static let host = "Host: supplied\r\n"

  /// The input with a Host behind the request line of each message that llhttp finds without one.
  private static func withHosts(_ example: LLHTTPCase) -> [UInt8] {
    var starts: [Int] = []
    var named = false
    func close() { if named { starts.removeLast() } }
    for event in example.log {
      switch event.name {
      case "message begin":
        close()
        starts.append(event.offset ?? 0)
        named = false
      case "span[header_field]" where event.text.lowercased() == "host": named = true
      default: break
      }
    }
    close()
    var input = example.input
    for start in starts.reversed() {
      let line = input[start...].drop { $0 == 0x0D || $0 == 0x0A }
      guard let end = line.firstIndex(of: 0x0A) else { continue }
      input.insert(contentsOf: Array(host.utf8), at: end + 1)
    }
    return input
  }

  /// What differs, as the list says it; nil when nothing does.
  var difference: String? {
    let leniency = example.leniency.isEmpty ? "" : " (\(example.leniency))"
    let theirs = "llhttp\(leniency) " + (example.refusal.map { "refuses it: \($0)" } ?? "reads it")
    let lines = read(vector.input)
    if let ours = refusal(lines) {
      return example.refusal == nil ? "\(theirs); here \(subject(lines)) \(ours)\(beside(ours))" : nil
    }
    if example.refusal != nil {
      // It may say so before the head's end, where we look at what the fields mean together.
      let isOpen = !lines.contains { $0.starts(with: "framing ".utf8) }
      return isOpen && refusal(read(vector.input + Array("\r\n\r\n".utf8))) != nil ? nil : "\(theirs); here it is read"
    }
    guard example.kind != .url else { return nil }
    let (a, b) = (example.messages(vector.isResponse), messages(lines))
    if a.count != b.count { return "\(theirs) as \(a.count) messages; here they are \(b.count)" }
    for (a, b) in zip(a, b) where a != b {
      if a.start != b.start { return "\(theirs); the start line reads otherwise here" }
      if !a.target.reversed().starts(with: b.target.reversed()) { return "\(theirs); the target reads otherwise here" }
      if a.fields != b.fields { return "\(theirs); the fields read otherwise here" }
      if a.body != b.body { return "\(theirs); the body reads otherwise here" }
      if a.isComplete != b.isComplete { return "\(theirs); it ends elsewhere here" }
    }
    return nil
  }

  private func read(_ input: [UInt8]) -> [[UInt8]] { Reading(vector, input, cuts: [input.count]).lines }

  /// Whether it is the case that is refused, or what llhttp leaves to another protocol.
  private func subject(_ lines: [[UInt8]]) -> String {
    let read = lines.filter { $0.starts(with: "request ".utf8) }.count
    let handsOver = example.log.contains { $0.name == "error code=22" }
    return handsOver && read == example.messages(false).count ? "the rest is" : "it is"
  }

  /// What we would say without the fragment, which decides first.
  private func beside(_ refusal: String) -> String {
    guard refusal == "400 badTarget", let hash = vector.input.firstIndex(of: 0x23),
      let end = vector.input[hash...].firstIndex(of: 0x20)
    else { return "" }
    let lines = read(Array(vector.input[..<hash] + vector.input[end...]))
    return ", without its fragment \(self.refusal(lines) ?? "read")"
  }

  private func refusal(_ lines: [[UInt8]]) -> String? {
    let last = String(decoding: lines.last ?? [], as: UTF8.self)
    if last.first?.isNumber == true || last.hasPrefix("silent") { return last }
    if last.hasPrefix("surplus") { return "502 surplus" }
    return example.isFinished && last == "more" ? "400 incomplete" : nil
  }

  private func messages(_ lines: [[UInt8]]) -> [Message] {
    var messages: [Message] = []
    for line in lines {
      let words = line.split(separator: 0x20, maxSplits: 1, omittingEmptySubsequences: false).map(Array.init)
      switch String(decoding: words[0], as: UTF8.self) {
      case "request", "response":
        let parts = line.split(separator: 0x20).map(Array.init)
        // Only an interim response is followed by another without saying that it ended.
        if let last = messages.indices.last { messages[last].isComplete = true }
        var value = Message(start: parts[1])
        if parts[0].count == 7 { value.target = parts[3..<parts.count - 1].flatMap { $0 } }
        messages.append(value)
      case "field" where line != Array("field Host: supplied".utf8):
        messages[messages.count - 1].fields.append(words[1])
      case "body": messages[messages.count - 1].body = words[1]
      case "end": messages[messages.count - 1].isComplete = true
      default: break
      }
    }
    return messages
  }
}

extension LLHTTPCase {
  /// Why llhttp stops; a pause for another protocol is not a refusal.
  var refusal: String? {
    if isFinished { return log.contains { $0.name == "finish=2" } ? "incomplete" : nil }
    let error = log.first {
      $0.name.hasPrefix("error") && !["code=21", "code=22", "code=23"].contains($0.name.suffix(7))
    }
    return error?.text
  }

  func messages(_ isResponse: Bool) -> [LLHTTPComparison.Message] {
    var messages: [LLHTTPComparison.Message] = []
    var inHead = false
    for event in log {
      let bytes = Array(input.dropFirst(event.offset ?? 0).prefix(event.length))
      if event.name == "message begin" {
        messages.append(.init())
        inHead = true
      }
      guard let last = messages.indices.last else { continue }
      switch event.name {
      case "span[method]": messages[last].start += bytes
      case "span[url]": messages[last].target += bytes
      case "span[header_field]" where inHead: messages[last].fields.append(bytes + Array(":".utf8))
      case "span[header_value]" where inHead:
        guard let field = messages[last].fields.indices.last else { continue }
        let value = bytes.reversed().drop { $0 == 0x20 || $0 == 0x09 }.reversed().drop { $0 == 0x20 || $0 == 0x09 }
        if !value.isEmpty { messages[last].fields[field] += [0x20] + value }
      case "span[body]": messages[last].body += bytes
      case "message complete", "finish=1": messages[last].isComplete = true
      case let name where name.hasPrefix("headers complete"):
        inHead = false
        if isResponse, let status = name.split(separator: " ").first(where: { $0.hasPrefix("status=") }) {
          messages[last].start = Array(status.dropFirst(7).utf8)
        }
      default: break
      }
    }
    return messages
  }
}
