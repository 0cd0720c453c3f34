import Foundation

/// One of llhttp's own tests (`Tests/Vectors/llhttp`): an input, and the events that llhttp reports for it.
struct LLHTTPCase: Sendable {
  enum Kind: String, Sendable { case request, response, url }

  /// What llhttp reports of a place in the input.
  struct Event: Sendable {
    var offset: Int?
    var length = 0
    /// `message begin`, `span[body]`, `error code=10`, …
    var name: String
    /// What is quoted behind it.
    var text = ""
  }

  var file: String
  var line: Int
  var title: String
  var kind: Kind
  /// What llhttp was told to tolerate (`lenient-headers`); empty in its strict mode.
  var leniency = ""
  /// The connection ends behind the input.
  var isFinished = false
  /// The program that uses llhttp says that no body follows.
  var skipsBody = false
  var input: [UInt8]
  var log: [Event]

  static let all: [LLHTTPCase] = ["request", "response", ""].flatMap { folder in
    let place = directory.appending(path: folder)
    let files = (try? FileManager.default.contentsOfDirectory(atPath: place.path)) ?? []
    return files.filter { $0.hasSuffix(".md") && $0 != "differences.md" }.sorted().flatMap { file in
      let text = (try? String(contentsOf: place.appending(path: file), encoding: .utf8)) ?? ""
      return read(text, folder.isEmpty ? file : "\(folder)/\(file)")
    }
  }

  static let directory = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Vectors/llhttp")

  // MARK: The format of its files

  private static func read(_ text: String, _ file: String) -> [LLHTTPCase] {
    var cases: [LLHTTPCase] = []
    var title = ""
    var meta = ""
    var fence: (info: Substring, line: Int, lines: [Substring])?
    var input: (info: Substring, line: Int, bytes: [UInt8])?
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      if line.hasPrefix("```") {
        guard let closed = fence else {
          fence = (line.dropFirst(3), index + 1, [])
          continue
        }
        fence = nil
        if closed.info == "log", let source = input {
          var new = LLHTTPCase(
            file: file, line: source.line, title: title, kind: source.info == "url" ? .url : .request,
            input: source.bytes, log: closed.lines.map(event))
          new.take(meta)
          cases.append(new)
          (input, meta) = (nil, "")
        } else {
          input = (closed.info, closed.line, expand(closed.lines))
        }
      } else if fence != nil {
        fence?.lines.append(line)
      } else if line.hasPrefix("#") {
        title = String(line.drop { $0 == "#" || $0 == " " })
      } else if line.hasPrefix("<!-- meta=") {
        meta = String(line.dropFirst(10).dropLast(4))
      }
    }
    return cases
  }

  private mutating func take(_ meta: String) {
    guard let json = try? JSONSerialization.jsonObject(with: Data(meta.utf8)) as? [String: Any] else { return }
    let words = (json["type"] as? String ?? "").split(separator: "-", maxSplits: 1).map(String.init)
    if let first = words.first, let kind = Kind(rawValue: first) { self.kind = kind }
    isFinished = words.last == "finish"
    if words.count == 2, !isFinished { leniency = words[1] }
    skipsBody = json["skipBody"] as? Bool ?? false
  }

  /// Lines are joined by CR LF; a `\` at the end joins them by nothing; `\r \n \t \f \xHH` are characters, in UTF-8.
  private static func expand(_ lines: [Substring]) -> [UInt8] {
    var rest = Substring(lines.joined(separator: "\r\n").replacing("\\\r\n", with: ""))
    var out: [UInt8] = []
    while let character = rest.unicodeScalars.popFirst() {
      guard character == "\\", let escape = rest.unicodeScalars.first else {
        out += Array(String(character).utf8)
        continue
      }
      rest.unicodeScalars.removeFirst()
      switch escape {
      case "r": out.append(0x0D)
      case "n": out.append(0x0A)
      case "t": out.append(0x09)
      case "f": out.append(0x0C)
      case "x":
        let code = UInt32(rest.prefix(2), radix: 16).flatMap(Unicode.Scalar.init)
        rest = rest.dropFirst(2)
        if let code { out += Array(String(code).utf8) }
      default: out += [0x5C] + Array(String(escape).utf8)
      }
    }
    return out
  }

  /// `off=18 len=3 span[method]="GET"`.
  private static func event(_ line: Substring) -> Event {
    var words = line.split(separator: " ", maxSplits: 2).map(String.init)
    let offset = words.first.flatMap { Int($0.dropFirst(4)) }
    var length: Int?
    if words.count == 3, words[1].hasPrefix("len=") {
      length = Int(words[1].dropFirst(4))
    } else {
      words = line.split(separator: " ", maxSplits: 1).map(String.init)
    }
    let parts = (words.last ?? "").split(separator: "\"", maxSplits: 1).map(String.init)
    var name = (parts.first ?? "").trimmingCharacters(in: .whitespaces)
    for suffix in [" reason=", "="] where name.hasSuffix(suffix) { name.removeLast(suffix.count) }
    var text = parts.count > 1 ? String(parts[1].dropLast()) : ""
    if name.hasSuffix("=cr") { text = "\r" }
    if name.hasSuffix("=lf") { text = "\n" }
    if name.hasPrefix("span["), let end = name.firstIndex(of: "]") { name = String(name[...end]) }
    return Event(offset: offset, length: length ?? 0, name: name, text: text)
  }
}
