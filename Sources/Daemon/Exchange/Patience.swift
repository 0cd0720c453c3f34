/// How long clients are waited for, in milliseconds (HTTP.md, limits); what a route waits for of its upstream is the route's.
struct Patience: Sendable, Equatable {
  /// From a head's first byte to its last: absolute, so that a drip does not help.
  var head: UInt64 = 10_000
  /// A client's connection without a request.
  var idle: UInt64 = 60_000
  /// A body may take its time at first; then it needs `slowestBody` on average, looked at every `bodyCheck`.
  var bodyGrace: UInt64 = 10_000
  /// Bytes a second.
  var slowestBody: UInt64 = 1024

  var bodyCheck: UInt64 { min(1000, bodyGrace) }

  /// For a client to read our last answer while what it still sends is dropped.
  static let lingering: UInt64 = 1000
  /// For exchanges under way when the daemon is told to stop.
  static let draining: UInt64 = 30_000
}
