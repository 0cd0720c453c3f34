import Testing

@testable import Net

/// What the loop does: it waits for what comes after `time` microseconds, at first awake if that is said to be worth it.
extension Conversation {
  fileprivate mutating func wait(_ time: UInt64) -> Bool {
    let isAwake = isClear && isAwaitedSoon
    if isClear { waited(time, awake: isAwake) }
    return isAwake
  }

  /// Has the upstream answer after `upstream` and the client ask again after `client`, `count` times.
  /// - Returns: how often the loop was awake for the answer, and for the question.
  fileprivate mutating func talk(_ count: Int, upstream: UInt64, client: UInt64) -> (answers: Int, questions: Int) {
    var awake = (0, 0)
    for _ in 0..<count {
      heard(1)
      if wait(upstream) { awake.0 += 1 }
      heard(2)
      if wait(client) { awake.1 += 1 }
    }
    return awake
  }
}

@Suite struct ConversationTests {
  @Test func `one client whose answers come in time is awaited awake`() {
    var conversation = Conversation()
    let awake = conversation.talk(100, upstream: Conversation.longest, client: 20)
    #expect(awake.answers > 90)
    #expect(awake.questions > 90)
  }

  @Test func `a client that thinks is slept for, and its upstream is not`() {
    var conversation = Conversation()
    let awake = conversation.talk(1000, upstream: 50, client: 30_000)
    #expect(awake.answers > 990)
    #expect(awake.questions == 0)
  }

  @Test func `an upstream that is far is slept for, and its client is not`() {
    var conversation = Conversation()
    let awake = conversation.talk(1000, upstream: 20_000, client: 50)
    #expect(awake.answers == 0)
    #expect(awake.questions > 990)
  }

  @Test func `a wait asleep of the longest time that counts as soon is tried awake, and one more is not`() {
    for (time, isTried) in [(Conversation.soon, true), (Conversation.soon + 1, false)] {
      var conversation = Conversation()
      let awake = conversation.talk(100, upstream: time, client: 5_000)
      #expect((awake.answers > 0) == isTried)
    }
  }

  @Test func `what always comes a little late is awaited awake once in 65 times`() {
    var conversation = Conversation()
    _ = conversation.talk(200, upstream: Conversation.longest + 1, client: 5_000)
    let awake = conversation.talk(6500, upstream: Conversation.longest + 1, client: 5_000)
    #expect(awake.answers == 100)
  }

  @Test func `one late answer is slept through twice, and forgotten with the next in time`() {
    var conversation = Conversation()
    _ = conversation.talk(200, upstream: Conversation.longest + 1, client: 5_000)
    _ = conversation.talk(100, upstream: 20, client: 5_000)
    let late = conversation.talk(1, upstream: 9_000, client: 5_000)
    let paused = conversation.talk(2, upstream: 20, client: 5_000)
    let again = conversation.talk(2, upstream: 20, client: 5_000)
    #expect([late.answers, paused.answers, again.answers] == [1, 0, 2])
  }

  @Test func `of two clients nobody waits awake`() {
    var conversation = Conversation()
    for turn in 0..<1000 {
      for word in UInt64(turn & 1) * 2...UInt64(turn & 1) * 2 + 1 {
        conversation.heard(word)
        let isAwake = conversation.wait(20)
        #expect(!isAwake)
      }
    }
  }

  @Test func `others that speak now and then do not end a conversation`() {
    var conversation = Conversation()
    _ = conversation.talk(10, upstream: 20, client: 20)
    for stranger in 3..<1000 as Range<UInt64> {
      conversation.heard(stranger)
      #expect(conversation.isClear)
      _ = conversation.talk(2, upstream: 20, client: 20)
    }
  }

  @Test func `a new pair takes the place of one that is silent`() {
    var conversation = Conversation()
    _ = conversation.talk(100, upstream: 20, client: 20)
    for _ in 0..<40 {
      conversation.heard(8)
      conversation.heard(9)
    }
    #expect(conversation.isClear)
    #expect(!conversation.isAwaitedSoon, "what is known of others says nothing of these")
  }
}
