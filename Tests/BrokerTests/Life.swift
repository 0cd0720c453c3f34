@testable import Broker

/// A machine, and the clocks that it is shown.
final class Life {
  var machine: TokenMachine
  /// Seconds on both clocks, and by how much the wall clock is off.
  var seconds: Int64 = 0
  var offset: Int64 = 0

  init(_ fetch: TokenRules.Fetch = .always, refreshes: Bool = true, renewBefore: Int64 = 60) {
    machine = TokenMachine(TokenRules(fetch: fetch, refreshes: refreshes, renewBefore: renewBefore))
  }

  var now: Moment { Moment(wall: (1_800_000_000 + seconds + offset) * 1000, uptime: (5000 + seconds) * 1000) }

  /// A token that is obtained now.
  func grant(_ generation: Int64, life: Int64? = 1000, refresh: Int64? = nil, canRefresh: Bool = true)
    -> TokenMachine.Grant
  {
    TokenMachine.Grant(
      generation: generation, obtainedAt: now.seconds, expiresAt: life.map { now.seconds + $0 },
      refreshExpiresAt: refresh.map { now.seconds + $0 }, canRefresh: canRefresh)
  }

  @discardableResult
  func on(_ event: TokenMachine.Event, at seconds: Int64? = nil, jitter: UInt64 = 0) -> [TokenMachine.Action] {
    if let seconds { self.seconds = seconds }
    return machine.handle(event, now: now, jitter: jitter)
  }

  func want(_ waiter: UInt64 = 1, used: Int64? = nil, at seconds: Int64? = nil) -> [TokenMachine.Action] {
    on(.want(waiter, used: used), at: seconds)
  }

  func down(_ generation: Int64, uncertain: Bool = false, retryAfter: Int? = nil) -> [TokenMachine.Action] {
    on(.unavailable(generation: generation, retryAfter: retryAfter, isUncertain: uncertain))
  }

  func uptime(_ seconds: Int64) -> Int64 { (5000 + seconds) * 1000 }
}
