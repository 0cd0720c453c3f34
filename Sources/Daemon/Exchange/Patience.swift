/// How long things are waited for that no route configures, in milliseconds (HTTP.md, limits).
enum Patience {
  /// From a head's first byte to its last: absolute, so that a drip does not help.
  static let head: UInt64 = 10_000
  /// A client's connection without a request, and an upstream's in the pool.
  static let idle: UInt64 = 60_000
  /// A body may take its time at first; then it needs 1 KiB/s on average, looked at every `bodyCheck`.
  static let bodyGrace: UInt64 = 10_000
  static let bodyCheck: UInt64 = 1000
  static let slowestBody: UInt64 = 1024
  /// For a client to read our last answer while what it still sends is dropped.
  static let lingering: UInt64 = 1000
  /// For exchanges under way when the daemon is told to stop.
  static let draining: UInt64 = 30_000
}
