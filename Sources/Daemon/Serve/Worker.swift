import Broker
import Bytes
import Config
import Connector
import Crypto
import HTTP
import Net

/// One loop's share of the daemon: its routes at work, its spare exchanges, its counts and the lines it will log.
///
/// Made and used on the loop's thread only. Everything shared is behind `Crew`.
final class Worker: TimerOwner {
  let loop: Loop
  let crew: Crew
  let index: Int
  /// How many there are of us.
  private let count: Int
  private(set) var deployment: Deployment
  /// The deployment's, at hand: going through it would count references several times a request.
  private(set) var patience: Patience
  private(set) var isDraining = false
  // What is lent of these calls nothing that could come back here.
  @safe @exclusivity(unchecked) var bench = SigningBench()

  private var states: [RouteState] = []
  @safe @exclusivity(unchecked) private var spare: [Exchange] = []
  /// Runs while there are many spare exchanges, or some with room for large bodies: making them anew for each turn would cost
  /// as much as moving the bytes.
  private var shrinking: Timer?
  private static let manySpares = 64
  private static let mostSpares = 256
  /// Milliseconds.
  private static let spareTime: UInt64 = 1000
  private var contexts: [TLSSettings: TLSContext] = [:]
  private var lines = Buffer()
  /// By route name, over all deployments.
  private var tallies: [String: RouteTally] = [:]
  private var nowhere = RouteNumbers()
  /// The tokens of routes that have some, by route name, over all deployments.
  private var shelves: [String: TokenShelf] = [:]
  private var tokenAlarm: Timer?
  private var clients = 0
  private var calls: [ObjectIdentifier: EndpointCall] = [:]
  private var idPrefix: UInt64
  private var idCount: UInt64 = 0

  init(index: Int, of count: Int, loop: Loop, crew: Crew, deployment: Deployment) {
    self.index = index
    self.count = max(count, 1)
    self.loop = loop
    self.crew = crew
    self.deployment = deployment
    patience = deployment.patience
    idPrefix = Worker.random()
    adopt(deployment)
    loop.context = self
    loop.afterTurn = { self.flushLines() }
  }

  /// Bits from the system's cryptographic source.
  static func random<Number: FixedWidthInteger>() -> Number {
    var number: Number = 0
    unsafe withUnsafeMutableBytes(of: &number) { unsafe Random.fill($0) }
    return number
  }

  var resolver: Resolver { crew.resolver }

  // MARK: The snapshot

  /// Puts a snapshot in force. Exchanges under way end with the one they started with.
  func adopt(_ deployment: Deployment) {
    for state in states { state.retire() }
    self.deployment = deployment
    patience = deployment.patience
    if deployment.readsFilesAnew { contexts = [:] }
    states = zip(deployment.snapshot.routes, deployment.tls).map { RouteState($0, $1, worker: self) }
  }

  func state(of route: Route) -> RouteState { states[route.index] }

  /// Whether a connection to an upstream may wait for its next request: those that wait leave descriptors for others.
  var hasRoomToKeep: Bool { loop.registrations * count <= deployment.limits.connections }

  /// The context for a route's TLS settings; routes that say the same share one.
  func tlsContext(_ tls: Deployment.TLS) throws(TLSError) -> TLSContext {
    if let key = tls.key { return try TLSContext(tls.settings, key: key.span) }
    if let context = contexts[tls.settings] { return context }
    let context = try TLSContext(tls.settings)
    contexts[tls.settings] = context
    return context
  }

  // MARK: Clients

  /// Serves an accepted connection.
  func serve(_ number: Int32, _ entrance: Entrance, _ peer: Peer) {
    do throws(SystemError) {
      _ = try ClientConnection(Stream(Descriptor(owning: number)), entrance: entrance, peer: peer, worker: self)
      clients += 1
    } catch {
      if entrance != .admin { crew.budget.giveBack(for: peer.uid) }
      crew.log.say(.error, "cannot serve a connection", ("reason", error.description))
    }
  }

  func closed(_ client: ClientConnection) {
    clients -= 1
    if client.entrance != .admin { crew.budget.giveBack(for: client.peer.uid) }
    drainedIfQuiet()
  }

  // MARK: Calls of our own

  /// Token endpoints that are being asked. Their answers are waited for even when the daemon stops: each may bring the only
  /// refresh token that is still good.
  func began(_ call: EndpointCall) { calls[ObjectIdentifier(call)] = call }

  func ended(_ call: EndpointCall) {
    calls[ObjectIdentifier(call)] = nil
    drainedIfQuiet()
  }

  private func drainedIfQuiet() {
    if isDraining, clients == 0, calls.isEmpty { drained() }
  }

  /// Lets what is under way finish, and closes what is idle. `Crew.drained` is told when nothing is left.
  func drain() {
    guard !isDraining else { return }
    isDraining = true
    loop.forEachHandler { handler in
      guard let client = handler as? ClientConnection, client.isIdle else { return }
      // What a client sent before it could know is still answered.
      client.ready([])
      if client.isIdle { client.close() }
    }
    drainedIfQuiet()
  }

  /// Ends what is still under way, with its records: the time for draining is over.
  func abandon() {
    loop.forEachHandler { ($0 as? ClientConnection)?.close() }
    for call in calls.values { call.abandon() }
  }

  /// The process may end right after this.
  private func drained() {
    flushLines()
    spare = []
    shrinking?.cancel(in: loop.timers)
    crew.drained(index)
  }

  /// Ends everything that is still under way after some time, in all loops.
  func abandon(after milliseconds: UInt64) {
    let timer = Timer(owner: Alarm(crew))
    timer.set(loop.now + milliseconds, in: loop.timers)
  }

  private final class Alarm: TimerOwner {
    let crew: Crew
    init(_ crew: Crew) { self.crew = crew }
    func deadlinePassed(_ timer: Timer) {
      for member in crew.workers { member.post { $0.abandon() } }
    }
  }

  // MARK: Decisions

  /// What becomes of a request.
  enum Verdict {
    case forward(Plan)
    case answer(Endpoint)
    /// One of the admin socket's own.
    case admin
    case refuse(Problem)
  }

  /// - Parameter reader: it is done. Heads are lent by what holds them: lending one by itself would copy it.
  func decide(_ reader: borrowing RequestReader, _ bytes: Span<UInt8>, _ client: ClientConnection) -> Verdict {
    switch client.entrance {
    case .admin:
      // The socket's mode says who may connect; the kernel says who did.
      guard client.peer.uid == crew.ownUID || client.peer.uid == 0 else {
        return .refuse(Problem(.callerNotAllowed, "The admin socket is for the daemon's own user.", closes: true))
      }
      return .admin
    case .data(let door):
      let caller: Caller = knows(client.peer) ? .own : .unknown
      switch deployment.snapshot.plan(reader.head, bytes, door: door, caller: caller) {
      case .forward(let plan): return .forward(plan)
      case .answer(let endpoint): return .answer(endpoint)
      case .refuse(let problem): return .refuse(problem)
      }
    }
  }

  private func knows(_ peer: Peer) -> Bool { peer.uid == crew.ownUID }

  /// How much is read of a request before anything is decided.
  func limits(for peer: Peer?) -> HTTPLimits {
    peer.map(knows) == true ? deployment.requestLimits : deployment.strangerLimits
  }

  // MARK: Exchanges

  func takeExchange() -> Exchange { spare.popLast() ?? Exchange(worker: self) }

  func giveBack(_ exchange: Exchange) {
    guard spare.count < Worker.mostSpares, !isDraining else { return }
    exchange.trim()
    spare.append(exchange)
    if exchange.isLarge || spare.count > Worker.manySpares { shrinkLater() }
  }

  private func shrinkLater() {
    let timer = shrinking ?? Timer(owner: self)
    shrinking = timer
    timer.set(loop.now + Worker.spareTime, in: loop.timers)
  }

  /// There was no need of them for a while.
  func deadlinePassed(_ timer: Timer) {
    spare.removeFirst(max(spare.count - Worker.manySpares, 0))
    for exchange in spare where exchange.isLarge { exchange.shrink() }
  }

  /// Accounts for bytes of bodies that wait in memory, in all loops together. False when there are too many.
  func buffered(_ count: Int) -> Bool { crew.buffered(count) }

  func nextID() -> RequestID {
    idCount &+= 1
    return RequestID(high: idPrefix, low: idCount)
  }

  // MARK: Counts and lines

  func count(_ record: borrowing Record, state: RouteState?, duration: UInt64) {
    if let state {
      count(record, duration, in: &state.tally.numbers)
    } else if let name = record.route, let route = deployment.snapshot.route(named: name) {
      // A refusal may know its route without having got as far as its state.
      count(record, duration, in: &self.state(of: route).tally.numbers)
    } else {
      count(record, duration, in: &nowhere)
    }
  }

  private func count(_ record: borrowing Record, _ duration: UInt64, in numbers: inout RouteNumbers) {
    numbers.statuses[min(record.status / 100, 5)] += 1
    numbers.took(duration)
    numbers.bytesIn += record.bytesIn
    numbers.bytesOut += record.bytesOut
    if let problem = record.problem { numbers.problems[problem.code.rawValue, default: 0] += 1 }
  }

  /// Where the exchanges of a route are counted, whatever deployment they began with.
  func tally(of route: String) -> RouteTally {
    if let tally = tallies[route] { return tally }
    let tally = RouteTally()
    tallies[route] = tally
    return tally
  }

  // MARK: Tokens

  func shelf(of route: String) -> TokenShelf? { shelves[route] }

  /// The shelf of a route at whose tokens its connector now looks so.
  func shelf(of route: String, _ recipe: TokenRecipe) -> TokenShelf {
    let shelf = shelves[route] ?? TokenShelf(route: route, worker: self)
    shelf.recipe = recipe
    shelves[route] = shelf
    return shelf
  }

  /// Has the keeper look at its tokens then, in milliseconds of the loop's clock.
  func wakeKeeper(at time: UInt64) {
    let timer = tokenAlarm ?? Timer(owner: TokenAlarm(crew))
    tokenAlarm = timer
    timer.set(min(time, timer.deadline), in: loop.timers)
  }

  private final class TokenAlarm: TimerOwner {
    let crew: Crew
    init(_ crew: Crew) { self.crew = crew }
    func deadlinePassed(_ timer: Timer) { crew.keeper?.tick() }
  }

  // MARK: Numbers

  /// A copy of all that this loop has counted.
  func numbers() -> LoopNumbers {
    var all = tallies.mapValues(\.numbers)
    for state in states { all[state.route.name]?.idle = UInt64(state.idleCount) }
    all["", default: RouteNumbers()].add(nowhere)
    return all
  }

  /// Appends one line to what is written at the end of this turn.
  func logLine(_ body: (inout Buffer, Bool, Int64) -> Void) {
    guard crew.log.isOn(.info) else { return }
    body(&lines, crew.log.isJSON, Clock.wallMilliseconds())
    if lines.count > 64 * 1024 { flushLines() }
  }

  private func flushLines() {
    if !lines.isEmpty { crew.log.write(&lines) }
  }
}
