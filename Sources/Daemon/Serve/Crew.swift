import Broker
import Crypto
import Config
import Glibc
import Net
import Synchronization

/// What the loops of one daemon share, and the way from any thread to each of them.
final class Crew: Sendable {
  let log: Log
  let resolver = Resolver()
  let budget = ConnectionBudget()
  let started = Clock.wallMilliseconds()
  let ownUID = geteuid()
  private let members = Lock<[Member]>([])
  private let shared = Lock(Shared())
  private let bufferedBytes = Atomic<Int>(0)
  private let settings: Lock<Settings>
  private let draining = Lock<Set<Int>>([])
  /// What metrics tell of tokens: the keeper writes it.
  let tokens = Lock<TokenReport>(TokenReport())
  private let whenDrained = Lock<(@Sendable () -> Void)?>(nil)

  private struct Settings {
    var total: Int
    var perCaller: Int
    var buffered: Int
  }

  private struct Shared {
    var keeper: Keeper?
    var addresses: [String] = []
    var browsersReturn: String?
    var reloadsDone = 0
    var reloadsRefused = 0
  }

  /// A loop, as others see it.
  struct Member: Sendable {
    let mailbox: Mailbox

    /// Has `body` run on the loop's thread.
    func post(_ body: @escaping @Sendable (Worker) -> Void) {
      mailbox.post { loop in
        if let worker = loop.context as? Worker { body(worker) }
      }
    }
  }

  init(log: Log, deployment: Deployment) {
    self.log = log
    settings = Lock(Crew.settings(of: deployment))
  }

  private static func settings(of deployment: Deployment) -> Settings {
    Settings(
      total: deployment.limits.connections, perCaller: deployment.limits.connectionsPerCaller,
      buffered: deployment.limits.buffered)
  }

  /// Who answers the admin socket; nil until the daemon is ready.
  var keeper: Keeper? { shared.withLock { $0.keeper } }
  /// Where it listens, as printed.
  var addresses: [String] { shared.withLock { $0.addresses } }
  var reloads: (done: Int, refused: Int) { shared.withLock { ($0.reloadsDone, $0.reloadsRefused) } }

  /// The TCP listener, as printed, that users come back to from a login; nil: there is none.
  var browsersReturn: String? { shared.withLock { $0.browsersReturn } }

  func open(_ keeper: Keeper, _ addresses: [String], browsersReturn: String? = nil) {
    shared.withLock {
      $0.browsersReturn = browsersReturn
      $0.keeper = keeper
      $0.addresses = addresses
    }
  }

  func reloaded(done: Bool) {
    shared.withLock { if done { $0.reloadsDone += 1 } else { $0.reloadsRefused += 1 } }
  }

  var workers: [Member] { members.withLock { $0 } }
  var connectionLimits: (total: Int, perCaller: Int) { settings.withLock { ($0.total, $0.perCaller) } }

  /// Accounts for bytes of gathered bodies. False when that is more than all of them may take together.
  func buffered(_ count: Int) -> Bool {
    let total = bufferedBytes.add(count, ordering: .relaxed).newValue
    if count > 0, total > settings.withLock({ $0.buffered }) {
      bufferedBytes.subtract(count, ordering: .relaxed)
      return false
    }
    return true
  }

  // MARK: The loops

  /// Starts `count` loops: the first one's is left to the caller to run, the others have threads of their own.
  /// - Parameter staysAwake: see `Loop`.
  func start(_ count: Int, staysAwake: Bool = false, deployment: Deployment) throws(SystemError) -> Worker {
    let first = try Loop(staysAwake: staysAwake)
    let worker = Worker(index: 0, of: count, loop: first, crew: self, deployment: deployment)
    members.withLock { $0 = [Member(mailbox: first.mailbox)] }
    for index in 1..<max(count, 1) {
      let born = Lock<Result<Mailbox, SystemError>?>(nil)
      try Thread.start("loop") {
        do throws(SystemError) {
          let loop = try Loop(staysAwake: staysAwake)
          let worker = Worker(index: index, of: count, loop: loop, crew: self, deployment: deployment)
          born.signal { $0 = .success(loop.mailbox) }
          withExtendedLifetime(worker) { loop.run() }
        } catch {
          born.signal { $0 = .failure(error) }
        }
      }
      let mailbox = try born.wait { $0 }.get()
      members.withLock { $0.append(Member(mailbox: mailbox)) }
    }
    return worker
  }

  /// Puts a deployment in force in every loop, and returns when it is.
  func adopt(_ deployment: Deployment) async {
    let new = Crew.settings(of: deployment)
    settings.withLock { $0 = new }
    let members = workers
    let left = Lock(members.count)
    await withCheckedContinuation { continuation in
      for member in members {
        member.post { worker in
          worker.adopt(deployment)
          let isLast = left.withLock { left in
            left -= 1
            return left == 0
          }
          if isLast { continuation.resume() }
        }
      }
    }
  }

  // MARK: Tokens

  /// Has `body` run with the route's shelf on one loop's thread, or on every one's.
  func post(shelf key: TokenKey, to index: Int? = nil, _ body: @escaping @Sendable (TokenShelf) -> Void) {
    for (place, member) in workers.enumerated() where index == nil || index == place {
      member.post { worker in
        if let shelf = worker.shelf(of: key.route) { body(shelf) }
      }
    }
  }

  /// Compares a vendor's clock with ours by the `Date` of an answer; a difference is logged when it is new.
  /// - Returns: seconds by which it is ahead of ours; 0 while they agree.
  @discardableResult
  func observe(date: Span<UInt8>, of route: String) -> Int64 {
    let now = Clock.wallMilliseconds() / 1000
    let (isNews, seconds) = tokens.withLock { report in
      var skew = report.skews[route] ?? ClockSkew()
      let isNews = skew.observe(date: date, now: now)
      if isNews || report.skews[route] != nil { report.skews[route] = skew }
      return (isNews, skew.seconds)
    }
    if isNews {
      let text = seconds == 0 ? "they agree again" : "the vendor's is \(seconds) s ahead of ours"
      log.say(.warning, "clocks differ by more than a minute", ("route", route), ("reason", text))
    }
    return seconds
  }

  /// - Parameter time: milliseconds of the loops' clock.
  func wakeKeeper(at time: UInt64) { workers.first?.post { $0.wakeKeeper(at: time) } }

  /// No call of our own is begun any more.
  var isStopping: Bool { whenDrained.withLock { $0 != nil } }

  /// Ends the service: `done` is called when the last connection is closed.
  func drain(_ done: @escaping @Sendable () -> Void) {
    whenDrained.withLock { $0 = done }
    for member in workers { member.post { $0.drain() } }
  }

  func drained(_ index: Int) {
    let count = workers.count
    let isLast = draining.withLock { draining in
      draining.insert(index)
      return draining.count == count
    }
    if isLast { whenDrained.withLock { $0 }?() }
  }

  /// Collects what all loops have counted, and hands it to `body` on one of their threads.
  func numbers(_ body: @escaping @Sendable (LoopNumbers) -> Void) {
    let members = workers
    let sum = Lock<(LoopNumbers, Int)>(([:], members.count))
    for member in members {
      member.post { worker in
        let own = worker.numbers()
        let total = sum.withLock { sum -> LoopNumbers? in
          sum.0.merge(own) { old, new in
            var both = old
            both.add(new)
            return both
          }
          sum.1 -= 1
          return sum.1 == 0 ? sum.0 : nil
        }
        if let total { body(total) }
      }
    }
  }
}
