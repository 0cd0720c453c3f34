import Testing

@testable import Net

private final class Owner: TimerOwner {
  var fired: [Int] = []
  var names: [ObjectIdentifier: Int] = [:]

  func deadlinePassed(_ timer: Timer) { fired.append(names[ObjectIdentifier(timer)] ?? -1) }
}

@Test func `timers fire in order, once, and not before their time`() {
  let timers = Timers()
  let owner = Owner()
  let all = (0..<100).map { index -> Timer in
    let timer = Timer(owner: owner)
    owner.names[ObjectIdentifier(timer)] = index
    timer.set(UInt64((index * 37) % 100), in: timers)
    return timer
  }
  var expected: [Int] = []
  for now in 0..<100 {
    timers.fire(now: UInt64(now))
    expected.append((0..<100).first { ($0 * 37) % 100 == now } ?? -1)
    #expect(owner.fired == expected)
  }
  timers.fire(now: 1000)
  #expect(owner.fired.count == 100)
  #expect(timers.next == nil)
  withExtendedLifetime(all) {}
}

@Test func `a deadline that is moved later fires later, one that is moved earlier fires earlier`() {
  let timers = Timers()
  let owner = Owner()
  let timer = Timer(owner: owner)
  timer.set(10, in: timers)
  timer.set(20, in: timers)
  timers.fire(now: 15)
  #expect(owner.fired.isEmpty)
  #expect(timers.next == 20)
  timer.set(17, in: timers)
  timers.fire(now: 16)
  #expect(owner.fired.isEmpty)
  timers.fire(now: 17)
  #expect(owner.fired.count == 1)
}

@Test func `a timer that is cleared or cancelled stays silent`() {
  let timers = Timers()
  let owner = Owner()
  let cleared = Timer(owner: owner)
  let cancelled = Timer(owner: owner)
  cleared.set(5, in: timers)
  cancelled.set(5, in: timers)
  cleared.clear()
  cancelled.cancel(in: timers)
  timers.fire(now: 10)
  #expect(owner.fired.isEmpty)
  #expect(timers.next == nil)
}

/// Timers that are due in one turn fire in that turn; which of them is first is nobody's business, since one that was
/// moved later is looked at when its old time comes.
@Test func `the heap agrees with a sorted list over random changes`() {
  var seed: UInt64 = 42
  func random(_ below: UInt64) -> UInt64 {
    seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return (seed >> 33) % below
  }
  let timers = Timers()
  let owner = Owner()
  let all = (0..<50).map { _ in Timer(owner: owner) }
  for (index, timer) in all.enumerated() { owner.names[ObjectIdentifier(timer)] = index }
  var now: UInt64 = 0
  for _ in 0..<5000 {
    let timer = all[Int(random(50))]
    switch random(4) {
    case 0: timer.clear()
    case 1, 2: timer.set(now + 1 + random(100), in: timers)
    default:
      now += random(20)
      let due = all.indices.filter { all[$0].deadline <= now }.sorted { all[$0].deadline < all[$1].deadline }
      let deadlines = due.map { all[$0].deadline }
      owner.fired = []
      let before = Dictionary(uniqueKeysWithValues: all.indices.map { ($0, all[$0].deadline) })
      timers.fire(now: now)
      #expect(owner.fired.map { before[$0] ?? 0 }.sorted() == deadlines)
    }
  }
}
