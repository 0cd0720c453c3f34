import Broker
import Bytes
import Connector
import Crypto
import Net
import Vault

/// Asking a token endpoint, and what comes of its answer: it is read, stored, and only then told to the machine; or it is no
/// token, and the machine hears whether it was refused, did not come, or may have spent what was shown.
extension TokenDesk {
  /// Notes in the store that the endpoint is about to be asked, and has it asked.
  func begin(_ attempt: Attempt, _ entry: Entry) {
    let key = attempt.key
    guard entry.uncommitted == nil else { return commit(attempt, entry) }
    let request: EndpointRequest
    do throws(Problem) {
      request = try attempt.office.request(attempt.way, for: key.subject, token: entry.token)
    } catch {
      return refuse(attempt, entry, error.detail)
    }
    do throws(VaultError) {
      try vault.beginRotation(
        route: key.route, subject: key.subject, kind: "\(attempt.way)", generation: attempt.generation,
        now: entry.machine.interruptedAt ?? now.seconds)
    } catch {
      return fail(attempt, entry, "the store takes no note: \(error.message)", isUncertain: false)
    }
    entry.callsUnderWay += 1
    call(attempt, request)
  }

  func answered(_ attempt: Attempt, _ result: Result<EndpointAnswer, EndpointFailure>) {
    let key = attempt.key
    guard let entry = entries[key] else { return }
    entry.callsUnderWay -= 1
    guard let office = offices[key.route], entry.machine.awaits(attempt.generation), entry.identity == office.identity
    else { return salvage(attempt, result, entry) }
    switch result {
    case .failure(let failure):
      fail(
        attempt, entry, "the token endpoint gave no answer: \(failure.reason)", isUncertain: failure.wasSent)
    case .success(let answer): read(answer, attempt, entry, office)
    }
  }

  /// The route is gone, or has other credentials now. Where the store still has the token that was renewed, it gets the new
  /// one: the old one may be spent.
  private func salvage(_ attempt: Attempt, _ result: Result<EndpointAnswer, EndpointFailure>, _ entry: Entry) {
    let key = attempt.key
    defer { release(key, entry) }
    guard case .success(let answer) = result,
      let stored = try? vault.token(route: key.route, subject: key.subject), stored.identity == attempt.office.identity,
      stored.generation < attempt.generation
    else { return }
    let previous = try? attempt.office.stored(in: vault, for: key.subject)
    let outcome = attempt.office.recipe.read(
      status: answer.status, body: answer.body.span, previous: previous, generation: attempt.generation,
      now: now.seconds, hiding: [])
    if case .granted(let token) = outcome { try? store(token, key, attempt.office.identity) }
  }

  private func read(_ answer: EndpointAnswer, _ attempt: Attempt, _ entry: Entry, _ office: TokenOffice) {
    let moment = now
    let skew = skew(answer, office)
    let outcome = office.recipe.read(
      status: answer.status, body: answer.body.span, previous: entry.token, generation: attempt.generation,
      now: moment.seconds, hiding: Array(office.route.secrets.values))
    switch outcome {
    case .granted(let token):
      entry.uncommitted = token
      commit(attempt, entry)
    case .refused(let message):
      var text = "the token endpoint refuses (status \(answer.status))"
      if let message { text += ": " + message }
      if skew != 0 { text += "; its clock is \(abs(skew)) s \(skew > 0 ? "ahead of" : "behind") ours" }
      refuse(attempt, entry, text)
    case .unavailable(let reason): fail(attempt, entry, reason, retryAfter: answer.retryAfter, isUncertain: false)
    case .malformed(let reason): fail(attempt, entry, reason, isUncertain: true)
    }
  }

  /// Seconds by which the endpoint's clock is ahead of ours; 0 while they agree. The route's own is the upstream's.
  private func skew(_ answer: EndpointAnswer, _ office: TokenOffice) -> Int64 {
    if answer.isFromUpstream { return crew.observe(date: answer.date.span, of: office.route.name) }
    var skew = ClockSkew()
    _ = skew.observe(date: answer.date.span, now: now.seconds)
    return skew.seconds
  }

  /// An answer to a login's code. What it grants is stored, and in the loops' hands, when this returns.
  /// - Parameter shown: what the endpoint was shown, and its words must not repeat.
  func obtained(
    _ answer: EndpointAnswer, _ key: TokenKey, shown: [Secret]
  ) throws(Problem) -> TokenAnswer {
    guard let office = offices[key.route] else { throw .noTokens(key) }
    do throws(VaultError) {
      guard let entry = try entry(key, makes: true) else { return .unavailable("the route is gone") }
      let outcome = office.recipe.read(
        status: answer.status, body: answer.body.span, previous: nil,
        generation: entry.machine.lastGeneration + 1, now: now.seconds,
        hiding: Array(office.route.secrets.values) + shown)
      if case .granted(let token) = outcome {
        try store(token, key, entry.identity)
        entry.uncommitted = nil
        entry.lastError = nil
        entry.token = token
        // Somebody agreed to it: what was refused before says nothing of it.
        entry.rejectedAt = nil
        handle(.obtained(TokenDesk.grant(token)), key, entry)
      }
      return outcome
    } catch {
      throw .store(error, route: key.route)
    }
  }

  func store(_ token: Token, _ key: TokenKey, _ identity: [UInt8]) throws(VaultError) {
    try vault.storeToken(
      StoredToken(
        route: key.route, subject: key.subject, generation: token.generation, obtainedAt: token.obtainedAt,
        expiresAt: token.expiresAt, refreshExpiresAt: token.refreshExpiresAt, identity: identity,
        payload: token.encoded()), now: now.seconds)
  }

  private func refuse(_ attempt: Attempt, _ entry: Entry, _ text: String) {
    var text = text
    if let interruptedAt = entry.machine.interruptedAt {
      var time = Buffer()
      time.appendISO8601(interruptedAt)
      text += "; rotation interrupted at \(String(time.span)), and the token from before it is not accepted"
    }
    end(attempt, entry, text) { $0.refused += 1 }
    handle(.refused(generation: attempt.generation), attempt.key, entry)
  }

  /// - Parameter isUncertain: the endpoint may have acted on the request, so that a refresh token may be spent.
  private func fail(
    _ attempt: Attempt, _ entry: Entry, _ text: String, retryAfter: Int? = nil, isUncertain: Bool
  ) {
    end(attempt, entry, text, keepsNote: isUncertain) { $0.unavailable += 1 }
    handle(
      .unavailable(generation: attempt.generation, retryAfter: retryAfter, isUncertain: isUncertain), attempt.key, entry
    )
  }

  private func end(
    _ attempt: Attempt, _ entry: Entry, _ text: String, keepsNote: Bool = false, _ count: (inout TokenCounts) -> Void
  ) {
    let key = attempt.key
    entry.lastError = text
    crew.tokens.withLock { count(&$0.counts[key.route, default: TokenCounts()]) }
    crew.log.say(.warning, "no token", ("route", key.route), ("subject", key.subject), ("reason", text))
    guard !keepsNote else { return }
    // A note too many costs nothing but a hint that is not needed.
    try? vault.endRotation(route: key.route, subject: key.subject)
  }

  /// The store first, then the loops: whoever is served with a token can be sure that it survives a crash.
  func commit(_ attempt: Attempt, _ entry: Entry) {
    // It may have come to an attempt before this one; the machine awaits this one's.
    guard let token = entry.uncommitted?.numbered(attempt.generation) else { return }
    let key = attempt.key
    do throws(VaultError) {
      try store(token, key, entry.identity)
    } catch {
      // It stays at hand: the next attempt begins with the store.
      return fail(attempt, entry, "the store does not take the token: \(error.message)", isUncertain: true)
    }
    entry.uncommitted = nil
    entry.lastError = nil
    entry.token = token
    crew.tokens.withLock { $0.counts[key.route, default: TokenCounts()].granted += 1 }
    crew.log.say(
      .info, attempt.way == .fetch ? "token fetched" : "token refreshed", ("route", key.route),
      ("subject", key.subject), ("generation", "\(token.generation)"),
      ("expires", token.expiresAt.map { "\($0)" } ?? "never"))
    handle(.granted(TokenDesk.grant(token)), key, entry)
  }
}
