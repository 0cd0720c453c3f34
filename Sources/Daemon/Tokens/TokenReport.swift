import Broker
import Bytes
import Net

/// What metrics tell of tokens. The keeper writes it; whoever renders metrics reads it.
struct TokenReport: Sendable {
  /// By route: how attempts to get a token ended.
  var counts: [String: TokenCounts] = [:]
  /// When a token expires, in seconds since 1970.
  var expiries: [TokenKey: Int64] = [:]
  /// By route: how far the vendor's clock is from ours, where it was ever far.
  var skews: [String: ClockSkew] = [:]

  func append(to text: inout Buffer) {
    text.append("# HELP chatelaine_token_refreshes_total Attempts to get a token, by how they ended.\n")
    text.append("# TYPE chatelaine_token_refreshes_total counter\n")
    for (route, counts) in counts.sorted(by: { $0.key < $1.key }) {
      for (outcome, count) in [
        ("granted", counts.granted), ("refused", counts.refused), ("unavailable", counts.unavailable),
      ] {
        text.append("chatelaine_token_refreshes_total{route=\"\(route)\",outcome=\"\(outcome)\"} \(count)\n")
      }
    }
    text.append("# HELP chatelaine_token_expires_seconds When the token in hand expires, in seconds since 1970.\n")
    text.append("# TYPE chatelaine_token_expires_seconds gauge\n")
    // Subjects are a caller's words and may be many: the soonest speaks for all.
    for (route, expiry) in soonest.sorted(by: { $0.key < $1.key }) {
      text.append("chatelaine_token_expires_seconds{route=\"\(route)\"} \(expiry)\n")
    }
    text.append("# HELP chatelaine_clock_skew_seconds How far the vendor's clock is ahead of ours.\n")
    text.append("# TYPE chatelaine_clock_skew_seconds gauge\n")
    for (route, skew) in skews.sorted(by: { $0.key < $1.key }) {
      text.append("chatelaine_clock_skew_seconds{route=\"\(route)\"} \(skew.seconds)\n")
    }
  }

  private var soonest: [String: Int64] {
    var soonest: [String: Int64] = [:]
    let now = Clock.wallMilliseconds() / 1000
    for (key, expiry) in expiries {
      guard let known = soonest[key.route] else {
        soonest[key.route] = expiry
        continue
      }
      // One that nobody renews any more says nothing of those that are in use.
      soonest[key.route] = known > now && expiry > now ? min(known, expiry) : max(known, expiry)
    }
    return soonest
  }
}

/// How a route's attempts to get a token ended.
struct TokenCounts: Sendable {
  var granted: UInt64 = 0
  var refused: UInt64 = 0
  var unavailable: UInt64 = 0
}
