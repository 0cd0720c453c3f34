import Testing

@testable import Broker

private typealias Machine = TokenMachine

/// A moment some seconds into the test.
func moment(_ seconds: Double) -> Moment {
  Moment(wall: 1_800_000_000_000 + Int64(seconds * 1000), uptime: 50_000_000 + Int64(seconds * 1000))
}

func grant(_ generation: Int64, at seconds: Double = 0, life: Int64 = 1000, canRefresh: Bool = true)
  -> TokenMachine.Grant
{
  let now = moment(seconds).seconds
  return Machine.Grant(
    generation: generation, obtainedAt: now, expiresAt: now + life, refreshExpiresAt: now + 100_000,
    canRefresh: canRefresh)
}

private let always = TokenRules(fetch: .always, refreshes: true, renewBefore: 60)

extension Machine {
  /// Handles an event at a time, without spreading anything.
  @discardableResult
  fileprivate mutating func on(_ event: Event, _ seconds: Double = 0) -> [Action] {
    handle(event, now: moment(seconds), jitter: 0)
  }

  /// A machine in each state, with a waiter where somebody must be waiting.
  fileprivate static func inState(_ state: State, _ rules: TokenRules = always) -> Machine {
    var machine = Machine(rules)
    switch state {
    case .absent: break
    case .fetching: machine.on(.want(1, used: nil))
    case .fresh: machine.on(.restored(grant(1)))
    case .due:
      machine.on(.restored(grant(1)))
      machine.on(.tick, 945)
    case .refreshing:
      machine.on(.restored(grant(1)))
      machine.on(.rejected(1))
      machine.on(.want(1, used: nil))
    case .backingOff:
      machine.on(.want(1, used: nil))
      machine.on(.unavailable(generation: 1, retryAfter: nil, isUncertain: false))
    case .refused:
      machine.on(.want(1, used: nil))
      machine.on(.refused(generation: 1))
    case .reauthorizationRequired:
      machine = Machine(TokenRules(fetch: .never, refreshes: true, renewBefore: 60))
      machine.on(.restored(grant(1, canRefresh: false)))
      machine.on(.rejected(1))
    }
    #expect(machine.state == state)
    return machine
  }
}

private let states: [Machine.State] = [
  .absent, .fetching, .fresh, .due, .refreshing, .backingOff, .refused, .reauthorizationRequired,
]

// MARK: The table

/// Every event once, at a time when the state still stands; the last ones when time has passed.
private func events(_ state: Machine.State) -> [(name: String, event: Machine.Event, time: Double)] {
  let time: Double = state == .due ? 945 : 0
  let under: Int64 = state == .refreshing ? 2 : 1
  return [
    ("want", .want(9, used: nil), time), ("want, used 1", .want(9, used: 1), time),
    ("used", .used(at: moment(time).uptime), time), ("rejected 1", .rejected(1), time),
    ("rejected 7", .rejected(7), time), ("granted", .granted(grant(under, at: time)), time),
    ("granted 7", .granted(grant(7, at: time)), time), ("obtained 8", .obtained(grant(8, at: time)), time),
    ("refused", .refused(generation: under), time), ("refused 7", .refused(generation: 7), time),
    ("unavailable", .unavailable(generation: under, retryAfter: 7, isUncertain: false), time),
    ("unavailable 7", .unavailable(generation: 7, retryAfter: nil, isUncertain: false), time),
    ("tick", .tick, time), ("dropped", .dropped, time), ("credentials", .credentialsChanged, time),
    ("reconfigured", .reconfigured(always), time), ("interrupted", .interrupted(at: 5), time),
    ("restored 7", .restored(grant(7, at: time)), time), ("want later", .want(9, used: nil), 2000),
  ]
}

private func text(_ action: Machine.Action) -> String {
  switch action {
  case .begin(let way, let generation): "\(way) \(generation)"
  case .publish(let generation): "publish \(generation)"
  case .retire(let generation): "retire \(generation)"
  case .resume(let waiters, let generation): "resume \(waiters) \(generation)"
  case .fail(let waiters, let failure): "fail \(waiters) \(failure)"
  case .wakeAt(let uptime): "wake \((uptime - 50_000_000) / 1000)"
  case .noteRefusal(let generation): "note \(generation)"
  case .forget: "forget"
  }
}

private func row(_ state: Machine.State, _ name: String, _ event: Machine.Event, _ time: Double) -> String {
  var machine = Machine.inState(state)
  let actions = machine.on(event, time).map(text).joined(separator: ", ")
  return "\(state) | \(name) | \(machine.state) | \(actions.isEmpty ? "-" : actions)"
}

@Test func `every event in every state does what the table says`() {
  let rows = states.flatMap { state in
    events(state).map { row(state, $0.name, $0.event, $0.time) }
  }
  let expected = table.split(separator: "\n").map(String.init)
  #expect(rows.count == expected.count)
  for (row, expected) in zip(rows, expected) { #expect(row == expected) }
}

private let table = """
  absent | want | fetching | fetch 1
  absent | want, used 1 | fetching | fetch 1
  absent | used | absent | -
  absent | rejected 1 | absent | -
  absent | rejected 7 | absent | -
  absent | granted | absent | -
  absent | granted 7 | absent | -
  absent | obtained 8 | fresh | publish 8, wake 940
  absent | refused | absent | -
  absent | refused 7 | absent | -
  absent | unavailable | absent | -
  absent | unavailable 7 | absent | -
  absent | tick | absent | -
  absent | dropped | absent | forget
  absent | credentials | absent | forget
  absent | reconfigured | absent | -
  absent | interrupted | fetching | fetch 1
  absent | restored 7 | fresh | publish 7, wake 940
  absent | want later | fetching | fetch 1
  fetching | want | fetching | -
  fetching | want, used 1 | fetching | -
  fetching | used | fetching | -
  fetching | rejected 1 | fetching | -
  fetching | rejected 7 | fetching | -
  fetching | granted | fresh | publish 1, resume [1] 1, wake 940
  fetching | granted 7 | fetching | -
  fetching | obtained 8 | fresh | publish 8, resume [1] 8, wake 940
  fetching | refused | refused | fail [1] refused
  fetching | refused 7 | fetching | -
  fetching | unavailable | backingOff | fail [1] unavailable(retryAfter: 7), wake 7
  fetching | unavailable 7 | fetching | -
  fetching | tick | fetching | -
  fetching | dropped | fetching | forget, fetch 2
  fetching | credentials | fetching | forget, fetch 2
  fetching | reconfigured | fetching | -
  fetching | interrupted | fetching | -
  fetching | restored 7 | fetching | -
  fetching | want later | fetching | -
  fresh | want | fresh | resume [9] 1
  fresh | want, used 1 | fresh | fail [9] stands
  fresh | used | fresh | -
  fresh | rejected 1 | refreshing | retire 1, refresh 2
  fresh | rejected 7 | fresh | -
  fresh | granted | fresh | -
  fresh | granted 7 | fresh | -
  fresh | obtained 8 | fresh | publish 8, wake 940
  fresh | refused | fresh | -
  fresh | refused 7 | fresh | -
  fresh | unavailable | fresh | -
  fresh | unavailable 7 | fresh | -
  fresh | tick | fresh | wake 940
  fresh | dropped | absent | retire 1, forget
  fresh | credentials | absent | retire 1, forget
  fresh | reconfigured | fresh | wake 940
  fresh | interrupted | refreshing | refresh 2
  fresh | restored 7 | fresh | -
  fresh | want later | refreshing | refresh 2
  due | want | refreshing | resume [9] 1, refresh 2
  due | want, used 1 | due | fail [9] stands
  due | used | refreshing | refresh 2
  due | rejected 1 | refreshing | retire 1, refresh 2
  due | rejected 7 | due | -
  due | granted | due | -
  due | granted 7 | due | -
  due | obtained 8 | fresh | publish 8, wake 1885
  due | refused | due | -
  due | refused 7 | due | -
  due | unavailable | due | -
  due | unavailable 7 | due | -
  due | tick | due | -
  due | dropped | absent | retire 1, forget
  due | credentials | absent | retire 1, forget
  due | reconfigured | due | -
  due | interrupted | refreshing | refresh 2
  due | restored 7 | due | -
  due | want later | refreshing | refresh 2
  refreshing | want | refreshing | -
  refreshing | want, used 1 | refreshing | -
  refreshing | used | refreshing | -
  refreshing | rejected 1 | refreshing | -
  refreshing | rejected 7 | refreshing | -
  refreshing | granted | fresh | publish 2, resume [1] 2, wake 940
  refreshing | granted 7 | refreshing | -
  refreshing | obtained 8 | fresh | publish 8, resume [1] 8, wake 940
  refreshing | refused | fetching | fetch 3
  refreshing | refused 7 | refreshing | -
  refreshing | unavailable | backingOff | fail [1] unavailable(retryAfter: 7), wake 7
  refreshing | unavailable 7 | refreshing | -
  refreshing | tick | refreshing | -
  refreshing | dropped | fetching | forget, fetch 3
  refreshing | credentials | fetching | forget, fetch 3
  refreshing | reconfigured | refreshing | -
  refreshing | interrupted | refreshing | -
  refreshing | restored 7 | refreshing | -
  refreshing | want later | refreshing | -
  backingOff | want | backingOff | fail [9] unavailable(retryAfter: 1)
  backingOff | want, used 1 | backingOff | fail [9] unavailable(retryAfter: 1)
  backingOff | used | backingOff | -
  backingOff | rejected 1 | backingOff | -
  backingOff | rejected 7 | backingOff | -
  backingOff | granted | backingOff | -
  backingOff | granted 7 | backingOff | -
  backingOff | obtained 8 | fresh | publish 8, wake 940
  backingOff | refused | backingOff | -
  backingOff | refused 7 | backingOff | -
  backingOff | unavailable | backingOff | -
  backingOff | unavailable 7 | backingOff | -
  backingOff | tick | backingOff | wake 1
  backingOff | dropped | absent | forget
  backingOff | credentials | absent | forget
  backingOff | reconfigured | absent | -
  backingOff | interrupted | fetching | fetch 2
  backingOff | restored 7 | backingOff | -
  backingOff | want later | fetching | fetch 2
  refused | want | refused | fail [9] refused
  refused | want, used 1 | refused | fail [9] refused
  refused | used | refused | -
  refused | rejected 1 | refused | -
  refused | rejected 7 | refused | -
  refused | granted | refused | -
  refused | granted 7 | refused | -
  refused | obtained 8 | fresh | publish 8, wake 940
  refused | refused | refused | -
  refused | refused 7 | refused | -
  refused | unavailable | refused | -
  refused | unavailable 7 | refused | -
  refused | tick | refused | -
  refused | dropped | absent | forget
  refused | credentials | absent | forget
  refused | reconfigured | absent | -
  refused | interrupted | fetching | fetch 2
  refused | restored 7 | refused | -
  refused | want later | fetching | fetch 2
  reauthorizationRequired | want | reauthorizationRequired | fail [9] reauthorizationRequired(interruptedAt: nil)
  reauthorizationRequired | want, used 1 | reauthorizationRequired | fail [9] reauthorizationRequired(interruptedAt: nil)
  reauthorizationRequired | used | reauthorizationRequired | -
  reauthorizationRequired | rejected 1 | reauthorizationRequired | -
  reauthorizationRequired | rejected 7 | reauthorizationRequired | -
  reauthorizationRequired | granted | reauthorizationRequired | -
  reauthorizationRequired | granted 7 | reauthorizationRequired | -
  reauthorizationRequired | obtained 8 | fresh | publish 8, wake 940
  reauthorizationRequired | refused | reauthorizationRequired | -
  reauthorizationRequired | refused 7 | reauthorizationRequired | -
  reauthorizationRequired | unavailable | reauthorizationRequired | -
  reauthorizationRequired | unavailable 7 | reauthorizationRequired | -
  reauthorizationRequired | tick | reauthorizationRequired | -
  reauthorizationRequired | dropped | absent | forget
  reauthorizationRequired | credentials | absent | forget
  reauthorizationRequired | reconfigured | due | -
  reauthorizationRequired | interrupted | reauthorizationRequired | -
  reauthorizationRequired | restored 7 | reauthorizationRequired | -
  reauthorizationRequired | want later | reauthorizationRequired | fail [9] reauthorizationRequired(interruptedAt: nil)
  """

@Test(arguments: states) func `what a login replaces goes, even where the new token has ended on its way`(
  _ state: TokenMachine.State
) {
  var machine = Machine.inState(state)
  let time: Double = state == .due ? 945 : 0
  let (before, waiters) = (machine.held, machine.waiters)
  let actions = machine.on(.obtained(grant(8, at: time, life: 0)), time)
  #expect(machine.state == .backingOff && machine.held?.generation == 8 && machine.waiters.isEmpty)
  #expect(actions.contains(.retire(generation: 1)) == (before?.works == true))
  #expect(!actions.contains(.publish(generation: 8)))
  #expect(waiters.isEmpty || actions.contains(.fail(waiters, .unavailable(retryAfter: 1))))
}

@Test func `a login ends what went wrong before it`() {
  var machine = Machine.inState(.refreshing)
  machine.on(.unavailable(generation: 2, retryAfter: 100, isUncertain: true))
  #expect(machine.interruptedAt != nil)
  machine.on(.obtained(grant(3, canRefresh: false)))
  #expect(machine.interruptedAt == nil)
  // It was not accepted for a moment only: the one that was refused before it was another session's.
  #expect(machine.on(.rejected(3)) == [.retire(generation: 3), .begin(.fetch, generation: 4)])
  #expect(machine.on(.unavailable(generation: 2, retryAfter: nil, isUncertain: false)) == [])
}
