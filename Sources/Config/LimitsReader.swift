import JSON

/// Reads the top level's "limits".
struct LimitsReader {
  let report: Report

  init(_ report: Report) {
    self.report = report
  }

  func read(_ member: JSONMember) -> Configuration.Limits? {
    guard var section = Section(member, title: "\"limits\"", report) else { return nil }
    var limits = Configuration.Limits()
    number("connections", in: 1...1_000_000, of: &section, into: &limits.connections)
    number("connections_per_caller", in: 1...1_000_000, of: &section, into: &limits.connectionsPerCaller)
    size("head", in: 1 << 10...1 << 20, of: &section, into: &limits.head)
    size("buffered", in: 64 << 10...64 << 30, of: &section, into: &limits.buffered)
    number("fields", in: 1...10_000, of: &section, into: &limits.fields)
    size("field", in: 64...1 << 20, of: &section, into: &limits.field)
    size("target", in: 64...1 << 20, of: &section, into: &limits.target)
    size("chunk_extension", in: 0...64 << 10, of: &section, into: &limits.chunkExtension)
    size("chunk_extensions", in: 0...1 << 20, of: &section, into: &limits.chunkExtensions)
    number("trailer_fields", in: 0...1_000, of: &section, into: &limits.trailerFields)
    size("trailers", in: 2...1 << 20, of: &section, into: &limits.trailers)
    duration("head_time", of: &section, into: &limits.headTime)
    duration("body_grace", of: &section, into: &limits.bodyGrace)
    size("body_rate", in: 1...1 << 30, of: &section, into: &limits.bodyRate)
    duration("client_idle", of: &section, into: &limits.clientIdle)
    duration("upstream_idle", of: &section, into: &limits.upstreamIdle)
    number("upstream_requests", in: 1...1_000_000_000, of: &section, into: &limits.upstreamRequests)
    section.finish()
    return limits
  }

  private func number(_ key: String, in range: ClosedRange<Int>, of section: inout Section, into limit: inout Int) {
    if let value = section.optional(key).flatMap({ report.integer($0, in: range) }) { limit = value }
  }

  private func size(_ key: String, in range: ClosedRange<Int>, of section: inout Section, into limit: inout Int) {
    if let value = section.optional(key).flatMap({ report.size($0, in: range) }) { limit = value }
  }

  private func duration(_ key: String, of section: inout Section, into limit: inout Int) {
    if let value = section.optional(key).flatMap({ report.duration($0) }) { limit = value }
  }
}
