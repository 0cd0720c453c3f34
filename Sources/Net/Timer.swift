/// Who is told when a timer's deadline has passed.
public protocol TimerOwner: AnyObject {
  func deadlinePassed(_ timer: Timer)
}

/// One deadline that may be moved often and is reached seldom.
///
/// Moving it later only writes a number: the heap finds out when the old time comes. So a request that re-arms its
/// connection's timer four times pays for four stores.
public final class Timer {
  /// Milliseconds on `Clock.milliseconds`; `never` when nothing is awaited.
  @safe @exclusivity(unchecked) public fileprivate(set) var deadline = Timer.never
  fileprivate var wake = Timer.never
  fileprivate var index = -1
  fileprivate var owner: (any TimerOwner)?

  public static let never = UInt64.max

  public init(owner: any TimerOwner) { self.owner = owner }

  /// Moves the deadline.
  public func set(_ deadline: UInt64, in timers: Timers) {
    self.deadline = deadline
    if deadline < wake { timers.schedule(self, at: deadline) }
  }

  public func clear() { deadline = Timer.never }

  /// Ends the timer and lets go of its owner.
  public func cancel(in timers: Timers) {
    deadline = Timer.never
    owner = nil
    if index >= 0 { timers.remove(self) }
  }
}

/// A binary heap of timers by the time at which each is next looked at.
public final class Timers {
  private var heap: [Timer] = []

  public init() {}

  /// When to look next, in milliseconds; nil when nothing is awaited.
  public var next: UInt64? { heap.first?.wake }

  /// Tells every owner whose deadline is `now` or earlier.
  public func fire(now: UInt64) {
    while let timer = heap.first, timer.wake <= now {
      remove(timer)
      if timer.deadline <= now {
        timer.deadline = Timer.never
        timer.owner?.deadlinePassed(timer)
      } else if timer.deadline != Timer.never {
        schedule(timer, at: timer.deadline)
      }
    }
  }

  fileprivate func schedule(_ timer: Timer, at time: UInt64) {
    timer.wake = time
    if timer.index < 0 {
      timer.index = heap.count
      heap.append(timer)
    }
    rise(timer.index)
  }

  fileprivate func remove(_ timer: Timer) {
    let hole = timer.index
    let last = heap.removeLast()
    timer.index = -1
    timer.wake = Timer.never
    guard last !== timer else { return }
    heap[hole] = last
    last.index = hole
    sink(hole)
    rise(last.index)
  }

  private func rise(_ start: Int) {
    var child = start
    while child > 0 {
      let parent = (child - 1) / 2
      guard heap[child].wake < heap[parent].wake else { return }
      swap(child, parent)
      child = parent
    }
  }

  private func sink(_ start: Int) {
    var parent = start
    while true {
      var least = parent
      for child in 2 * parent + 1...2 * parent + 2 where child < heap.count && heap[child].wake < heap[least].wake {
        least = child
      }
      guard least != parent else { return }
      swap(parent, least)
      parent = least
    }
  }

  private func swap(_ a: Int, _ b: Int) {
    heap.swapAt(a, b)
    heap[a].index = a
    heap[b].index = b
  }
}
