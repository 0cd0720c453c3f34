import Foundation
import Testing

/// One input of `Tests/Vectors/http` with what is expected of it; see the README there for the format.
struct Vector: Sendable, CustomTestStringConvertible {
  var file: String
  var line: Int
  var row: Int
  var title: String
  /// The value written in place of `<>`.
  var value: String?
  var isResponse = false
  var isHEAD = false
  var endsInput = false
  var input: [UInt8]
  var expected: [[UInt8]]

  var testDescription: String {
    "\(file.prefix(1))\(row) \(title)" + (value.map { " [\($0.prefix(60))]" } ?? "") + " (\(file):\(line))"
  }

  static let all: [Vector] = {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Vectors/http")
    let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return files.filter { $0.hasSuffix(".md") && $0 != "README.md" }.sorted().flatMap { file in
      read((try? String(contentsOf: folder.appending(path: file), encoding: .utf8)) ?? "", file)
    }
  }()

  private struct Fence {
    var info: [Substring]
    var line: Int
    var lines: [Substring] = []
  }

  private static func read(_ text: String, _ file: String) -> [Vector] {
    var vectors: [Vector] = []
    var row = 0
    var title = ""
    var fence: Fence?
    var input: Fence?
    var values: [Substring]?
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      if line.hasPrefix("```") {
        guard let closed = fence else {
          fence = Fence(info: line.dropFirst(3).split(separator: " "), line: index + 1)
          continue
        }
        fence = nil
        switch closed.info.first {
        case "http", "response": input = closed
        case "values": values = closed.lines
        case "expect":
          guard let source = input else {
            preconditionFailure("\(file):\(closed.line): an expectation without an input")
          }
          for value in values.map({ $0.map(Optional.some) }) ?? [nil] {
            vectors.append(
              Vector(
                file: file, line: source.line, row: row, title: title, value: value.map(String.init),
                isResponse: source.info.first == "response", isHEAD: source.info.contains("HEAD"),
                endsInput: source.info.contains("eof"), input: bytes(source.lines, value),
                expected: closed.lines.map { expand($0) }))
          }
          input = nil
          values = nil
        default: preconditionFailure("\(file):\(closed.line): an unknown fence")
        }
      } else if fence != nil {
        fence?.lines.append(line)
      } else if line.hasPrefix("## ") {
        let words = line.dropFirst(3).split(separator: " ", maxSplits: 1)
        row = Int(words[0]) ?? -1
        title = String(words[1])
      }
    }
    precondition(input == nil && fence == nil, "\(file): an input without an expectation")
    return vectors
  }

  private static func bytes(_ lines: [Substring], _ value: Substring?) -> [UInt8] {
    lines.flatMap { line in
      var text = String(line)
      if let value { text = text.replacing("<>", with: value) }
      let continues = text.reversed().prefix { $0 == "\\" }.count % 2 == 1
      if continues { text.removeLast() }
      return expand(text[...]) + (continues ? [] : [0x0D, 0x0A])
    }
  }

  /// `\r \n \t \0 \\ \xHH` and `{3*text}`.
  static func expand(_ text: Substring) -> [UInt8] {
    var rest = Array(text.utf8)[...]
    return expand(&rest, nested: false)
  }

  private static func expand(_ rest: inout ArraySlice<UInt8>, nested: Bool) -> [UInt8] {
    var out: [UInt8] = []
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "}") where nested: return out
      case UInt8(ascii: "{"):
        let digits = rest.prefix { $0 >= 0x30 && $0 <= 0x39 }
        guard let count = Int(String(decoding: digits, as: UTF8.self)),
          rest.dropFirst(digits.count).first == UInt8(ascii: "*")
        else {
          out.append(byte)
          continue
        }
        rest = rest.dropFirst(digits.count + 1)
        let repeated = expand(&rest, nested: true)
        for _ in 0..<count { out += repeated }
      case UInt8(ascii: "\\"):
        switch rest.popFirst() {
        case UInt8(ascii: "r"): out.append(0x0D)
        case UInt8(ascii: "n"): out.append(0x0A)
        case UInt8(ascii: "t"): out.append(0x09)
        case UInt8(ascii: "0"): out.append(0)
        case UInt8(ascii: "\\"): out.append(0x5C)
        case UInt8(ascii: "x"):
          guard let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
            preconditionFailure("a bad escape")
          }
          rest = rest.dropFirst(2)
          out.append(value)
        default: preconditionFailure("a bad escape")
        }
      default: out.append(byte)
      }
    }
    return out
  }
}
