import CLinux
import Glibc

/// What the kernel reports of a descriptor, edge-triggered.
public struct Events: OptionSet, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let readable = Events(rawValue: EPOLLIN.rawValue)
  public static let writable = Events(rawValue: EPOLLOUT.rawValue)
  /// The peer will send no more; bytes may be queued before its end.
  public static let readEnd = Events(rawValue: EPOLLRDHUP.rawValue)
  public static let hangUp = Events(rawValue: EPOLLHUP.rawValue)
  public static let failed = Events(rawValue: EPOLLERR.rawValue)

  /// A read will answer something: bytes, the end, or an error.
  public var mayRead: Bool { !isDisjoint(with: [.readable, .readEnd, .hangUp, .failed]) }
  /// A write will answer something.
  public var mayWrite: Bool { !isDisjoint(with: [.writable, .hangUp, .failed]) }
}

/// What a loop tells of a descriptor that was registered with it.
public protocol EventHandler: AnyObject {
  func ready(_ events: Events)
}

/// A descriptor or handler that was registered with a loop. It names that one registration, so that a late event or reply
/// for a descriptor number since reused reaches nobody.
public struct Registration: Equatable, Sendable {
  let slot: UInt32
  let generation: UInt32

  var word: UInt64 { UInt64(generation) << 32 | UInt64(slot) }
}

/// An epoll loop. It is made and used on one thread only (it is not `Sendable`); others reach it by its `mailbox`.
///
/// Every descriptor is registered once, for reading and writing, edge-triggered, and never modified: who reads less than
/// there is remembers so. Invariant: a handler is called only between its `add` and its `remove`.
public final class Loop {
  public let mailbox: Mailbox
  public let timers = Timers()
  /// Milliseconds at the start of this turn (`Clock.milliseconds`).
  public var now: UInt64 { time }
  @safe @exclusivity(unchecked) private var time = Clock.milliseconds()

  private let epoll: Descriptor
  // No `deinit` of a handler's calls the loop, and nothing else could while one of these is changed.
  @safe @exclusivity(unchecked) private var slots: [Slot] = []
  @safe @exclusivity(unchecked) private var freeSlots: [UInt32] = []
  private var running = true
  @safe @exclusivity(unchecked) private var postponed: [Registration] = []
  /// Whoever works on this loop, for letters to find; let go of when `run` ends. (A weak reference would make every retain of
  /// what it refers to four times as slow.)
  public var context: AnyObject?
  /// Runs when a turn's events are all handled: for work that is cheaper done once a turn. Let go of when `run` ends.
  public var afterTurn: (() -> Void)?

  private struct Slot {
    var handler: (any EventHandler)?
    var generation: UInt32 = 0
  }

  /// The token word of the mailbox's own descriptor.
  private static let mailboxWord = UInt64.max

  /// - Parameter staysAwake: it may spend its waits awake, while that helps: there are cores enough.
  public init(staysAwake: Bool = false) throws(SystemError) {
    self.staysAwake = staysAwake
    epoll = Descriptor(owning: Int32(try blockingCall("epoll_create1") { Int(epoll_create1(Int32(EPOLL_CLOEXEC))) }))
    mailbox = try Mailbox()
    try register(mailbox.descriptor, EPOLLIN.rawValue, Loop.mailboxWord)
  }

  // MARK: Registrations

  /// Registers an open, non-blocking descriptor. Its first events come in the next turn.
  public func add(_ descriptor: Int32, _ handler: any EventHandler) throws(SystemError) -> Registration {
    let token = name(handler)
    do {
      let events = EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | chatelaine_epoll_edge()
      try register(descriptor, events, token.word)
    } catch {
      forget(token)
      throw error
    }
    return token
  }

  /// Gives a handler a token without a descriptor, for replies from other threads to find it by.
  public func name(_ handler: any EventHandler) -> Registration {
    if freeSlots.isEmpty {
      slots.append(Slot())
      freeSlots.append(UInt32(slots.count - 1))
    }
    let slot = freeSlots.removeLast()
    slots[Int(slot)].handler = handler
    return Registration(slot: slot, generation: slots[Int(slot)].generation)
  }

  /// Puts another handler in a registration's place: the descriptor has a new owner.
  public func adopt(_ token: Registration, _ handler: any EventHandler) {
    precondition(self.handler(token) != nil)
    slots[Int(token.slot)].handler = handler
  }

  /// Ends a registration. The caller closes the descriptor next, which takes it out of the kernel's set.
  public func forget(_ token: Registration) {
    let slot = Int(token.slot)
    guard slots[slot].generation == token.generation else { return }
    slots[slot].handler = nil
    slots[slot].generation &+= 1
    freeSlots.append(token.slot)
  }

  /// The handler that still goes by this token.
  public func handler(_ token: Registration) -> (any EventHandler)? {
    let slot = slots[Int(token.slot)]
    return slot.generation == token.generation ? slot.handler : nil
  }

  /// Calls `body` with every handler that stands; it may forget any of them.
  public func forEachHandler(_ body: (any EventHandler) -> Void) {
    for index in slots.indices {
      if let handler = slots[index].handler { body(handler) }
    }
  }

  /// Registrations that stand.
  public var registrations: Int { slots.count - freeSlots.count }

  private func register(_ descriptor: Int32, _ events: UInt32, _ word: UInt64) throws(SystemError) {
    var event = unsafe chatelaine_epoll_event(events, word)
    try blockingCall("epoll_ctl") { unsafe Int(epoll_ctl(epoll.number, EPOLL_CTL_ADD, descriptor, &event)) }
  }

  // MARK: Running

  /// Runs turns until `stop`.
  public func run() {
    unsafe withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: 256) { events in
      while running { unsafe turn(events) }
    }
    context = nil
    afterTurn = nil
  }

  /// Waits for events: at first awake, if one client asks one thing after another and what is awaited has been coming soon.
  ///
  /// To sleep and be woken costs a serial client's request some 30 µs, and several times that on a virtual machine: more than
  /// all else. An idle loop sleeps, and so does one whose upstream is far.
  /// - Parameter timeout: milliseconds; -1 for ever.
  @unsafe private func wait(_ events: UnsafeMutableBufferPointer<epoll_event>, _ timeout: Int32) -> Int {
    guard timeout != 0, staysAwake, conversation.isClear else { return unsafe poll(events, timeout) }
    let start = Clock.microseconds()
    let isAwake = conversation.isAwaitedSoon
    if isAwake {
      repeat {
        let ready = unsafe poll(events, 0)
        if ready > 0 {
          conversation.waited(Clock.microseconds() - start, awake: true)
          return ready
        }
        // Whoever can run on this core goes first: the keeper, another loop, the very program that is waited for.
        sched_yield()
      } while Clock.microseconds() - start < Conversation.longest
    }
    let ready = unsafe poll(events, timeout)
    conversation.waited(Clock.microseconds() - start, awake: isAwake)
    return ready
  }

  @unsafe private func poll(_ events: UnsafeMutableBufferPointer<epoll_event>, _ timeout: Int32) -> Int {
    let ready = unsafe epoll_wait(epoll.number, events.baseAddress, Int32(events.count), timeout)
    precondition(ready >= 0 || errno == EINTR, "epoll_wait failed")
    return Int(max(ready, 0))
  }

  private let staysAwake: Bool
  private var conversation = Conversation()

  /// Calls the handler again next turn, without events: for one who has more to do but must let others go first.
  public func postpone(_ token: Registration) { postponed.append(token) }

  private func resume() {
    let tokens = postponed
    postponed.removeAll(keepingCapacity: true)
    for token in tokens { handler(token)?.ready([]) }
  }

  /// Ends `run` after this turn.
  public func stop() { running = false }

  @unsafe private func turn(_ events: UnsafeMutableBufferPointer<epoll_event>) {
    var timeout: Int32 = -1
    if let next = timers.next { timeout = next > now ? Int32(min(next - now, 60_000)) : 0 }
    if !postponed.isEmpty { timeout = 0 }
    let ready = unsafe wait(events, timeout)
    time = Clock.milliseconds()
    var hasMail = false
    for index in 0..<ready {
      let word = unsafe chatelaine_epoll_token(events.baseAddress.unsafelyUnwrapped + index)
      if word == Loop.mailboxWord {
        hasMail = true
        continue
      }
      conversation.heard(word)
      let token = Registration(
        slot: UInt32(truncatingIfNeeded: word), generation: UInt32(truncatingIfNeeded: word >> 32))
      let bits = unsafe chatelaine_epoll_events(events.baseAddress.unsafelyUnwrapped + index)
      handler(token)?.ready(Events(rawValue: bits))
    }
    if !postponed.isEmpty { resume() }
    if hasMail { mailbox.deliver(to: self) }
    timers.fire(now: now)
    afterTurn?()
  }
}
