import Broker
import Bytes
import Connector
import Crypto
import JSON
import Net
import Vault

/// All tokens as the keeper has them: for each a machine that decides, and here what it decides is done.
///
/// Used on the keeper's thread only. Invariant: a token reaches the loops only when the store has it durably, and one is
/// asked for only when the store has a note of that.
final class TokenDesk {
  let vault: Vault
  let crew: Crew
  /// Has the call made; its outcome comes back with `answered`.
  let call: (Attempt, EndpointRequest) -> Void
  private(set) var entries: [TokenKey: Entry] = [:]
  /// Of routes whose connector has tokens, by name.
  private(set) var offices: [String: TokenOffice] = [:]
  private var tickets: UInt64 = 0
  private var reshaped: [TokenKey] = []

  /// What is known of one token.
  final class Entry {
    var machine: TokenMachine
    var token: Token?
    /// What it was obtained with: with anything else it is worthless.
    var identity: [UInt8]
    /// What failed with it fails again.
    var basis: [UInt8]
    /// The endpoint gave it, the store has not taken it yet.
    var uncommitted: Token?
    /// Requests whose answers are still to come, those that count no more among them.
    var callsUnderWay = 0
    /// What is void now stays in the store.
    var keepsStored = false
    /// Why the last attempt failed, in the endpoint's words or ours.
    var lastError: String?
    /// When an upstream last refused the token, in milliseconds of the loops' clock.
    var rejectedAt: Int64?
    /// Who waits, by the machine's numbers: told nil when there is a token.
    var waiting: [UInt64: Told] = [:]
    /// The event that is being handled, and those that it led to.
    var events: [TokenMachine.Event] = []

    init(_ machine: TokenMachine, _ office: TokenOffice) {
      self.machine = machine
      identity = office.identity
      basis = office.basis
    }
  }

  typealias Told = (Problem?) -> Void

  /// A call under way.
  struct Attempt: Sendable {
    var key: TokenKey
    /// As it was when the attempt began.
    var office: TokenOffice
    var way: TokenMachine.Way
    var generation: Int64
  }

  init(_ vault: Vault, _ crew: Crew, call: @escaping (Attempt, EndpointRequest) -> Void) {
    self.vault = vault
    self.crew = crew
    self.call = call
  }

  var now: Moment { Moment(wall: Clock.wallMilliseconds(), uptime: Int64(Clock.milliseconds())) }

  // MARK: Configuration

  /// Takes over the routes of a deployment. What was obtained with anything that has changed since is void.
  func adopt(_ deployment: Deployment) {
    offices = [:]
    for (route, tls) in zip(deployment.snapshot.routes, deployment.tls) {
      if let office = TokenOffice(route, tls) { offices[route.name] = office }
    }
    for (key, entry) in entries {
      guard let office = offices[key.route] else {
        // The store keeps it: a route that was taken out by mistake comes back with its session. So does what is answered
        // to a request that is under way.
        close(key, entry)
        release(key, entry)
        continue
      }
      if let token = entry.token, office.recipe.fieldNames != token.names {
        // Another connector reads other things of an answer. What is missing now was never asked for.
        let encoded = token.encoded()
        entry.token = Token(decoding: encoded.span, generation: token.generation, recipe: office.recipe)
        if entry.token == nil { entry.identity = [] } else { reshaped.append(key) }
      }
      follow(office, key, entry)
    }
  }

  /// Where nothing has changed of what tokens are obtained with, what failed stays failed, and nothing is asked again.
  private func follow(_ office: TokenOffice, _ key: TokenKey, _ entry: Entry) {
    let isVoid = entry.identity != office.identity
    guard isVoid || entry.basis != office.basis else { return }
    entry.identity = office.identity
    entry.basis = office.basis
    if isVoid {
      // First, so that nothing is asked for with what is void. The store keeps what it was, for the case that the change is
      // undone; a token that takes its place overwrites it.
      entry.keepsStored = true
      handle(.credentialsChanged, key, entry)
      entry.keepsStored = false
    }
    handle(.reconfigured(office.rules), key, entry)
    if isVoid { restore(key, entry, office) }
  }

  /// Puts tokens on the shelves whose shape a reload has changed: when the loops look at them in the new way.
  func publishReshaped() {
    for key in reshaped {
      if let entry = entries[key], entry.machine.held?.works == true { publish(key, entry) }
    }
    reshaped = []
  }

  /// A change that was undone brings back what it had voided.
  private func restore(_ key: TokenKey, _ entry: Entry, _ office: TokenOffice) {
    guard let stored = try? office.storedToken(in: vault, for: key.subject), entry.machine.state == .absent else {
      return
    }
    entry.token = stored.token
    handle(.restored(TokenDesk.grant(stored.token), wasRefused: stored.wasRefused), key, entry)
  }

  private func close(_ key: TokenKey, _ entry: Entry) {
    crew.post(shelf: key) { $0.remove(key.subject) }
    answer(Array(entry.waiting.keys), entry, .noTokens(key))
    crew.tokens.withLock { $0.expiries[key] = nil }
  }

  /// Of a route that is gone nothing is kept when no answer is awaited any more.
  func release(_ key: TokenKey, _ entry: Entry) {
    if offices[key.route] == nil, entry.callsUnderWay == 0 { entries[key] = nil }
  }

  /// What there is to know of a token, with what the store has of it; nil where the route has none. Where a session begins
  /// with a login, one that was never begun is not remembered: its subject is anybody's word.
  func entry(_ key: TokenKey, makes: Bool = false) throws(VaultError) -> Entry? {
    guard let office = offices[key.route] else { return nil }
    if let entry = entries[key] { return entry }
    let stored = try vault.token(route: key.route, subject: key.subject)
    let rotation = try vault.rotations().first { $0.route == key.route && $0.subject == key.subject }
    guard makes || stored != nil || rotation != nil || office.rules.fetch != .never else { return nil }
    let last = max(stored?.generation ?? 0, rotation?.generation ?? 0)
    let entry = Entry(TokenMachine(office.rules, lastGeneration: last), office)
    entries[key] = entry
    if let (token, wasRefused) = try office.storedToken(in: vault, for: key.subject) {
      entry.token = token
      handle(.restored(TokenDesk.grant(token), wasRefused: wasRefused), key, entry)
    }
    if let rotation { handle(.interrupted(at: rotation.started), key, entry) }
    return entry
  }

  /// Takes up what the store has: tokens go to the loops, and rotations of which nobody knows the end are tried again.
  func begin() {
    do throws(VaultError) {
      for token in try vault.tokenList() { _ = try entry(TokenKey(route: token.route, subject: token.subject)) }
      for rotation in try vault.rotations() {
        _ = try entry(TokenKey(route: rotation.route, subject: rotation.subject))
      }
    } catch {
      crew.log.say(.error, "stored tokens cannot be read", ("reason", error.message))
    }
  }

  static func grant(_ token: Token) -> TokenMachine.Grant {
    TokenMachine.Grant(
      generation: token.generation, obtainedAt: token.obtainedAt, expiresAt: token.expiresAt,
      refreshExpiresAt: token.refreshExpiresAt, canRefresh: token.refreshToken != nil)
  }

  func office(of route: String) -> TokenOffice? { offices[route] }

  // MARK: What loops tell

  /// Somebody needs a token: a request whose loop has none, or an administrator.
  /// - Parameters:
  ///   - refused: the generation that will not do; 0: any will.
  ///   - told: called exactly once, when the token is on every loop's shelf or there is none to be had.
  func wanted(_ key: TokenKey, refused: Int64, _ told: @escaping Told) {
    do throws(VaultError) {
      guard let entry = try entry(key) else {
        return told(offices[key.route] == nil ? .noTokens(key) : .notConnected(key, renewal: renewal(key)))
      }
      tickets += 1
      entry.waiting[tickets] = told
      handle(.want(tickets, used: refused > 0 ? refused : nil), key, entry)
    } catch {
      told(.store(error, route: key.route))
    }
  }

  func used(_ key: TokenKey) {
    if let entry = entries[key] { handle(.used(at: now.uptime), key, entry) }
  }

  func rejected(_ key: TokenKey, generation: Int64) {
    guard let entry = entries[key] else { return }
    crew.log.say(
      .warning, "the upstream refuses a token", ("route", key.route), ("subject", key.subject),
      ("generation", "\(generation)"))
    entry.rejectedAt = now.uptime
    handle(.rejected(generation), key, entry)
    // The one before was rejected just now, too: this one stays.
    if entry.machine.held?.works == true, entry.machine.held?.generation == generation { publish(key, entry) }
  }

  func tick() {
    flush()
    for (key, entry) in entries { handle(.tick, key, entry) }
  }

  /// Tries the store again where it did not take a token.
  func flush() {
    for (key, entry) in entries {
      guard let token = entry.uncommitted, offices[key.route] != nil, entry.callsUnderWay == 0,
        (try? store(token, key, entry.identity)) != nil
      else { continue }
      entry.uncommitted = nil
      entry.lastError = nil
      entry.token = token
      handle(.obtained(TokenDesk.grant(token)), key, entry)
    }
  }

  // MARK: What the machine wants

  /// One event after another: what an action leads to waits until the machine's other actions are done.
  func handle(_ event: TokenMachine.Event, _ key: TokenKey, _ entry: Entry) {
    entry.events.append(event)
    guard entry.events.count == 1 else { return }
    while let event = entry.events.first {
      for action in entry.machine.handle(event, now: now, jitter: Worker.random()) { perform(action, key, entry) }
      entry.events.removeFirst()
    }
  }

  private func perform(_ action: TokenMachine.Action, _ key: TokenKey, _ entry: Entry) {
    switch action {
    case .begin(let way, let generation):
      guard let office = offices[key.route] else { return }
      begin(Attempt(key: key, office: office, way: way, generation: generation), entry)
    case .publish: publish(key, entry)
    case .retire: crew.post(shelf: key) { $0.remove(key.subject) }
    case .resume(let waiters, _): answer(waiters, entry, nil)
    case .fail(let waiters, let failure):
      answer(waiters, entry, Problem(failure, key, entry.lastError, renewal: renewal(key)))
    case .wakeAt(let uptime): crew.wakeKeeper(at: UInt64(max(uptime, 0)))
    case .noteRefusal(let generation):
      do throws(VaultError) {
        try vault.refuseToken(
          route: key.route, subject: key.subject, generation: generation, with: entry.basis, now: now.seconds)
      } catch {
        crew.log.say(.error, "a refusal is not noted in the store", ("route", key.route), ("reason", error.message))
      }
    case .forget:
      entry.token = nil
      entry.uncommitted = nil
      entry.lastError = nil
      crew.tokens.withLock { $0.expiries[key] = nil }
      guard !entry.keepsStored else { return }
      do throws(VaultError) {
        _ = try vault.removeToken(route: key.route, subject: key.subject)
      } catch {
        crew.log.say(.error, "a token that is void stays in the store", ("route", key.route), ("reason", error.message))
      }
    }
  }

  private func publish(_ key: TokenKey, _ entry: Entry) {
    guard let token = entry.token, let held = entry.machine.held else { return }
    crew.tokens.withLock { $0.expiries[key] = token.expiresAt }
    let deadline = held.end.map { UInt64(max($0.uptime, 0)) } ?? Timer.never
    // A token that took a refused one's place: where it is refused as well, that is the upstream's last word.
    let stands = entry.rejectedAt.map { UInt64($0) + TokenShelf.replacementInterval } ?? 0
    crew.post(shelf: key) { $0.put(token, for: key.subject, deadline: deadline, stands: stands) }
  }

  /// The command that begins a session anew.
  private func renewal(_ key: TokenKey) -> String {
    if let agent = offices[key.route]?.route.agent { return agent.nextCommand(key) }
    if let office = offices[key.route], office.rules.fetch != .never {
      return "chatelaine secret set, with the refresh token of a new login"
    }
    return "chatelaine login \(key.subject == TokenKey.standard ? key.route : "\(key.route) --subject \(key.subject)")"
  }

  private func answer(_ waiters: [UInt64], _ entry: Entry, _ problem: Problem?) {
    for waiter in waiters { entry.waiting.removeValue(forKey: waiter)?(problem) }
  }

  // MARK: For people

  /// All that are known or stored, as JSON.
  /// - Parameter route: only this one's.
  func list(route: String? = nil) throws(VaultError) -> [UInt8] {
    for token in try vault.tokenList() { _ = try entry(TokenKey(route: token.route, subject: token.subject)) }
    var text = Buffer()
    text.appendArrayStart()
    let known = entries.filter {
      $0.value.token != nil || $0.value.machine.state != .absent || $0.value.lastError != nil
    }
    let shown = known.filter { route == nil || $0.key.route == route }
    for (key, entry) in shown.sorted(by: { ($0.key.route, $0.key.subject) < ($1.key.route, $1.key.subject) }) {
      TokenLine(
        key: key, state: "\(entry.machine.state.label)", obtained: entry.token?.obtainedAt,
        expires: entry.token?.expiresAt, generation: entry.token?.generation, lastError: entry.lastError
      ).append(to: &text)
    }
    text.appendArrayEnd()
    return Array(text.span)
  }

  /// The token in hand, however good it is.
  func token(_ key: TokenKey) throws(VaultError) -> Token? { try entry(key)?.token }

  /// What is known of a route's tokens: for whom, their state, and what is in hand.
  func sessions(of route: String) -> [(subject: String, state: String, token: Token?)] {
    entries.filter { $0.key.route == route && ($0.value.token != nil || $0.value.machine.state != .absent) }
      .sorted { $0.key.subject < $1.key.subject }
      .map { ($0.key.subject, $0.value.machine.state.label, $0.value.token) }
  }

  /// Forgets a token. False if there is none.
  func drop(_ key: TokenKey) throws(VaultError) -> Bool {
    guard let entry = try entry(key) else { return try vault.removeToken(route: key.route, subject: key.subject) }
    let isKnown = entry.token != nil || entry.machine.state != .absent
    // First: what stays in the store would come back with the next start.
    let wasStored = try vault.removeToken(route: key.route, subject: key.subject)
    handle(.dropped, key, entry)
    return isKnown || wasStored
  }
}
