import Testing

@testable import JSON

@Suite struct SourceTests {
  /// The place of each decoded byte of the string, by scanning; the last is the closing quote.
  @Test(arguments: [
    (#"["ab"]"#, [2, 3, 4]),
    (#"["a\nb"]"#, [2, 3, 5, 6]),
    (#"["\u0041b"]"#, [2, 8, 9]),
    (#"["é\u00e9x"]"#, [2, 3, 4, 4, 10, 11]),
    (#"["\ud83d\ude00x"]"#, [2, 2, 2, 2, 14, 15]),
    (#"["\u20ac"]"#, [2, 2, 2, 8]),
  ]) func `a place inside a string is found in its source`(text: String, offsets: [Int]) throws {
    let source = Source(file: "f", bytes: Array(text.utf8))
    let value = try #require(try JSONReader.parse(source.bytes).array?.first)
    let count = try #require(value.string?.utf8.count)
    #expect((0...count).map { source.offset(in: value, decoded: $0) } == offsets)
  }

  @Test func `a diagnostic shows the line and points at the fault`() {
    let source = Source(file: "a.jsonc", bytes: Array("{\n\t\"é\": \"upsteam\", // x\r\n}".utf8))
    let diagnostic = source.diagnostic("wrong", at: 9, count: 9, help: "did you mean \"upstream\"?")
    #expect(
      diagnostic.rendered == """
        a.jsonc:2:7: error: wrong
          \t"é": "upsteam", // x
          \t     ^~~~~~~~~
          help: did you mean "upstream"?
        """)
  }

  @Test func `at the end of the text the caret stands behind it`() {
    let source = Source(file: "a", bytes: Array("[1".utf8))
    #expect(source.diagnostic("cut", at: 2).rendered == "a:1:3: error: cut\n  [1\n    ^")
    #expect(Source(file: "a", bytes: []).diagnostic("empty", at: 0).rendered == "a:1:1: error: empty\n  \n  ^")
  }

  @Test func `a fault does not run past its line`() {
    let source = Source(file: "a", bytes: Array("[1,\n2]".utf8))
    #expect(source.diagnostic("wide", at: 1, count: 100).rendered == "a:1:2: error: wide\n  [1,\n   ^~")
  }

  @Test func `masked bytes are not shown wherever the fault is`() {
    var source = Source(file: "a", bytes: Array("{\"token\": \"hunter2\", \"x\": 1}".utf8))
    source.masked = [11..<18]
    let shown = "{\"token\": \"•••\", \"x\": 1}"
    for offset in 0..<source.bytes.count {
      for count in 1..<12 {
        #expect(source.diagnostic("m", at: offset, count: count).sourceLine.contains("unter") == false)
      }
    }
    let before = source.diagnostic("m", at: 1, count: 7)
    #expect(before.sourceLine == shown)
    let secret = source.diagnostic("m", at: 10, count: 9)
    #expect(secret.rendered == "a:1:11: error: m\n  \(shown)\n            ^~~~~")
    let after = source.diagnostic("m", at: 21, count: 3)
    #expect(after.rendered == "a:1:22: error: m\n  \(shown)\n                   ^~~")
  }

  @Test func `control characters and endless lines do not reach a terminal`() {
    let control = Source(file: "a", bytes: Array("\u{1B}[31m".utf8))
    #expect(control.diagnostic("m", at: 0).sourceLine == "\u{FFFD}[31m")
    let long = Source(file: "a", bytes: [UInt8](repeating: 0x20, count: 100_000))
    let line = long.diagnostic("m", at: 50_000, count: 10_000).sourceLine
    #expect(line.unicodeScalars.count < 400)
  }
}
