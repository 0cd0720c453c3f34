/// The life of the token of one route and subject: who gets it, when it is renewed, and what happens when that fails.
/// Knows no secret and reads no clock; times and random bits are arguments.
///
///                │ want: none    │ renewal is   │              │           │               │
///     state      │ in hand works │ due, in use  │ rejected     │ granted   │ refused       │ unavailable
///     ───────────┼───────────────┼──────────────┼──────────────┼───────────┼───────────────┼─────────────
///     absent     │ begin, wait   │              │              │           │               │
///     fetching   │ wait          │              │ retire       │ ▶ fresh   │ ▶ refused     │ ▶ backingOff
///     fresh      │               │              │ retire,begin │           │               │
///     due        │ begin, wait   │ begin        │ retire,begin │           │               │
///     refreshing │ wait          │              │ retire       │ ▶ fresh   │ begin fetch   │ ▶ backingOff
///     backingOff │ fail          │              │ retire       │           │               │
///     refused    │ fail          │              │ retire       │           │               │
///     reauth…    │ fail          │              │ retire       │           │               │
///
/// * In every state, whoever wants a token gets the one in hand at once while that works: it has not ended, nor was it
///   retired.
/// * A refresh token that was refused is not shown again, nor after a restart, until something is reconfigured.
/// * begin is ▶ refreshing if there is a refresh token, else ▶ fetching if the connector can fetch, else
///   ▶ reauthorizationRequired; with nothing in hand, absent stays and who wants a token is told that there is none.
/// * Time: fresh ▶ due when renewal is due; backingOff and refused ▶ absent, fresh or due when their time is over.
/// * obtained: any ▶ fresh; what is under way counts no more, and whoever waits is resumed. If it has ended on its way here
///   ▶ backingOff, and what it replaces is retired.
/// * dropped, credentialsChanged: any ▶ absent; what is under way counts no more; begin if somebody waits.
/// * reconfigured: backingOff, refused, reauthorizationRequired ▶ absent, fresh or due.
/// * Whatever is answered for another generation than the one under way changes nothing.
///
/// What waits, waits for what is under way: when that ends, all are answered, once. The driver sees that it ends.
public struct TokenMachine: Sendable {
  public enum State: Sendable, Equatable {
    case absent, fetching, fresh, due, refreshing, backingOff, refused, reauthorizationRequired
  }

  /// How a token is obtained.
  public enum Way: Sendable, Equatable {
    case fetch, refresh
  }

  private struct Attempt: Equatable {
    var way: Way
    var generation: Int64
    /// Seconds since 1970.
    var begun: Int64
    /// The rules have changed since.
    var isOutdated = false
  }

  public private(set) var state = State.absent
  public private(set) var held: Held?
  /// When the request began of which nobody knows whether the endpoint acted on it. Seconds since 1970.
  public private(set) var interruptedAt: Int64?
  /// The newest that was held or begun. None is ever used twice, whatever is dropped.
  public private(set) var lastGeneration: Int64
  public private(set) var waiters: [UInt64] = []
  private var rules: TokenRules
  private var attempt: Attempt?
  /// Of backingOff and refused: when it is over, as uptime.
  private var pauseEnd: Int64 = 0
  /// In a row.
  private var failures = 0
  private var refusals = 0
  private var replacements = 0
  /// Uptimes.
  private var replacedAt: Int64?
  private var usedAt: Int64?

  /// - Parameter lastGeneration: numbers up to this one were used for the same route and subject before.
  public init(_ rules: TokenRules, lastGeneration: Int64 = 0) {
    self.rules = rules
    self.lastGeneration = lastGeneration
  }

  /// Whether this generation is the one under way. Ask before committing an answer: what was dropped meanwhile, or was
  /// obtained with other credentials, is thrown away.
  public func awaits(_ generation: Int64) -> Bool { attempt?.generation == generation }

  /// What to do, in this order.
  /// - Parameter jitter: random bits.
  public mutating func handle(_ event: Event, now: Moment, jitter: UInt64) -> [Action] {
    elapse(now)
    switch event {
    case .restored(let grant, let wasRefused):
      guard state == .absent else { return [] }
      let held = hold(grant, now, jitter)
      self.held?.refreshWasRefused = wasRefused
      settle(now)
      if wasRefused, way(now) == nil { state = .reauthorizationRequired }
      return held.works ? [.publish(generation: grant.generation)] + wake() : []
    case .interrupted(let begun):
      interruptedAt = begun
      guard attempt == nil else { return [] }
      // At once: the sooner, the likelier that the endpoint still takes what it may have replaced.
      return beginInBackground(now)
    case .want(let waiter, let used): return want(waiter, used, now)
    case .used(let uptime):
      usedAt = max(uptime, usedAt ?? uptime)
      return renewIfInUse(now)
    case .tick: return state == .due ? renewIfInUse(now) : wake()
    case .rejected(let generation): return reject(generation, now)
    case .granted(let grant):
      guard awaits(grant.generation) else { return [] }
      return take(grant, now, jitter)
    case .obtained(let grant):
      let retired = retirement
      (held, replacements, replacedAt) = (nil, 0, nil)
      let actions = take(grant, now, jitter)
      // What was in hand may be another user's: it goes, even where nothing takes its place.
      return held?.works == true ? actions : retired + actions
    case .refused(let generation):
      guard let attempt, attempt.generation == generation else { return [] }
      return refuse(attempt, now)
    case .unavailable(let generation, let retryAfter, let isUncertain):
      guard let attempt, attempt.generation == generation else { return [] }
      if isUncertain { interruptedAt = interruptedAt ?? attempt.begun }
      return attempt.isOutdated ? begin(now) : backOff(retryAfter, now, jitter)
    case .dropped, .credentialsChanged: return forget(now)
    case .reconfigured(let rules):
      self.rules = rules
      attempt?.isOutdated = true
      (failures, refusals) = (0, 0)
      held?.refreshWasRefused = false
      if attempt == nil { settle(now) }
      // Not at once: the credentials may be next to change, and then what is in hand must not be sent to anybody.
      return state == .due && isInUse(now) ? [.wakeAt(now.uptime)] : wake()
    }
  }

  // MARK: Time

  private mutating func elapse(_ now: Moment) {
    if let end = held?.end, end.isPast(now) { held?.hasEnded = true }
    switch state {
    case .fresh: settle(now)
    case .backingOff, .refused:
      if now.uptime >= pauseEnd { settle(now) }
    case .absent, .due, .fetching, .refreshing, .reauthorizationRequired: break
    }
  }

  /// The state of what is in hand, where nothing is under way and nothing has failed.
  private mutating func settle(_ now: Moment) {
    guard let held else {
      state = .absent
      return
    }
    let isDue = !held.works || held.renewal.map { $0.isPast(now) } == true
    state = isDue ? .due : .fresh
  }

  private func wake() -> [Action] {
    switch state {
    case .fresh: held?.renewal.map { [.wakeAt($0.uptime)] } ?? []
    case .backingOff: [.wakeAt(pauseEnd)]
    // A refusal is asked about again when somebody wants to know.
    case .absent, .fetching, .due, .refreshing, .refused, .reauthorizationRequired: []
    }
  }

  private func isInUse(_ now: Moment) -> Bool {
    guard let held, let usedAt else { return false }
    return now.uptime - usedAt <= max(TokenPause.recently, held.life)
  }

  private mutating func renewIfInUse(_ now: Moment) -> [Action] {
    state == .due && isInUse(now) ? beginInBackground(now) : []
  }

  // MARK: What is under way

  /// Nil: neither is possible.
  private func way(_ now: Moment) -> Way? {
    let canFetch =
      switch rules.fetch {
      case .never: false
      case .once: held?.grant.canRefresh != true
      case .always: true
      }
    guard let held, rules.refreshes, held.grant.canRefresh, !held.refreshWasRefused else {
      return canFetch ? .fetch : nil
    }
    // Where there is no other way, its endpoint may say that it has ended.
    let isDoubtful = failures > 0 || held.refreshEnd?.isPast(now) == true
    return isDoubtful && canFetch ? .fetch : .refresh
  }

  private mutating func begin(_ now: Moment) -> [Action] {
    guard let way = way(now) else {
      attempt = nil
      state = held == nil ? .absent : .reauthorizationRequired
      return failAll(held == nil ? .notConnected : .reauthorizationRequired(interruptedAt: interruptedAt))
    }
    lastGeneration += 1
    attempt = Attempt(way: way, generation: lastGeneration, begun: now.seconds)
    state = way == .fetch ? .fetching : .refreshing
    return [.begin(way, generation: lastGeneration)]
  }

  /// Nobody waits for it, so that it being impossible is no news.
  private mutating func beginInBackground(_ now: Moment) -> [Action] {
    way(now) == nil ? [] : begin(now)
  }

  private mutating func want(_ waiter: UInt64, _ used: Int64?, _ now: Moment) -> [Action] {
    if let held, held.works {
      guard used != held.generation else { return [.fail([waiter], .stands)] }
      usedAt = now.uptime
      let resumed = [Action.resume([waiter], generation: held.generation)]
      return state == .due ? resumed + beginInBackground(now) : resumed
    }
    switch state {
    case .absent, .fresh, .due:
      waiters.append(waiter)
      return begin(now)
    case .fetching, .refreshing:
      waiters.append(waiter)
      return []
    case .backingOff: return [.fail([waiter], .unavailable(retryAfter: secondsLeft(now)))]
    case .refused: return [.fail([waiter], .refused)]
    case .reauthorizationRequired:
      return [.fail([waiter], .reauthorizationRequired(interruptedAt: interruptedAt))]
    }
  }

  private mutating func reject(_ generation: Int64, _ now: Moment) -> [Action] {
    guard let held, held.works, held.generation == generation else { return [] }
    if let replacedAt {
      let age = now.uptime - replacedAt
      // The one before was rejected as well: a third would hardly do better.
      guard age >= TokenPause.replacement(replacements) else { return [] }
      if age >= TokenPause.replacementsInARow { replacements = 0 }
    }
    replacements += 1
    self.held?.isRetired = true
    let retired = [Action.retire(generation: generation)]
    return state == .fresh || state == .due ? retired + begin(now) : retired
  }

  // MARK: How it ends

  private mutating func take(_ grant: Grant, _ now: Moment, _ jitter: UInt64) -> [Action] {
    attempt = nil
    interruptedAt = nil
    if held?.isRetired == true { replacedAt = now.uptime }
    let held = hold(grant, now, jitter)
    // It has ended on its way here.
    guard held.works else { return backOff(nil, now, jitter) }
    (failures, refusals) = (0, 0)
    settle(now)
    let published = [Action.publish(generation: grant.generation)]
    guard !waiters.isEmpty else { return published + wake() }
    usedAt = now.uptime
    defer { waiters = [] }
    return published + [.resume(waiters, generation: grant.generation)] + wake()
  }

  private mutating func hold(_ grant: Grant, _ now: Moment, _ jitter: UInt64) -> Held {
    let held = Held(grant, renewBefore: rules.renewBefore, now, jitter)
    self.held = held
    lastGeneration = max(lastGeneration, grant.generation)
    return held
  }

  private mutating func refuse(_ attempt: Attempt, _ now: Moment) -> [Action] {
    if attempt.isOutdated { return begin(now) }
    if attempt.way == .refresh {
      held?.refreshWasRefused = true
      let actions = begin(now)
      guard state == .reauthorizationRequired, let held else { return actions }
      return [.noteRefusal(generation: held.generation)] + actions
    }
    self.attempt = nil
    if rules.fetch == .once, interruptedAt != nil {
      state = .reauthorizationRequired
      return failAll(.reauthorizationRequired(interruptedAt: interruptedAt))
    }
    refusals += 1
    state = .refused
    pauseEnd = now.uptime + TokenPause.refusal(refusals)
    return failAll(.refused)
  }

  private mutating func backOff(_ retryAfter: Int?, _ now: Moment, _ jitter: UInt64) -> [Action] {
    attempt = nil
    failures += 1
    state = .backingOff
    pauseEnd = now.uptime + TokenPause.backOff(failures: failures, retryAfter: retryAfter, jitter: jitter)
    return failAll(.unavailable(retryAfter: secondsLeft(now))) + wake()
  }

  private mutating func forget(_ now: Moment) -> [Action] {
    let retired = retirement
    let waiters = waiters
    self = TokenMachine(rules, lastGeneration: lastGeneration)
    self.waiters = waiters
    return retired + [.forget] + (waiters.isEmpty ? [] : begin(now))
  }

  /// Of what is in hand, unless that has happened.
  private var retirement: [Action] {
    guard let held, !held.isRetired else { return [] }
    return [.retire(generation: held.generation)]
  }

  private mutating func failAll(_ failure: TokenFailure) -> [Action] {
    defer { waiters = [] }
    return waiters.isEmpty ? [] : [.fail(waiters, failure)]
  }

  private func secondsLeft(_ now: Moment) -> Int { max(1, Int((pauseEnd - now.uptime + 999) / 1000)) }
}
