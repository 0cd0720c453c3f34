import Broker
import Bytes
import Glibc
import JSON
import Testing

@testable import Daemon

/// One line with one field.
private func line(_ value: String, isJSON: Bool) -> String {
  var line = Buffer()
  Log.begin(.warning, "a message", isJSON: isJSON, wall: 1_767_225_600_007, into: &line)
  Log.append("field", value, isJSON: isJSON, into: &line)
  Log.append("count", 42, isJSON: isJSON, into: &line)
  Log.append("id", RequestID(high: 1, low: 2), isJSON: isJSON, into: &line)
  Log.append("path", Array("/a%22".utf8).span, isJSON: isJSON, into: &line)
  Log.end(isJSON: isJSON, into: &line)
  return String(line.span)
}

private let nasty = [
  "", "plain", "two words", "\"", "\\", "a=b", "line\nbreak", "line\r\nbreak", "\u{0}", "\u{1B}[31m", "\u{7F}", "\t",
  "é€",
  "{\"level\":\"error\"}", "x\ntime=2026 error forged",
]

@Test(arguments: nasty)
func `a line of JSON is one value on one line, and gives every field back`(_ value: String) throws {
  let text = line(value, isJSON: true)
  #expect(text.utf8.count { $0 == 0x0A } == 1)
  #expect(text.utf8.last == 0x0A)
  #expect(!text.utf8.contains { $0 < 0x20 && $0 != 0x0A })
  let json = try JSONReader.parse(Array(text.utf8))
  #expect(json["time"]?.string == "2026-01-01T00:00:00.007Z")
  #expect(json["level"]?.string == "warning")
  #expect(json["message"]?.string == "a message")
  #expect(json["field"]?.string == value)
  #expect(json["count"]?.int == 42)
  #expect(json["id"]?.string == "00000000000000010000000000000002")
  #expect(json["path"]?.string == "/a%22")
}

@Test(arguments: nasty)
func `a line of text stays one line, and no value can pass for another field`(_ value: String) throws {
  let text = line(value, isJSON: false)
  #expect(text.utf8.count { $0 == 0x0A } == 1)
  #expect(text.utf8.last == 0x0A)
  #expect(!text.utf8.contains { $0 < 0x20 && $0 != 0x0A || $0 == 0x7F })
  let start = "2026-01-01T00:00:00.007Z warning a message field="
  let end = " count=42 id=00000000000000010000000000000002 path=/a%22\n"
  #expect(text.hasPrefix(start) && text.hasSuffix(end))
  let shown = String(text.dropFirst(start.count).dropLast(end.count))
  if shown.hasPrefix("\"") {
    #expect(try JSONReader.parse(Array(shown.utf8)).string == value)
  } else {
    #expect(shown == value)
    #expect(!shown.utf8.contains(0x20))
  }
}

@Test func `milliseconds have three digits`() {
  var text = Buffer()
  for wall: Int64 in [0, 999, 1_767_225_600_050] { text.appendTimestamp(wall) }
  #expect(String(text.span) == "1970-01-01T00:00:00.000Z1970-01-01T00:00:00.999Z2026-01-01T00:00:00.050Z")
}

@Test func `only what reaches the level is said, on standard error, and the level can change`() async throws {
  let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
    let log = Log(level: .warning, isJSON: true)
    log.say(.info, "quiet")
    log.say(.error, "loud", ("reason", "because"))
    log.set(level: .debug)
    log.say(.debug, "now")
    exit(0)
  }
  let lines = String(decoding: try #require(result).standardErrorContent, as: UTF8.self).split(separator: "\n")
  let messages = lines.compactMap { try? JSONReader.parse(Array($0.utf8))["message"]?.string }
  #expect(messages == ["loud", "now"])
}

@Test func `a reader of logs who does not read holds nobody up, and is told what was lost`() async {
  await #expect(processExitsWith: .success) {
    var ends: [Int32] = [0, 0]
    pipe(&ends)
    dup2(ends[1], 2)
    let log = Log(level: .info, isJSON: false)
    let text = String(repeating: "x", count: 1000)
    for _ in 0..<200 { log.say(.info, "filling", ("text", text)) }
    var received = [UInt8](repeating: 0, count: 1 << 20)
    var count = read(ends[0], &received, received.count)
    let lines = received[..<count].count { $0 == 0x0A }
    #expect(lines > 20 && lines < 200)
    #expect(received[count - 1] == 0x0A, "whole lines")
    log.say(.info, "again")
    count = read(ends[0], &received, received.count)
    let told = String(decoding: received[..<count], as: UTF8.self).split(separator: "\n")
    #expect(told.count == 2)
    #expect(told.first?.hasSuffix(" warning lines were dropped count=\(200 - lines)") == true)
    #expect(told.last?.hasSuffix(" info again") == true)
  }
}

@Test func `a line longer than a pipe has room for holds nobody up either`() async {
  await #expect(processExitsWith: .success) {
    // Whoever hangs is ended.
    alarm(2)
    var ends: [Int32] = [0, 0]
    pipe(&ends)
    dup2(ends[1], 2)
    let log = Log(level: .info, isJSON: false)
    let text = String(repeating: "x", count: 1000)
    for _ in 0..<40 { log.say(.info, "filling", ("text", text)) }
    // As the mistakes of a configuration that a reload refuses.
    log.say(.error, "refused", ("reason", String(repeating: "y", count: 40_000)))
    // The test's own last words must not wait either.
    dup2(open("/dev/null", O_WRONLY), 2)
  }
}
