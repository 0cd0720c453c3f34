internal import Bytes

/// How far an upstream's clock is from ours, by the `Date` of its answers. A signature has a time in it: who is minutes off
/// is refused without being told why.
public struct ClockSkew: Sendable, Equatable {
  /// By so much its clock is ahead of ours, in seconds; 0 while they agree.
  public private(set) var seconds: Int64 = 0

  /// Seconds that are no skew: dates are whole seconds, and answers are on their way for a while.
  private static let tolerance: Int64 = 60
  /// They agree again within this: one who is a minute off is not news with every answer.
  private static let agreement: Int64 = 30

  public init() {}

  /// Takes the `Date` of an answer that comes from the upstream itself (one with an `Age` is as old as that).
  /// - Parameters:
  ///   - date: the field's value; what is no IMF-fixdate says nothing.
  ///   - now: seconds since 1970, UTC.
  /// - Returns: whether it is news: it has begun, ended, or changed by more than a minute.
  public mutating func observe(date: Span<UInt8>, now: Int64) -> Bool {
    guard let theirs = Int64(httpDate: date) else { return false }
    let difference = theirs - now
    let skew = abs(difference) > (seconds == 0 ? ClockSkew.tolerance : ClockSkew.agreement) ? difference : 0
    guard (skew == 0) != (seconds == 0) || abs(skew - seconds) > ClockSkew.tolerance else { return false }
    seconds = skew
    return true
  }
}
