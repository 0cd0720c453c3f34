/// Idle upstream connections of one loop: which to use again, which to close. Knows no socket and reads no clock.
///
///     put ─▶ idle ─ take ─▶ leased ─ put ─▶ idle …
///              └─ expire, remove ─▶ gone
///
/// The one put back last is taken first: the others are more likely to have been closed meanwhile. Times are milliseconds.
public struct PoolState<Key: Hashable & Sendable, Handle> {
  public struct Limits: Sendable, Equatable {
    public var idleTime: UInt64 = 60_000
    /// Requests that one connection carries.
    public var requests = 1000
    /// Idle connections of one key.
    public var perKey = 64

    public init() {}
  }

  private struct Idle {
    var handle: Handle
    var since: UInt64
  }

  private let limits: Limits
  /// Of each key the oldest first.
  private var idle: [Key: [Idle]] = [:]
  /// Idle connections of all keys.
  public private(set) var count = 0

  public init(_ limits: Limits = Limits()) {
    self.limits = limits
  }

  /// A connection for a request; nil: make one. One that is too old is never handed out: `expire` returns it.
  public mutating func take(_ key: Key, now: UInt64) -> Handle? {
    guard let last = idle[key]?.last, now < last.since + limits.idleTime else { return nil }
    count -= 1
    let taken = idle[key]?.popLast()
    if idle[key]?.isEmpty == true { idle[key] = nil }
    return taken?.handle
  }

  /// Takes back a connection whose response ended cleanly, with not a byte behind it (T4.4).
  /// - Parameter requests: it carried so far.
  /// - Returns: the connection to close: this one when it has done enough, the oldest when there are too many.
  public mutating func put(_ handle: Handle, _ key: Key, requests: Int, now: UInt64) -> Handle? {
    guard requests < limits.requests, limits.perKey > 0 else { return handle }
    idle[key, default: []].append(Idle(handle: handle, since: now))
    count += 1
    guard let all = idle[key], all.count > limits.perKey else { return nil }
    count -= 1
    return idle[key]?.removeFirst().handle
  }

  /// Forgets a connection that its peer has ended or spoken on (row 129).
  public mutating func remove(_ key: Key, where matches: (Handle) -> Bool) {
    guard let index = idle[key]?.firstIndex(where: { matches($0.handle) }) else { return }
    idle[key]?.remove(at: index)
    count -= 1
    if idle[key]?.isEmpty == true { idle[key] = nil }
  }

  /// The connections to close now.
  public mutating func expire(now: UInt64) -> [Handle] {
    var expired: [Handle] = []
    for (key, connections) in idle {
      let kept = connections.drop { $0.since + limits.idleTime <= now }
      guard kept.count < connections.count else { continue }
      expired += connections.prefix(connections.count - kept.count).map(\.handle)
      idle[key] = kept.isEmpty ? nil : Array(kept)
    }
    count -= expired.count
    return expired
  }

  /// When `expire` has something to do; nil while nothing is idle.
  public var nextExpiry: UInt64? {
    idle.values.compactMap { $0.first.map { $0.since + limits.idleTime } }.min()
  }
}
