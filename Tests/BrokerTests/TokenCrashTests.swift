import Testing

@testable import Broker

/// What a machine does about requests of which nobody knows the end.
struct TokenCrashTests {
  @Test func `after a crash in the middle the old token is tried once, at once, and a refusal says when it was`() {
    for fetch in [TokenRules.Fetch.never, .once, .always] {
      let life = Life(fetch)
      life.on(.restored(life.grant(1)))
      #expect(life.on(.interrupted(at: 77)) == [.begin(.refresh, generation: 2)])
      #expect(life.want(1) == [.resume([1], generation: 1)], "it still works")
      #expect(life.want(2, at: 1000).isEmpty)
      let actions = life.on(.refused(generation: 2))
      if fetch == .always {
        #expect(actions == [.begin(.fetch, generation: 3)])
      } else {
        #expect(actions == [.noteRefusal(generation: 1), .fail([2], .reauthorizationRequired(interruptedAt: 77))])
        #expect(life.want(3) == [.fail([3], .reauthorizationRequired(interruptedAt: 77))])
      }
    }
  }

  @Test func `a first request with a spent secret says when it was interrupted as well`() {
    let life = Life(.once)
    #expect(life.on(.interrupted(at: 77)) == [.begin(.fetch, generation: 1)])
    _ = life.want()
    #expect(life.on(.refused(generation: 1)) == [.fail([1], .reauthorizationRequired(interruptedAt: 77))])
  }

  @Test func `a crash before anything could be lost leaves no trace`() {
    let life = Life(.never)
    life.on(.restored(life.grant(1)))
    life.on(.interrupted(at: 77))
    #expect(life.on(.granted(life.grant(2))).first == .publish(generation: 2))
    #expect(life.machine.interruptedAt == nil)
    life.on(.rejected(2), at: 20)
    #expect(life.on(.refused(generation: 3)) == [.noteRefusal(generation: 2)])
    #expect(life.want() == [.fail([1], .reauthorizationRequired(interruptedAt: nil))])
  }

  @Test func `an answer that was lost is remembered like a crash, from the first of them on`() {
    let life = Life(.never)
    life.on(.restored(life.grant(1, life: 0)))
    _ = life.want(at: 5)
    let begun = life.now.seconds
    _ = life.down(2, uncertain: true)
    _ = life.want(at: 10)
    _ = life.down(3, uncertain: true)
    #expect(life.machine.interruptedAt == begun)
    _ = life.want(at: 50)
    #expect(
      life.on(.refused(generation: 4)) == [
        .noteRefusal(generation: 1), .fail([1], .reauthorizationRequired(interruptedAt: begun)),
      ])
  }

  @Test func `a token that has ended on its way is not published, and its refresh token is not lost`() {
    let life = Life(.never)
    life.on(.restored(life.grant(1, life: 0)))
    _ = life.want()
    let actions = life.on(.granted(life.grant(2, life: 0)))
    #expect(actions == [.fail([1], .unavailable(retryAfter: 1)), .wakeAt(life.uptime(1))])
    #expect(life.machine.held?.generation == 2)
    #expect(life.want(at: 1) == [.begin(.refresh, generation: 3)])
  }
}
