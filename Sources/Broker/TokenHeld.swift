extension TokenMachine {
  /// A token as the endpoint gave it, its secrets aside. Seconds since 1970, UTC.
  public struct Grant: Sendable, Equatable {
    public var generation: Int64
    public var obtainedAt: Int64
    /// Nil: it does not end.
    public var expiresAt: Int64?
    public var refreshExpiresAt: Int64?
    /// There is a refresh token.
    public var canRefresh: Bool

    public init(
      generation: Int64, obtainedAt: Int64, expiresAt: Int64?, refreshExpiresAt: Int64? = nil, canRefresh: Bool
    ) {
      self.generation = generation
      self.obtainedAt = obtainedAt
      self.expiresAt = expiresAt
      self.refreshExpiresAt = refreshExpiresAt
      self.canRefresh = canRefresh
    }
  }

  /// The token in hand, on our clocks.
  public struct Held: Sendable, Equatable {
    public let grant: Grant
    /// Past it, it is never sent.
    public let end: Deadline?
    public let renewal: Deadline?
    /// Past it, the refresh token is not tried where there is another way.
    let refreshEnd: Deadline?
    /// Milliseconds; 0 if it does not end.
    let life: Int64
    /// An upstream has rejected it.
    public internal(set) var isRetired = false
    /// Once seen, it stays.
    public internal(set) var hasEnded = false
    var refreshWasRefused = false

    public var generation: Int64 { grant.generation }
    public var works: Bool { !isRetired && !hasEnded }

    init(_ grant: Grant, renewBefore: Int64, _ now: Moment, _ jitter: UInt64) {
      self.grant = grant
      life = grant.expiresAt.map { Deadline.life($0, since: grant.obtainedAt) } ?? 0
      let margin = min(renewBefore * 1000, life / 2)
      // Those that were fetched together are not renewed together.
      let spread = Int64(jitter % UInt64(margin / 10 + 1))
      end = grant.expiresAt.map { Deadline($0, since: grant.obtainedAt, now: now) }
      renewal = end?.earlier(by: margin + spread)
      refreshEnd = grant.refreshExpiresAt.map { end in
        Deadline(end, since: grant.obtainedAt, now: now)
          .earlier(by: min(renewBefore * 1000, Deadline.life(end, since: grant.obtainedAt) / 2))
      }
      hasEnded = end?.isPast(now) == true
    }
  }
}
