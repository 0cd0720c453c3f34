public import HTTP

/// Whether a request that failed is sent once more (RFC 9110 §9.2.2, row 134).
///
///     what happened              │ nothing was written │ GET, HEAD │ idempotent      │ others
///     ───────────────────────────┼─────────────────────┼───────────┼─────────────────┼───────
///     no connection              │ once                │           │                 │
///     kept connection was stale  │ once                │ once      │ no              │ no
///     502, 503 or 504            │                     │ `retries` times, with a pause │ no
///
/// And never when the body cannot be sent again; nor, once a byte was written, when the signature holds for one use only.
public struct Retry: Sendable {
  private let method: Method
  private let isOneTime: Bool
  private var retries: Int
  private var reconnected = false
  private var pauses = 0

  /// - Parameters:
  ///   - retries: for answers of 502, 503 and 504.
  ///   - isOneTime: the signature has a nonce.
  public init(method: Method, retries: Int, isOneTime: Bool) {
    self.method = method
    self.retries = retries
    self.isOneTime = isOneTime
  }

  public enum Failure: Sendable, Equatable {
    case connecting
    /// A kept connection ended before the first byte of a response. `written`: bytes of the request that it took.
    case stale(written: Int)
    /// The upstream answered with this status.
    case status(Int)
  }

  /// - Parameter bodyIsIntact: all of the body can still be sent from its start.
  /// - Returns: milliseconds to wait before sending it again; nil: the failure stands.
  public mutating func next(after failure: Failure, bodyIsIntact: Bool) -> UInt64? {
    guard bodyIsIntact else { return nil }
    switch failure {
    case .connecting, .stale(written: 0): break
    case .stale:
      guard method == .get || method == .head, !isOneTime else { return nil }
    case .status(let status):
      guard 502...504 ~= status, method.isIdempotent, !isOneTime, retries > 0 else { return nil }
      retries -= 1
      pauses += 1
      // Long enough for a worker to restart, short enough for the caller's patience: 100, 200, 400 … 3,200 ms.
      return 50 << UInt64(min(pauses, 6))
    }
    guard !reconnected else { return nil }
    reconnected = true
    return 0
  }
}
