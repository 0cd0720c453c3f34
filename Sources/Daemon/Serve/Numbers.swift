/// What one loop has counted of one route since the daemon started. Plain integers: only the loop's thread writes them,
/// and whoever wants to know gets a copy by the mailbox.
struct RouteNumbers: Sendable {
  /// Responses by the first digit of their status; index 0 is exchanges that ended without one.
  var statuses = [UInt64](repeating: 0, count: 6)
  /// Problems of ours by their code.
  var problems: [String: UInt64] = [:]
  /// Exchanges by duration: `buckets[i]` took at most `bounds[i]`, the last one longer.
  var buckets = [UInt64](repeating: 0, count: RouteNumbers.bounds.count + 1)
  var microseconds: UInt64 = 0
  var bytesIn: UInt64 = 0
  var bytesOut: UInt64 = 0
  var dialled: UInt64 = 0
  var resumed: UInt64 = 0
  var reused: UInt64 = 0
  var retried: UInt64 = 0
  /// Connections that wait in the pool now.
  var idle: UInt64 = 0

  /// Upper bounds of the duration buckets in microseconds.
  static let bounds: [UInt64] = [
    500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000,
  ]

  mutating func took(_ microseconds: UInt64) {
    self.microseconds += microseconds
    var index = 0
    while index < RouteNumbers.bounds.count, microseconds > RouteNumbers.bounds[index] { index += 1 }
    buckets[index] += 1
  }

  mutating func add(_ other: RouteNumbers) {
    for index in statuses.indices { statuses[index] += other.statuses[index] }
    for index in buckets.indices { buckets[index] += other.buckets[index] }
    problems.merge(other.problems, uniquingKeysWith: +)
    microseconds += other.microseconds
    bytesIn += other.bytesIn
    bytesOut += other.bytesOut
    dialled += other.dialled
    resumed += other.resumed
    reused += other.reused
    retried += other.retried
    idle += other.idle
  }
}

/// Where one loop counts for one route. It outlives deployments, so that what ends after a reload is counted too.
final class RouteTally {
  @safe @exclusivity(unchecked) var numbers = RouteNumbers()
}

/// What one loop has counted: by route name, with "" for what never found a route.
typealias LoopNumbers = [String: RouteNumbers]
