import Broker
import Testing

private func pool(idleTime: UInt64 = 1000, requests: Int = 100, perKey: Int = 3) -> PoolState<String, Int> {
  var limits = PoolState<String, Int>.Limits()
  (limits.idleTime, limits.requests, limits.perKey) = (idleTime, requests, perKey)
  return PoolState(limits)
}

@Test func `the connection put back last is taken first`() {
  var pool = pool()
  #expect(pool.take("a", now: 0) == nil)
  for handle in 1...3 { #expect(pool.put(handle, "a", requests: 1, now: UInt64(handle)) == nil) }
  #expect([3, 2, 1, nil] == (0..<4).map { _ in pool.take("a", now: 5) })
  #expect(pool.count == 0 && pool.nextExpiry == nil)
}

@Test func `connections of one key are of no use to another (T4.4)`() {
  var pool = pool()
  #expect(pool.put(1, "a", requests: 1, now: 0) == nil)
  #expect(pool.take("b", now: 0) == nil)
  #expect(pool.take("a", now: 0) == 1)
}

@Test func `one that has carried enough is closed`() {
  var pool = pool(requests: 2)
  #expect(pool.put(1, "a", requests: 1, now: 0) == nil)
  #expect(pool.put(2, "a", requests: 2, now: 0) == 2)
  #expect(pool.count == 1)
}

@Test func `where there are too many the oldest goes`() {
  var pool = pool(perKey: 2)
  #expect(pool.put(1, "a", requests: 1, now: 0) == nil)
  #expect(pool.put(2, "a", requests: 1, now: 1) == nil)
  #expect(pool.put(3, "a", requests: 1, now: 2) == 1)
  #expect(pool.put(4, "b", requests: 1, now: 2) == nil)
  #expect(pool.count == 3)
}

@Test func `what is too old is never handed out, and is given up for closing once`() {
  var pool = pool(idleTime: 10)
  _ = pool.put(1, "a", requests: 1, now: 0)
  _ = pool.put(2, "a", requests: 1, now: 5)
  #expect(pool.nextExpiry == 10)
  #expect(pool.expire(now: 9) == [])
  #expect(pool.expire(now: 10) == [1])
  #expect(pool.nextExpiry == 15)
  #expect(pool.take("a", now: 15) == nil)
  #expect(pool.expire(now: 15) == [2])
  #expect(pool.expire(now: 99) == [] && pool.count == 0)
}

@Test func `all are given up at the end of time`() {
  var pool = pool()
  _ = pool.put(1, "a", requests: 1, now: 5)
  _ = pool.put(2, "b", requests: 1, now: 6)
  #expect(Set(pool.expire(now: .max)) == [1, 2])
}

@Test func `one that its peer has ended is forgotten`() {
  var pool = pool()
  for handle in 1...3 { _ = pool.put(handle, "a", requests: 1, now: 0) }
  pool.remove("a") { $0 == 2 }
  pool.remove("a") { $0 == 9 }
  pool.remove("b") { $0 == 1 }
  #expect(pool.count == 2 && pool.take("a", now: 0) == 3 && pool.take("a", now: 0) == 1)
}

/// SplitMix64.
private struct Random: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

@Test(arguments: 0..<20) func `on any walk no connection is lost, kept twice or handed out old`(_ seed: Int) {
  var random = Random(state: UInt64(seed))
  var pool = pool(idleTime: 20, requests: 5, perKey: 4)
  var leased: [Int: (key: String, requests: Int)] = [:]
  var idle: [Int: UInt64] = [:]
  var requests: [Int: Int] = [:]
  var made = 0
  var now: UInt64 = 0
  for _ in 0..<2000 {
    now += UInt64.random(in: 0...3, using: &random)
    let key = ["a", "b", "c"].randomElement(using: &random) ?? "a"
    switch Int.random(in: 0..<4, using: &random) {
    case 0, 1:
      let handle: Int
      if let taken = pool.take(key, now: now) {
        handle = taken
        #expect(idle[taken].map { now < $0 + 20 } == true)
        idle[taken] = nil
      } else {
        made += 1
        handle = made
      }
      #expect(leased[handle] == nil)
      requests[handle, default: 0] += 1
      leased[handle] = (key, requests[handle] ?? 0)
    case 2:
      guard let (handle, lease) = leased.min(by: { $0.key < $1.key }) else { continue }
      leased[handle] = nil
      idle[handle] = now
      if let closed = pool.put(handle, lease.key, requests: lease.requests, now: now) {
        #expect(idle.removeValue(forKey: closed) != nil)
      }
    default:
      for expired in pool.expire(now: now) {
        #expect(idle.removeValue(forKey: expired).map { $0 + 20 <= now } == true)
      }
      #expect(idle.values.allSatisfy { $0 + 20 > now })
    }
    #expect(pool.count == idle.count)
    #expect(pool.nextExpiry == idle.values.min().map { $0 + 20 })
  }
}
