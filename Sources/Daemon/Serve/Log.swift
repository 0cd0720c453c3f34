import Bytes
import Glibc
import JSON
import Net
import Synchronization

/// What the daemon says of itself, a line each, on standard error. Messages are constants; what varies is in the fields.
///
/// Text on a terminal, JSON otherwise. Nothing here is ever given a secret: fields are names, paths, codes and numbers.
final class Log: Sendable {
  enum Level: Int, Sendable, Comparable {
    case debug, info, warning, error

    static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }

    var name: StaticString {
      switch self {
      case .debug: "debug"
      case .info: "info"
      case .warning: "warning"
      case .error: "error"
      }
    }
  }

  typealias Field = (name: StaticString, value: String)

  let isJSON: Bool
  private let threshold: Atomic<Int>

  init(level: Level, isJSON: Bool) {
    threshold = Atomic(level.rawValue)
    self.isJSON = isJSON
  }

  /// Changes what is worth saying, after a reload.
  func set(level: Level) { threshold.store(level.rawValue, ordering: .relaxed) }

  func isOn(_ level: Level) -> Bool { level.rawValue >= threshold.load(ordering: .relaxed) }

  func say(_ level: Level, _ message: StaticString, _ fields: Field...) {
    guard isOn(level) else { return }
    var line = Buffer(capacity: 256)
    Log.begin(level, message, isJSON: isJSON, wall: Clock.wallMilliseconds(), into: &line)
    for field in fields { Log.append(field.name, field.value, isJSON: isJSON, into: &line) }
    Log.end(isJSON: isJSON, into: &line)
    Log.write(&line)
  }

  // MARK: One line

  static func begin(_ level: Level, _ message: StaticString, isJSON: Bool, wall: Int64, into line: inout Buffer) {
    line.append(isJSON ? "{\"time\":\"" : "")
    line.appendTimestamp(wall)
    if isJSON {
      line.append("\",\"level\":\"")
      line.append(level.name)
      line.append("\",\"message\":\"")
      line.append(message)
      line.append("\"")
    } else {
      line.append(" ")
      line.append(level.name)
      line.append(" ")
      line.append(message)
    }
  }

  static func append(_ name: StaticString, _ value: String, isJSON: Bool, into line: inout Buffer) {
    if isJSON {
      line.append(",\"")
      line.append(name)
      line.append("\":")
      line.appendJSON(value)
    } else {
      line.append(" ")
      line.append(name)
      line.append("=")
      // A value with a blank or a control character is quoted, so that a line stays one line.
      if value.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F || $0 == 0x22 }) || value.isEmpty {
        line.appendJSON(value)
      } else {
        line.append(value)
      }
    }
  }

  static func end(isJSON: Bool, into line: inout Buffer) { line.append(isJSON ? "}\n" : "\n") }

  /// Writes whole lines; what standard error does not take is dropped rather than waited for without end.
  static func write(_ lines: inout Buffer) {
    while !lines.isEmpty {
      let count = unsafe lines.span.withUnsafeBytes { unsafe Glibc.write(2, $0.baseAddress, $0.count) }
      if count > 0 { lines.consume(count) } else if errno != EINTR { break }
    }
    lines.clear()
  }
}

extension Buffer {
  /// `2026-11-21T10:00:00.123Z`.
  mutating func appendTimestamp(_ wall: Int64) {
    appendISO8601(wall / 1000)
    truncate(to: count - 1)
    append(".")
    let fraction = wall % 1000
    append(UInt8(48 + fraction / 100))
    append(UInt8(48 + fraction / 10 % 10))
    append(UInt8(48 + fraction % 10))
    append("Z")
  }
}
