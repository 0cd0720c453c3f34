import Broker
import Bytes
import HTTP
import Net

/// What is logged of an exchange: never a query, a header or a body.
struct Record {
  /// Microseconds of the monotonic clock at the first byte of the request.
  var started: UInt64 = 0
  /// In `X-Request-Id` and in a problem's `instance`.
  var id: RequestID
  var route: String?
  var method = 0..<0
  var path = 0..<0
  var status = 0
  var upstreamStatus = 0
  var problem: Problem?
  var bytesIn: UInt64 = 0
  var bytesOut: UInt64 = 0
  var isReused = false
  /// The client went away before it had its answer.
  var isAborted = false

  init(id: RequestID, started: UInt64) {
    self.id = id
    self.started = started
  }
}

extension Exchange {
  /// Counts the exchange, and writes its line.
  func writeRecord() {
    let duration = Clock.microseconds() &- record.started
    worker.count(record, state: state, duration: duration)
    worker.logLine { line, isJSON, wall in
      Log.begin(.info, "exchange", isJSON: isJSON, wall: wall, into: &line)
      Log.append("id", record.id, isJSON: isJSON, into: &line)
      if let route = record.route { Log.append("route", route, isJSON: isJSON, into: &line) }
      if !record.method.isEmpty {
        headBytes.withSpan { head in
          Log.append("method", head.extracting(record.method), isJSON: isJSON, into: &line)
          Log.append("path", head.extracting(record.path), isJSON: isJSON, into: &line)
        }
      }
      if record.status > 0 { Log.append("status", record.status, isJSON: isJSON, into: &line) }
      if record.upstreamStatus > 0, record.upstreamStatus != record.status {
        Log.append("upstream_status", record.upstreamStatus, isJSON: isJSON, into: &line)
      }
      if let problem = record.problem { Log.append("error", problem.code.rawValue, isJSON: isJSON, into: &line) }
      if record.isAborted { Log.append("aborted", "client", isJSON: isJSON, into: &line) }
      if let uid = client?.peer.uid { Log.append("uid", Int(uid), isJSON: isJSON, into: &line) }
      Log.append("bytes_in", Int(record.bytesIn), isJSON: isJSON, into: &line)
      Log.append("bytes_out", Int(record.bytesOut), isJSON: isJSON, into: &line)
      Log.append("duration_us", Int(duration), isJSON: isJSON, into: &line)
      if record.isReused { Log.append("reused", 1, isJSON: isJSON, into: &line) }
      Log.end(isJSON: isJSON, into: &line)
    }
  }
}

extension Log {
  static func append(_ name: StaticString, _ number: Int, isJSON: Bool, into line: inout Buffer) {
    appendName(name, isJSON: isJSON, into: &line)
    line.appendDecimal(number)
  }

  static func append(_ name: StaticString, _ id: RequestID, isJSON: Bool, into line: inout Buffer) {
    appendName(name, isJSON: isJSON, into: &line)
    if isJSON { line.append("\"") }
    line.append(id)
    if isJSON { line.append("\"") }
  }

  /// - Parameter text: visible ASCII, as a valid target and a valid method are; it may hold `"` or `\` only if escaped.
  static func append(_ name: StaticString, _ text: Span<UInt8>, isJSON: Bool, into line: inout Buffer) {
    appendName(name, isJSON: isJSON, into: &line)
    if isJSON { line.append("\"") }
    line.append(text.extracting(0..<min(text.count, longestText)))
    if text.count > longestText { line.append("...") }
    if isJSON { line.append("\"") }
  }

  private static func appendName(_ name: StaticString, isJSON: Bool, into line: inout Buffer) {
    line.append(isJSON ? ",\"" : " ")
    line.append(name)
    line.append(isJSON ? "\":" : "=")
  }
}
