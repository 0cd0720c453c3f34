import Testing

@testable import Broker

private typealias Machine = TokenMachine

struct TokenLifeTests {
  // MARK: One request for all

  @Test func `a thousand who want a cold token cause one request, and all get its token`() {
    let life = Life()
    var begun: [Machine.Action] = []
    for waiter in 0..<1000 as Range<UInt64> { begun += life.want(waiter) }
    #expect(begun == [.begin(.fetch, generation: 1)])
    #expect(
      life.on(.granted(life.grant(1))) == [
        .publish(generation: 1), .resume(Array(0..<1000), generation: 1), .wakeAt(life.uptime(940)),
      ])
    #expect(life.machine.waiters.isEmpty)
    #expect(life.want(1000) == [.resume([1000], generation: 1)])
  }

  @Test func `its failure reaches all who wait, once`() {
    let life = Life()
    for waiter in 0..<1000 as Range<UInt64> { _ = life.want(waiter) }
    #expect(life.on(.refused(generation: 1)) == [.fail(Array(0..<1000), .refused)])
    #expect(life.on(.refused(generation: 1)).isEmpty && life.machine.waiters.isEmpty)
  }

  // MARK: Renewal

  @Test func `a token in use is renewed before its end, and serves meanwhile`() {
    let life = Life()
    _ = life.want()
    life.on(.granted(life.grant(1)))
    life.on(.used(at: life.uptime(500)), at: 500)
    #expect(life.on(.tick, at: 939) == [.wakeAt(life.uptime(940))], "too early")
    #expect(life.on(.tick, at: 940) == [.begin(.refresh, generation: 2)])
    #expect(life.want(2, at: 999) == [.resume([2], generation: 1)])
    #expect(life.want(3, at: 1000).isEmpty, "what has ended is not given out")
    #expect(life.on(.granted(life.grant(2))).contains(.resume([3], generation: 2)))
  }

  @Test func `one that nobody uses is left alone, until somebody does`() {
    let life = Life()
    life.on(.restored(life.grant(1)))
    #expect(life.on(.tick, at: 940).isEmpty && life.machine.state == .due)
    #expect(life.on(.used(at: life.uptime(950)), at: 950) == [.begin(.refresh, generation: 2)])

    let old = Life()
    _ = old.want()
    old.on(.granted(old.grant(1, life: 5000)))
    #expect(old.on(.tick, at: 4940) == [.begin(.refresh, generation: 2)], "used within its life")
    old.on(.granted(old.grant(2, life: 5000)))
    #expect(old.on(.tick, at: 9880).isEmpty, "not used within this one")

    let short = Life()
    _ = short.want()
    short.on(.granted(short.grant(1, life: 30)))
    #expect(short.on(.tick, at: 600) == [.begin(.refresh, generation: 2)], "used within ten minutes")
  }

  @Test(
    arguments: [
      // Seconds of its life and of renewBefore, and milliseconds after which it is renewed at the latest and earliest.
      (1000, 60, 940_000, 934_000), (7200, 600, 6_600_000, 6_540_000), (120, 60, 60_000, 54_000),
      (100, 60, 50_000, 45_000), (30, 60, 15_000, 13_500), (1000, 0, 1_000_000, 1_000_000),
    ] as [(Int64, Int64, Int64, Int64)])
  func `renewal is spread, and comes at half the life of a short one`(
    life length: Int64, renewBefore: Int64, latest: Int64, earliest: Int64
  ) throws {
    for (jitter, expected) in [
      (0, latest...latest), (latest - earliest, earliest...earliest), (.max, earliest...latest),
    ] {
      let life = Life(renewBefore: renewBefore)
      life.on(.restored(life.grant(1, life: length)), jitter: UInt64(jitter))
      let renewal = try #require(life.machine.held?.renewal?.uptime)
      #expect(expected ~= renewal - life.uptime(0))
    }
  }

  @Test func `a token without an end is never due`() {
    let life = Life()
    #expect(life.on(.restored(life.grant(1, life: nil))) == [.publish(generation: 1)])
    #expect(life.want(at: 1_000_000_000) == [.resume([1], generation: 1)])
    #expect(life.machine.state == .fresh)
  }

  @Test func `a refresh token near its end is not tried where a new token can be fetched`() {
    for (fetch, way) in [(.always, .fetch), (.never, .refresh)] as [(TokenRules.Fetch, Machine.Way)] {
      let life = Life(fetch, renewBefore: 600)
      life.on(.restored(life.grant(1, life: 7200, refresh: 8000)))
      #expect(life.want(at: 7399).first == .begin(.refresh, generation: 2))
      let later = Life(fetch, renewBefore: 600)
      later.on(.restored(later.grant(1, life: 7200, refresh: 8000)))
      #expect(later.want(at: 7400).first == .begin(way, generation: 2))
    }
  }

  // MARK: Dead on arrival

  @Test func `a hundred rejections retire a token once`() {
    let life = Life()
    life.on(.restored(life.grant(1)))
    var actions: [Machine.Action] = []
    for waiter in 0..<100 as Range<UInt64> { actions += life.on(.rejected(1)) + life.want(waiter, used: 1) }
    #expect(actions == [.retire(generation: 1), .begin(.refresh, generation: 2)])
    #expect(life.on(.granted(life.grant(2))).contains(.resume(Array(0..<100), generation: 2)))
    #expect(life.on(.rejected(1)).isEmpty, "one that was slow to hear it")
    #expect(life.want(100, used: 1) == [.resume([100], generation: 2)])
  }

  @Test func `where the new one is rejected as well the answer stands, for longer and longer`() {
    let life = Life()
    life.on(.restored(life.grant(1, life: 100_000)))
    var newest: Int64 = 1
    for pause in [0, 10, 20, 40, 80, 160, 300, 300] as [Int64] {
      if pause > 0 {
        #expect(life.on(.rejected(newest), at: life.seconds + pause - 1).isEmpty)
        #expect(life.want(used: newest) == [.fail([1], .stands)])
        #expect(life.want() == [.resume([1], generation: newest)], "others may do better")
        life.seconds += 1
      }
      #expect(life.on(.rejected(newest)).first == .retire(generation: newest), "after \(pause) s")
      newest += 1
      life.on(.granted(life.grant(newest, life: 100_000)))
    }
    life.on(.rejected(newest), at: life.seconds + 600)
    life.on(.granted(life.grant(newest + 1, life: 100_000)))
    #expect(life.on(.rejected(newest + 1), at: life.seconds + 10).first == .retire(generation: newest + 1))
  }

  @Test func `a token that is rejected while it is being renewed is only retired`() {
    let life = Life()
    _ = life.want()
    life.on(.granted(life.grant(1)))
    life.on(.tick, at: 940)
    #expect(life.on(.rejected(1)) == [.retire(generation: 1)])
    #expect(life.want(2, used: 1).isEmpty)
    #expect(life.down(2).first == .fail([2], .unavailable(retryAfter: 1)))
    #expect(life.want(3) == [.fail([3], .unavailable(retryAfter: 1))], "the retired one is not given out")
  }

  // MARK: Failures

  @Test func `while the endpoint is down the old token serves to its end, and then nothing does`() {
    let life = Life()
    _ = life.want()
    life.on(.granted(life.grant(1)))
    #expect(life.on(.tick, at: 940) == [.begin(.refresh, generation: 2)])
    #expect(life.down(2, retryAfter: 70) == [.wakeAt(life.uptime(1010))])
    #expect(life.want(2, at: 999) == [.resume([2], generation: 1)])
    #expect(life.want(3, at: 1000) == [.fail([3], .unavailable(retryAfter: 10))])
    #expect(life.on(.tick, at: 1010) == [.begin(.fetch, generation: 3)], "the refresh failed: a new token")
    #expect(life.on(.granted(life.grant(3))).first == .publish(generation: 3))
  }

  @Test func `where nothing can be fetched, the same refresh token is tried again`() {
    let life = Life(.never)
    life.on(.restored(life.grant(1, life: 0)))
    #expect(life.want() == [.begin(.refresh, generation: 2)])
    #expect(life.down(2) == [.fail([1], .unavailable(retryAfter: 1)), .wakeAt(life.uptime(1))])
    #expect(life.want(at: 1) == [.begin(.refresh, generation: 3)])
  }

  @Test func `a refusal is remembered for longer each time, and a token ends that`() {
    let life = Life()
    var generation: Int64 = 0
    for memory in [10, 20, 40] as [Int64] {
      generation += 1
      #expect(life.want() == [.begin(.fetch, generation: generation)])
      #expect(life.on(.refused(generation: generation)) == [.fail([1], .refused)])
      #expect(life.want(at: life.seconds + memory - 1) == [.fail([1], .refused)])
      #expect(life.on(.tick).isEmpty, "nobody asks in the background")
      life.seconds += 1
    }
    #expect(life.want() == [.begin(.fetch, generation: 4)])
    life.on(.granted(life.grant(4, life: 10, canRefresh: false)))
    #expect(life.want(at: life.seconds + 10) == [.begin(.fetch, generation: 5)])
    life.on(.refused(generation: 5))
    #expect(life.want(at: life.seconds + 10) == [.begin(.fetch, generation: 6)], "from 10 s again")
  }

  @Test func `a refused refresh falls back to a new token, else the session is over`() {
    let life = Life()
    life.on(.restored(life.grant(1, life: 0)))
    _ = life.want()
    #expect(life.on(.refused(generation: 2)) == [.begin(.fetch, generation: 3)])
    #expect(life.down(3).first == .fail([1], .unavailable(retryAfter: 1)))
    #expect(life.want(at: 1) == [.begin(.fetch, generation: 4)], "not the one that was refused")

    for fetch in [TokenRules.Fetch.never, .once] {
      let life = Life(fetch)
      life.on(.restored(life.grant(1, life: 0)))
      _ = life.want()
      #expect(
        life.on(.refused(generation: 2)) == [
          .noteRefusal(generation: 1), .fail([1], .reauthorizationRequired(interruptedAt: nil)),
        ])
      #expect(life.want(at: 1_000_000) == [.fail([1], .reauthorizationRequired(interruptedAt: nil))])
      let rules = TokenRules(fetch: fetch, refreshes: true)
      #expect(life.on(.reconfigured(rules)).isEmpty)
      #expect(life.want() == [.begin(.refresh, generation: 3)], "a new client secret keeps the session")
    }
  }

  @Test(arguments: [TokenRules.Fetch.never, .once])
  func `a refresh token that was refused before a restart is not shown again`(_ fetch: TokenRules.Fetch) {
    let life = Life(fetch)
    #expect(life.on(.restored(life.grant(1), wasRefused: true)) == [.publish(generation: 1)])
    #expect(life.machine.state == .reauthorizationRequired)
    #expect(life.want(1) == [.resume([1], generation: 1)], "as long as it works, it serves")
    #expect(life.on(.interrupted(at: 5)).isEmpty && life.on(.tick, at: 950).isEmpty)
    #expect(life.on(.rejected(1)) == [.retire(generation: 1)])
    #expect(life.want(2) == [.fail([2], .reauthorizationRequired(interruptedAt: 5))])
    life.on(.reconfigured(TokenRules(fetch: fetch, refreshes: true)))
    #expect(life.want(3) == [.begin(.refresh, generation: 2)])

    let fetching = Life()
    fetching.on(.restored(fetching.grant(1, life: 0), wasRefused: true))
    #expect(fetching.want() == [.begin(.fetch, generation: 2)], "there is another way")
  }

  @Test func `a refresh token that is a secret is used until an answer brings another`() {
    let life = Life(.once)
    #expect(life.want() == [.begin(.fetch, generation: 1)])
    life.on(.granted(life.grant(1, life: 10, canRefresh: false)))
    #expect(life.want(at: 10) == [.begin(.fetch, generation: 2)])
    life.on(.granted(life.grant(2, life: 10, canRefresh: true)))
    #expect(life.want(at: 20) == [.begin(.refresh, generation: 3)])
  }

  @Test func `who cannot fetch and has no session is told so`() {
    let life = Life(.never)
    #expect(life.want() == [.fail([1], .notConnected)])
    #expect(life.machine.state == .absent)
    life.on(.restored(life.grant(1, canRefresh: false)))
    #expect(life.want() == [.resume([1], generation: 1)])
    #expect(life.want(at: 1000) == [.fail([1], .reauthorizationRequired(interruptedAt: nil))])
  }

  // MARK: What is void

  @Test func `what is granted after the token was dropped, or its credentials changed, is never published`() {
    for event in [Machine.Event.dropped, .credentialsChanged] {
      let life = Life()
      _ = life.want(1)
      #expect(life.on(event) == [.forget, .begin(.fetch, generation: 2)])
      #expect(!life.machine.awaits(1) && life.machine.awaits(2))
      #expect(life.on(.granted(life.grant(1))).isEmpty)
      #expect(life.on(.refused(generation: 1)).isEmpty && life.down(1).isEmpty)
      #expect(life.machine.held == nil && life.machine.waiters == [1])
      #expect(life.on(.granted(life.grant(2))).contains(.resume([1], generation: 2)))
      #expect(life.on(event) == [.retire(generation: 2), .forget])
      #expect(life.want(2) == [.begin(.fetch, generation: 3)], "no number is used twice")
    }
  }

  @Test func `a change forgets what failed`() {
    for event in [
      Machine.Event.dropped, .credentialsChanged, .reconfigured(TokenRules(fetch: .always, refreshes: true)),
    ] {
      let life = Life()
      _ = life.want()
      life.on(.refused(generation: 1))
      life.on(event)
      #expect(life.want() == [.begin(.fetch, generation: 2)])
      _ = life.down(2, retryAfter: 3000)
      life.on(event)
      #expect(life.want() == [.begin(.fetch, generation: 3)])
    }
  }

  @Test func `a reload in the middle loses no answer, and asks once more what the old rules made fail`() {
    let rules = TokenRules(fetch: .always, refreshes: true, renewBefore: 60)
    let life = Life()
    _ = life.want()
    #expect(life.on(.reconfigured(rules)).isEmpty)
    #expect(life.on(.granted(life.grant(1))).contains(.resume([1], generation: 1)))

    for (way, held) in [(Machine.Way.fetch, false), (.refresh, true)] {
      let life = Life()
      if held { life.on(.restored(life.grant(1, life: 0))) }
      _ = life.want()
      let first = life.machine.lastGeneration
      life.on(.reconfigured(rules))
      #expect(life.on(.refused(generation: first)) == [.begin(way, generation: first + 1)])
      #expect(life.on(.refused(generation: first + 1)) != [.begin(way, generation: first + 2)])
    }
    let broken = Life()
    _ = broken.want()
    broken.on(.reconfigured(rules))
    #expect(broken.down(1) == [.begin(.fetch, generation: 2)])
    #expect(broken.down(2).first == .fail([1], .unavailable(retryAfter: 1)))
  }

  @Test func `a reload that also changes the credentials sends nothing of the old session in between`() {
    let life = Life()
    _ = life.want()
    life.on(.granted(life.grant(1)))
    life.on(.used(at: life.uptime(935)), at: 935)
    let rules = TokenRules(fetch: .always, refreshes: true, renewBefore: 60)
    #expect(life.on(.reconfigured(rules), at: 945) == [.wakeAt(life.uptime(945))])
    let machine = life.machine
    #expect(life.on(.tick) == [.begin(.refresh, generation: 2)])
    life.machine = machine
    #expect(life.on(.credentialsChanged) == [.retire(generation: 1), .forget])
    #expect(life.on(.tick).isEmpty)
  }

  // MARK: The clock

  @Test func `a token that has ended while the machine slept is not given out`() {
    let life = Life()
    life.on(.restored(life.grant(1)))
    life.offset = -5000
    #expect(life.want(at: 1000) == [.begin(.refresh, generation: 2)], "whatever the wall clock says")
  }

  @Test func `a wall clock that jumps forward costs one refresh, and back nothing`() {
    let life = Life()
    _ = life.want()
    life.on(.granted(life.grant(1)))
    life.offset = 86_400
    #expect(life.want(2) == [.begin(.refresh, generation: 2)])
    life.on(.granted(life.grant(2)))
    life.offset = 0
    #expect(life.want(3, at: 900) == [.resume([3], generation: 2)])
    #expect(life.want(4, at: 1000) == [.begin(.refresh, generation: 3)], "no later than its life")
  }

  @Test func `a token in the store that has ended is not published`() {
    let life = Life()
    let grant = life.grant(4)
    life.seconds = 1000
    #expect(life.on(.restored(grant)).isEmpty)
    #expect(life.machine.state == .due && life.want() == [.begin(.refresh, generation: 5)])
  }
}
