import Support
import Testing

@testable import Broker

private typealias Machine = TokenMachine

/// What may be done to a machine, and what must then hold, known apart from it.
private struct Walk {
  var machine: Machine
  var random: SeededRandom
  var seconds = 0.0
  var nextWaiter: UInt64 = 0
  /// Who wants a token and was not answered.
  var waiting: Set<UInt64> = []
  /// The generation under way.
  var begun: Int64?
  var newest: Int64 = 0
  /// Ends of the tokens that exist, in seconds of the walk, without those that were rejected or forgotten.
  var ends: [Int64: Double] = [:]
  var published: Int64?
  var mistakes: [String] = []

  init(seed: UInt64) {
    random = SeededRandom(seed: seed)
    let fetch = [TokenRules.Fetch.never, .once, .always, .always].randomElement(using: &random) ?? .always
    machine = Machine(TokenRules(fetch: fetch, refreshes: Bool.random(using: &random), renewBefore: 60))
  }

  mutating func grant(_ generation: Int64) -> Machine.Grant {
    let life = [5, 100, 1000].randomElement(using: &random) ?? 5
    ends[generation] = seconds + Double(life)
    return BrokerTests.grant(generation, at: seconds, life: Int64(life), canRefresh: Bool.random(using: &random))
  }

  mutating func step() {
    seconds += [0, 0, 0.3, 7, 80, 2000].randomElement(using: &random) ?? 0
    switch Int.random(in: 0..<15, using: &random) {
    case 0...3: want(used: nil)
    case 4: want(used: machine.held?.generation)
    case 5: handle(.used(at: moment(seconds).uptime))
    case 6:
      let generation = Bool.random(using: &random) ? machine.held?.generation ?? 1 : newest + 5
      handle(.rejected(generation))
    case 7...9: answer()
    case 10: handle(.tick)
    case 11:
      begun = nil
      ends = [:]
      handle(Bool.random(using: &random) ? .dropped : .credentialsChanged)
    case 12: handle(.reconfigured(TokenRules(fetch: .always, refreshes: true, renewBefore: 60)))
    case 13:
      let generation = machine.lastGeneration + 1
      begun = nil
      let isLate = Int.random(in: 0..<4, using: &random) == 0
      handle(.obtained(isLate ? BrokerTests.grant(generation, at: seconds, life: 0) : grant(generation)))
      if let published, published != generation {
        mistakes.append("\(published) stays published after a login brought \(generation)")
      }
    default: handle(.granted(BrokerTests.grant(newest + 9, at: seconds)))
    }
  }

  mutating func want(used: Int64?) {
    nextWaiter += 1
    waiting.insert(nextWaiter)
    handle(.want(nextWaiter, used: used))
  }

  /// What is under way ends somehow.
  mutating func answer() {
    guard let generation = begun else { return }
    begun = nil
    switch Int.random(in: 0..<4, using: &random) {
    case 0: handle(.refused(generation: generation))
    case 1: handle(.unavailable(generation: generation, retryAfter: nil, isUncertain: Bool.random(using: &random)))
    default: handle(.granted(grant(generation)))
    }
  }

  mutating func handle(_ event: Machine.Event) {
    if case .rejected(let generation) = event, machine.held?.generation == generation { published = nil }
    let actions = machine.handle(event, now: moment(seconds), jitter: random.next())
    for action in actions { note(action, event) }
    if begun == nil, !waiting.isEmpty { mistakes.append("\(waiting) are forgotten after \(event)") }
    if let begun, !machine.awaits(begun) { mistakes.append("\(begun) is under way for nobody after \(event)") }
  }

  mutating func note(_ action: Machine.Action, _ event: Machine.Event) {
    switch action {
    case .begin(_, let generation):
      if begun != nil { mistakes.append("two are under way after \(event)") }
      if generation <= newest { mistakes.append("\(generation) is used twice") }
      (begun, newest) = (generation, generation)
    case .publish(let generation):
      if ends[generation] == nil { mistakes.append("\(generation) is published and was never granted") }
      published = generation
      newest = max(newest, generation)
    case .retire(let generation):
      ends[generation] = nil
      published = nil
    case .resume(let waiters, let generation):
      if (ends[generation] ?? 0) <= seconds { mistakes.append("\(generation) is given out and does not work") }
      answered(waiters)
    case .fail(let waiters, _): answered(waiters)
    case .wakeAt, .noteRefusal, .forget: break
    }
  }

  mutating func answered(_ waiters: [UInt64]) {
    for waiter in waiters where waiting.remove(waiter) == nil { mistakes.append("\(waiter) is answered twice") }
  }
}

@Test func `in 100,000 walks nobody is forgotten, answered twice, or given what does not work`() {
  for seed in 0..<100_000 {
    var walk = Walk(seed: UInt64(seed))
    for _ in 0..<12 { walk.step() }
    while walk.begun != nil { walk.answer() }
    #expect(walk.waiting.isEmpty, "seed \(seed)")
    guard walk.mistakes.isEmpty else {
      Issue.record("seed \(seed): \(walk.mistakes.joined(separator: "; "))")
      return
    }
  }
}
