import Connector
import Foundation
import JSON
import Testing

/// `Tests/Vectors/connector/diagnostics.md`: a fenced connector, and fenced what is said about it.
@Suite struct DiagnosticTests {
  struct Case {
    var line: Int
    var title: String
    var connector: String
    var expected: String
  }

  static func cases() throws -> [Case] {
    var cases: [Case] = []
    var fences: [(language: String, line: Int, text: String)] = []
    var title = ""
    var open: (language: String, line: Int, text: String)?
    let document = String(decoding: try Bench.file("Tests/Vectors/connector/diagnostics.md"), as: UTF8.self)
    for (index, line) in document.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      if line.hasPrefix("## ") { title = String(line.dropFirst(3)) }
      if line.hasPrefix("```"), let fence = open {
        fences.append(fence)
        open = nil
        if fence.language == "text", fences.count == 2 {
          cases.append(Case(line: fences[0].line, title: title, connector: fences[0].text, expected: fence.text))
          fences = []
        }
      } else if line.hasPrefix("```") {
        open = (String(line.dropFirst(3)), index + 1, "")
      } else {
        open?.text += line + "\n"
      }
    }
    return cases
  }

  @Test func `every mistake is told at its place`() throws {
    let cases = try DiagnosticTests.cases()
    #expect(cases.count >= 40)
    for item in cases {
      let (connector, diagnostics) = Connector.compile(source: Array(item.connector.utf8), file: "acme.jsonc")
      let said = diagnostics.map { $0.rendered + "\n" }.joined()
      #expect(said == item.expected, "diagnostics.md:\(item.line): \(item.title)\n\(said)")
      let isWrong = diagnostics.contains { $0.severity == .error }
      #expect((connector == nil) == isWrong, "diagnostics.md:\(item.line): \(item.title)")
    }
  }
}
