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

  /// Bytes of a path that a line holds: with the rest of it that is less than what a pipe takes whole.
  static let longestText = 2048

  typealias Field = (name: StaticString, value: String)

  let isJSON: Bool
  private let threshold: Atomic<Int>
  /// Held while writing, so that of two loops that see room one takes it.
  private let writing = Lock(Writing())

  private struct Writing {
    /// Lines that were not taken since the last that was.
    var dropped = 0
    /// The last line ended in its middle.
    var isCut = false
  }

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
    write(&line)
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

  /// Writes whole lines, as long as standard error takes them at once: nobody's request waits for a reader of logs.
  /// What it does not take is dropped and counted, and the count is told when there is room again.
  func write(_ lines: inout Buffer) {
    writing.withLock { state in
      while !lines.isEmpty {
        let count = lines.withSpan { Log.wholeLines($0) }
        let isTaken = tellOfDropped(&state) && lines.withSpan { Log.offer($0.extracting(0..<count), &state) }
        guard isTaken else {
          state.dropped += lines.withSpan { Log.lineCount($0) }
          break
        }
        lines.consume(count)
      }
    }
    lines.clear()
  }

  /// Says how many lines are missing, if any are. False while there is no room even for that.
  private func tellOfDropped(_ state: inout Writing) -> Bool {
    guard state.dropped > 0 else { return true }
    var line = Buffer(capacity: 128)
    Log.begin(.warning, "lines were dropped", isJSON: isJSON, wall: Clock.wallMilliseconds(), into: &line)
    Log.append("count", state.dropped, isJSON: isJSON, into: &line)
    Log.end(isJSON: isJSON, into: &line)
    guard line.withSpan({ Log.offer($0, &state) }) else { return false }
    state.dropped = 0
    return true
  }

  /// Writes as much as is taken without waiting: what polls writable takes `atomicWrite` bytes, once. A line that is cut
  /// so is ended before the next.
  private static func offer(_ bytes: Span<UInt8>, _ state: inout Writing) -> Bool {
    let end: [UInt8] = [0x0A]
    if state.isCut {
      guard offer(end.span) == 1 else { return false }
      state.isCut = false
    }
    var sent = 0
    while sent < bytes.count {
      let count = offer(bytes.extracting(sent..<min(sent + atomicWrite, bytes.count)))
      guard count > 0 else {
        state.isCut = sent > 0
        return false
      }
      sent += count
    }
    return true
  }

  private static func offer(_ bytes: Span<UInt8>) -> Int {
    var interest = pollfd(fd: 2, events: Int16(POLLOUT), revents: 0)
    guard unsafe poll(&interest, 1, 0) == 1 else { return 0 }
    return unsafe bytes.withUnsafeBytes { unsafe Glibc.write(2, $0.baseAddress, $0.count) }
  }

  private static let atomicWrite = 4096

  /// The bytes of as many lines as go into one write.
  private static func wholeLines(_ bytes: Span<UInt8>) -> Int {
    guard bytes.count > atomicWrite else { return bytes.count }
    var end = atomicWrite
    while end > 0, bytes[end - 1] != 0x0A { end -= 1 }
    return end > 0 ? end : min(bytes.count, (bytes.firstOffset(of: 0x0A) ?? bytes.count - 1) + 1)
  }

  private static func lineCount(_ bytes: Span<UInt8>) -> Int {
    var count = 0
    for index in bytes.indices where bytes[index] == 0x0A { count += 1 }
    return count
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
