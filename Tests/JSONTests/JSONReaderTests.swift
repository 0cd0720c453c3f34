import Bytes
import Testing

@testable import JSON

/// The text read and written again, or `line:column message` of the error.
func read(_ text: String, _ dialect: JSONDialect = .strict, _ limits: JSONLimits = JSONLimits()) -> String {
  read(bytes: Array(text.utf8), dialect, limits)
}

func read(bytes: [UInt8], _ dialect: JSONDialect = .strict, _ limits: JSONLimits = JSONLimits()) -> String {
  do {
    var buffer = Buffer()
    buffer.appendJSON(try JSONReader.parse(bytes, dialect: dialect, limits: limits))
    return String(buffer.span)
  } catch {
    return "\(error.position.lineAndColumn) \(error.message)"
  }
}

@Suite struct JSONReaderTests {
  @Test(arguments: [
    "null", "true", "false", "0", "-0", "10", "-1.5e+10", "1E5", "0.1", "\"\"", "[]", "{}", "[1,2,[3]]",
    "{\"a\":1,\"A\":2,\"\":null}", "\"é€😀\"", "[[],{},\"\",0]", "123456789012345678901234567890",
  ]) func `what the RFC allows is read, and written as it was`(text: String) {
    #expect(read(text) == text)
    #expect(read(" \t\r\n" + text + "\n", .jsonc) == text)
  }

  @Test(arguments: [
    (#""\u0041\u00e9\u20AC\ud83d\ude00""#, "\"Aé€😀\""), (#""\"\\\/\b\f\n\r\t""#, #""\"\\/\u0008\u000c\n\r\t""#),
    (#""\u0000""#, #""\u0000""#), ("[ 1 , 2 ]", "[1,2]"),
  ]) func `escapes mean their characters`(text: String, expected: String) {
    #expect(read(text) == expected)
  }

  static let refused: [(String, String)] = [
    ("", "1:1 expected a value, found the end"),
    ("[", "1:1 this \"[\" is never closed"),
    ("{\n \"a\": [1, 2\n}", "2:11 expected \",\" or \"]\" after this value"),
    ("{\"a\":1", "1:1 this \"{\" is never closed"),
    ("[1 2]", "1:2 expected \",\" or \"]\" after this value"),
    ("[1,,2]", "1:4 expected a value"),
    ("[,1]", "1:2 expected a value"),
    ("[1,]", "1:3 a comma before the closing bracket is not allowed"),
    ("{\"a\":1,}", "1:7 a comma before the closing bracket is not allowed"),
    ("{\"a\" 1}", "1:2 expected \":\" and a value after this key"),
    ("{a:1}", "1:2 a key stands in double quotes"),
    ("{'a':1}", "1:2 strings stand in double quotes"),
    ("{1:1}", "1:2 a key stands in double quotes"),
    ("{,}", "1:2 expected a key in double quotes"),
    ("'a'", "1:1 strings stand in double quotes"),
    ("True", "1:1 this is not a value"),
    ("nul", "1:1 this is not a value"),
    ("NaN", "1:1 this is not a value"),
    ("01", "1:1 this is not a number"),
    ("-01", "1:1 this is not a number"),
    ("+1", "1:1 expected a value"),
    ("1.", "1:1 this is not a number"),
    (".5", "1:1 expected a value"),
    ("1e", "1:1 this is not a number"),
    ("-", "1:1 this is not a number"),
    ("0x10", "1:1 this is not a number"),
    ("30s", "1:1 this is not a number"),
    ("1 1", "1:3 text after the end of the value"),
    ("[1]]", "1:4 text after the end of the value"),
    ("\"abc", "1:1 this string is never closed"),
    ("\"abc\n\"", "1:1 this string is not closed on its line"),
    ("\"a\tb\"", "1:3 a control character in a string is written as an escape"),
    (#""\x""#, "1:2 unknown escape in a string"),
    (#""é\""#, "1:1 this string is never closed"),
    (#""é\q""#, "1:3 unknown escape in a string"),
    (#""\u12g4""#, "1:2 \\u needs four hexadecimal digits"),
    (#""\ud83d""#, "1:2 half of a surrogate pair is no character"),
    (#""\ude00\ud83d""#, "1:2 half of a surrogate pair is no character"),
    (#""\ud83d\u0041""#, "1:2 half of a surrogate pair is no character"),
    ("{\"a\":1,\n  \"a\":2}", "2:3 the key \"a\" is already there at 1:2"),
    ("[1] // no", "1:5 comments are not allowed in strict JSON"),
    ("/* no */ 1", "1:1 comments are not allowed in strict JSON"),
    ("\u{FEFF}1", "1:1 a byte order mark is not allowed"),
    ("\u{00A0}1", "1:1 this is not a value"),
  ]

  @Test(arguments: refused) func `what the RFC does not allow is refused with its place`(text: String, error: String) {
    #expect(read(text) == error)
  }

  @Test(arguments: [
    ("// a\n[1, /* b */ 2,] // c", "[1,2]"), ("{\"a\": 1, // x\n}", "{\"a\":1}"), ("/**/1/***/", "1"),
    ("[\"// text\", \"/* text */\"]", "[\"// text\",\"/* text */\"]"), ("/* \n */ x", "2:5 this is not a value"),
    ("/* 1", "1:1 this comment is never closed"), ("1 /", "1:3 a stray \"/\""),
    ("/*/ 1", "1:1 this comment is never closed"),
    ("[,]", "1:2 expected a value"), ("[1,,]", "1:4 expected a value"), ("{,}", "1:2 expected a key in double quotes"),
  ]) func `people may write comments and trailing commas`(text: String, expected: String) {
    #expect(read(text, .jsonc) == expected)
  }

  @Test(
    arguments: [
      [0x22, 0xFF, 0x22], [0x22, 0xC0, 0xAF, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22],
      [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22],
      [0x22, 0xC3, 0x22],
    ] as [[UInt8]]) func `what is not UTF-8 is refused`(bytes: [UInt8])
  {
    #expect(read(bytes: bytes) == "1:2 this is not UTF-8")
  }

  @Test func `depth and size have limits`() {
    let deep = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
    #expect(read(deep) == deep)
    #expect(read("[" + deep + "]") == "1:65 more than 64 levels deep")
    #expect(read(String(repeating: "{\"a\":", count: 100_000)) == "1:321 more than 64 levels deep")
    #expect(read("[1,2]", .strict, JSONLimits(bytes: 4)) == "1:1 longer than the 4 bytes allowed")
  }

  @Test func `keys are compared as bytes`() {
    #expect(read("{\"\u{E9}\":1,\"e\u{301}\":2}") == "{\"\u{E9}\":1,\"e\u{301}\":2}")
    #expect(read("{\"a\":1,\"\\u0061\":2}") == "1:8 the key \"a\" is already there at 1:2")
  }

  @Test func `every value and key knows its place`() throws {
    let value = try JSONReader.parse(Array("{\n  \"é\": [1,\n \"😀\" , true]\n}".utf8))
    let member = try #require(value.members?.first)
    let elements = try #require(member.value.array)
    #expect(value.position == Position(offset: 0, line: 1, column: 1))
    #expect(member.keyPosition == Position(offset: 4, line: 2, column: 3))
    #expect(member.keySourceCount == 4)
    #expect(member.value.position == Position(offset: 10, line: 2, column: 8))
    #expect(elements.map(\.position.lineAndColumn) == ["2:9", "3:2", "3:8"])
    #expect(elements.map(\.sourceCount) == [1, 6, 4])
  }

  @Test func `values answer only for their own kind`() throws {
    let value = try JSONReader.parse(Array("{\"a\":-12,\"b\":1e2,\"c\":\"1\",\"d\":true,\"e\":null}".utf8))
    #expect(value["a"]?.int == -12)
    #expect(value["b"]?.int == nil)
    #expect(value["c"]?.int == nil)
    #expect(value["c"]?.string == "1")
    #expect(value["d"]?.bool == true)
    #expect(value["e"]?.string == nil)
    #expect(value["f"] == nil)
    #expect(value.kindName == "an object")
  }

  @Test func `a file is read past its duplicate keys but not past bad syntax`() {
    let source = Source(file: "f", bytes: Array("{\"a\":1,\"a\":2,\"b\":3,\"b\":4}".utf8))
    let (value, diagnostics) = JSONReader.read(source)
    #expect(value?["b"]?.int == 3)
    #expect(diagnostics.map(\.position.column) == [8, 20])
    let broken = JSONReader.read(Source(file: "f", bytes: Array("{\"a\":1,\"a\":2,".utf8)))
    #expect(broken.value == nil)
    #expect(broken.diagnostics.count == 2)
  }
}
