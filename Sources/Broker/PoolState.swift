/// Idle upstream connections of one loop: which to use again, which to close. Knows no socket and reads no clock.
///
///     put ─▶ idle ─ take ─▶ leased ─ put ─▶ idle …
///              └─ expire, remove ─▶ gone
///
/// The one put back last is taken first: the others are more likely to have been closed meanwhile, and what nobody needs
/// grows old. Times are milliseconds. Inlined: unspecialised, a generic costs two thousand instructions a request.
public struct PoolState<Key: Hashable & Sendable, Handle> {
  public struct Limits: Sendable, Equatable {
    public var idleTime: UInt64 = 60_000
    /// Requests that one connection carries.
    public var requests = 1000
    /// Idle connections of one key. Far fewer are kept in time: no more than were in use at once within `idleTime`.
    public var perKey = 1024

    @inlinable public init() {}
  }

  @usableFromInline struct Idle {
    @usableFromInline var handle: Handle
    @usableFromInline var key: Key
    @usableFromInline var since: UInt64

    @inlinable init(handle: Handle, key: Key, since: UInt64) {
      self.handle = handle
      self.key = key
      self.since = since
    }
  }

  @usableFromInline let limits: Limits
  /// The oldest first. Keys are few, so that the last one is nearly always the one that is wanted: a table of arrays cost
  /// eight allocations a request.
  @usableFromInline var idle: [Idle] = []

  @inlinable public init(_ limits: Limits = Limits()) {
    self.limits = limits
  }

  /// Idle connections of all keys.
  @inlinable public var count: Int { idle.count }

  /// A connection for a request; nil: make one. One that is too old is never handed out: `expire` returns it.
  @inlinable public mutating func take(_ key: Key, now: UInt64) -> Handle? {
    // A loop: a closure over the key would be an allocation a request.
    var index = idle.count - 1
    while index >= 0, idle[index].key != key { index -= 1 }
    guard index >= 0, !isOld(idle[index], now) else { return nil }
    return idle.remove(at: index).handle
  }

  /// Takes back a connection whose response ended cleanly, with not a byte behind it (T4.4).
  /// - Parameter requests: it carried so far.
  /// - Returns: the connection to close: this one when it has done enough, the oldest when there are too many.
  @inlinable public mutating func put(_ handle: Handle, _ key: Key, requests: Int, now: UInt64) -> Handle? {
    guard requests < limits.requests, limits.perKey > 0 else { return handle }
    idle.append(Idle(handle: handle, key: key, since: now))
    guard idle.count > limits.perKey, idle.count(where: { $0.key == key }) > limits.perKey,
      let oldest = idle.firstIndex(where: { $0.key == key })
    else { return nil }
    return idle.remove(at: oldest).handle
  }

  /// Forgets a connection that its peer has ended or spoken on (row 129).
  @inlinable public mutating func remove(_ key: Key, where matches: (Handle) -> Bool) {
    guard let index = idle.firstIndex(where: { $0.key == key && matches($0.handle) }) else { return }
    idle.remove(at: index)
  }

  /// The connections to close now.
  @inlinable public mutating func expire(now: UInt64) -> [Handle] {
    guard let oldest = idle.first, isOld(oldest, now) else { return [] }
    let count = idle.firstIndex { !isOld($0, now) } ?? idle.count
    let expired = idle.prefix(count).map(\.handle)
    idle.removeFirst(count)
    return expired
  }

  /// When `expire` has something to do; nil while nothing is idle.
  @inlinable public var nextExpiry: UInt64? { idle.isEmpty ? nil : idle[0].since + limits.idleTime }

  @inlinable func isOld(_ connection: Idle, _ now: UInt64) -> Bool { connection.since + limits.idleTime <= now }
}
