import Foundation
import Support
import Testing

/// Our verdict beside llhttp's. The cases in which they are not the same are in `Tests/Vectors/llhttp/differences.md`.
@Suite struct LLHTTPTests {
  @Test func `the bytes of every case are those that llhttp speaks of`() {
    #expect(LLHTTPCase.all.count == 272)
    for example in LLHTTPCase.all {
      for event in example.log where event.length > 0 {
        let start = event.offset ?? 0
        let found = example.input.dropFirst(start).prefix(event.length)
        #expect(found.elementsEqual(LLHTTPTests.unescaped(event.text)), "\(example.place): \(event)")
      }
    }
  }

  @Test func `we differ from llhttp exactly where the list says, by a row of the rules`() throws {
    let file = LLHTTPCase.directory.appending(path: "differences.md")
    let listed = try Differences(String(contentsOf: file, encoding: .utf8))
    var found: [String: String] = [:]
    for example in LLHTTPCase.all {
      if let difference = LLHTTPComparison(example).difference { found[example.place] = difference }
    }
    for (place, difference) in found {
      let line = "- \(place): \(difference)"
      guard let entry = listed.entries[place] else {
        Issue.record("not listed: \(line)")
        continue
      }
      #expect(entry.text == difference, "\(line)")
      #expect(Differences.rows(difference).contains(entry.row), "row \(entry.row) does not decide \(line)")
    }
    for place in listed.entries.keys where found[place] == nil { Issue.record("no difference: \(place)") }
  }

  /// Row 43: nearly all of llhttp's requests come without a Host, which the comparison gives them.
  @Test func `none of these requests is read without a Host`() {
    for example in LLHTTPCase.all where example.kind == .request {
      let lines = Reading(example.vector(input: example.input), example.input, cuts: [example.input.count]).lines
      let requests = lines.filter { $0.starts(with: "request ".utf8) }.count
      #expect(lines.filter { $0.starts(with: "host ".utf8) }.count == requests)
    }
  }

  @Test(arguments: LLHTTPCase.all) func `a case of llhttp reads the same however it is cut`(_ example: LLHTTPCase) {
    let comparison = LLHTTPComparison(example)
    let (vector, count) = (comparison.vector, comparison.vector.input.count)
    guard count > 0 else { return }
    let page = GuardPage()
    let whole = Reading(vector, vector.input, cuts: [count])
    #expect(Reading(vector, vector.input, cuts: 1...count, on: page).lines == whole.lines)
    for cut in 1..<max(count, 2) {
      #expect(Reading(vector, vector.input, cuts: [cut, count], on: page).lines == whole.lines, "cut at \(cut)")
    }
  }

  private static func unescaped(_ text: String) -> [UInt8] {
    let controls = ["\\r": "\r", "\\n": "\n", "\\t": "\t", "\\f": "\u{C}"]
    return Array(controls.reduce(text) { $0.replacing($1.key, with: $1.value) }.utf8)
  }
}

/// The list: under each heading, which begins with the number of a row, the cases that it decides.
private struct Differences {
  private(set) var entries: [String: (row: Int, text: String)] = [:]

  init(_ text: String) {
    var row = 0
    for line in text.split(separator: "\n") {
      if line.hasPrefix("## ") {
        row = line.dropFirst(3).split(separator: " ").first.flatMap { Int($0) } ?? 0
      } else if line.hasPrefix("- ") {
        let parts = line.dropFirst(2).split(separator: ": ", maxSplits: 1)
        guard parts.count == 2 else { continue }
        #expect(entries[String(parts[0])] == nil, "\(parts[0]) is listed twice")
        entries[String(parts[0])] = (row, String(parts[1]))
      }
    }
  }

  /// The rows that can decide so.
  static func rows(_ difference: String) -> Set<Int> {
    deciding.reduce(into: []) { if difference.contains($1.key) { $0.formUnion($1.value) } }
  }

  private static let deciding: [String: Set<Int>] = [
    "emptyLine": [1], "bareLineFeed": [2, 57, 119], "bareCarriageReturn": [3, 56],
    "badTarget": [7, 25, 30, 31, 33], "badVersion": [2, 8, 13], "versionNotSupported": [9, 10],
    "here it is read": [20, 118], "the rest is": [22, 104], "badHost": [29, 46],
    "whitespaceBeforeColon": [48], "foldedLine": [49, 50, 119], "badFieldValue": [55, 58],
    "badLength": [69, 70, 71, 72], "messages; here": [74], "badTransferEncoding": [79, 81, 82, 84, 115],
    "transferEncodingNotSupported": [80], "badChunkSize": [88, 90], "badChunkEnd": [94], "badTrailer": [98, 99],
    "badStatusLine": [117], "the fields read otherwise": [118], "unexpectedBody": [121, 122], "surplus": [124, 128],
  ]
}
