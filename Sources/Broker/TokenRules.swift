/// What a connector's `token` block says of times and ways, as far as a `TokenMachine` has to know.
public struct TokenRules: Sendable, Equatable {
  public enum Fetch: Sendable {
    /// Somebody has to log in.
    case never
    /// Only while no refresh token came with a token: it uses one that is given as a secret, and that the first such
    /// answer has spent.
    case once
    case always
  }

  public var fetch: Fetch
  public var refreshes: Bool
  /// Seconds before its end that a token is renewed; half its life, if it does not live twice as long.
  public var renewBefore: Int64

  public init(fetch: Fetch, refreshes: Bool, renewBefore: Int64 = 60) {
    self.fetch = fetch
    self.refreshes = refreshes
    self.renewBefore = renewBefore
  }
}

/// How long a token's machine waits, in milliseconds.
enum TokenPause {
  /// Before an endpoint that was down is asked again: 1 s to twice as long after each failure, 5 minutes at most; and not
  /// before it wants to be asked, as far as an hour.
  /// - Parameters:
  ///   - failures: in a row, from 1.
  ///   - retryAfter: seconds, of the endpoint.
  static func backOff(failures: Int, retryAfter: Int?, jitter: UInt64) -> Int64 {
    let ceiling = min(1000 << UInt64(min(failures, 16)), 300_000)
    let pause = 1000 + Int64(jitter % UInt64(ceiling - 1000 + 1))
    return max(pause, Int64(min(max(retryAfter ?? 0, 0), 3600)) * 1000)
  }

  /// How long a refusal is remembered: 10 s, 20 s … 5 minutes.
  /// - Parameter refusals: in a row, from 1.
  static func refusal(_ refusals: Int) -> Int64 { min(10_000 << UInt64(min(refusals - 1, 16)), 300_000) }

  /// After a token that took a rejected one's place, before it is replaced for the same reason: 10 s, 20 s … 5 minutes.
  /// - Parameter replacements: in a row, from 1.
  static func replacement(_ replacements: Int) -> Int64 { refusal(replacements) }

  /// A token that was accepted for so long was not rejected in a row with the one before it.
  static let replacementsInARow: Int64 = 600_000

  /// A token is renewed in the background if it was used within this time, or within its life where that is longer.
  static let recently: Int64 = 600_000
}
