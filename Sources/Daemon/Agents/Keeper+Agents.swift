import Broker
import Bytes
import Connector
import Crypto
import JSON
import Net
import Vault

/// The Agent Trust Handshake, step by step. Each is one line of awaits: what is asked, what is answered, what is stored,
/// and only then what is told.
extension Keeper {
  /// Who asks, and for whom.
  struct AgentCaller: Sendable {
    var uid: UInt32
    /// Nil: nobody was named.
    var subject: String?

    var named: String { subject ?? TokenKey.standard }
  }

  /// Works out an answer, and hands it to `reply` on the keeper's thread.
  nonisolated func answer(
    _ endpoint: AgentEndpoint, _ body: Secret, _ caller: AgentCaller,
    _ reply: @escaping @Sendable (SessionAnswer) -> Void
  ) {
    Task(executorPreference: executor) { reply(await self.answer(endpoint, body, caller)) }
  }

  private func answer(_ endpoint: AgentEndpoint, _ body: Secret, _ caller: AgentCaller) async -> SessionAnswer {
    do throws(Problem) {
      return .json(try await walk(endpoint.action, endpoint.route, body, caller))
    } catch {
      return .refusal(error)
    }
  }

  func walk(
    _ action: AgentEndpoint.Action, _ route: String, _ body: Secret, _ caller: AgentCaller, anew: Bool = false
  ) async throws(Problem) -> [UInt8] {
    let known = try agents.find(route)
    do throws(Problem) {
      if let subject = caller.subject { try TokenKey.check(subject: subject) }
      // Before a session is used up. A token that is revoked goes even so.
      if action != .identity, action != .revoke { try known.office.route.checkHeaders() }
      switch action {
      case .identity:
        _ = try known.agent.signingKey(route: route)
        return known.agent.document ?? []
      case .discover: return try await discover(known, anew: anew)
      case .register: return try await register(known, body)
      case .authorize: return try await authorize(known, body, caller)
      case .exchange: return try await exchange(known, body, caller)
      case .revoke: return try await revoke(known, caller)
      }
    } catch {
      agents.failed(error, step: action, route)
      throw error
    }
  }

  // MARK: Steps

  /// - Parameter anew: whether one that is stored will not do, however fresh.
  private func discover(_ known: AgentDesk.Case, anew: Bool) async throws(Problem) -> [UInt8] {
    let agent = known.agent
    if !anew, let discovery = agent.discovery, 0..<AgentDesk.discoveryLifetime ~= agents.now - discovery.fetchedAt {
      return Keeper.text(discovery.document)
    }
    let path = AgentDiscovery.path(agent.identity.mode)
    let answer: EndpointAnswer
    do throws(Problem) {
      answer = try await send(.discover, "GET", path, Keeper.noBody, known)
      guard answer.status == 200 else { throw agents.refusal(answer, step: .discover, known, sent: Keeper.noBody).1 }
    } catch {
      // What it said before still holds: it is down.
      guard error.code == .tokenUnavailable, !anew, let discovery = agent.discovery else { throw error }
      agents.failed(error, step: .discover, known.route)
      return Keeper.text(discovery.document)
    }
    let record: Secret
    do throws(AgentMalformation) {
      record = try AgentDiscovery.record(
        answer.body.span, of: agent.identity.mode, at: agent.service.url, now: agents.now)
    } catch {
      throw Keeper.malformed("discovery document", error.reason, known, next: .discover)
    }
    try await keep(record, as: Handshake.discoveryName(known.route), .discover, known)
    return Keeper.text(try agents.find(known.route).agent.discovery?.document)
  }

  private func register(_ known: AgentDesk.Case, _ body: Secret) async throws(Problem) -> [UInt8] {
    let agent = known.agent
    let wish = try AgentWish.Registration(body.span, agent)
    let fresh = try agents.fresh(known)
    try agents.beginRegistering(known.route)
    defer { agents.endRegistering(known.route) }
    let request = try Keeper.signed(known) { () throws(ES256Error) in try agent.registration(wish, fresh) }
    let answer = try await send(.register, "POST", "/ath/agents/register", request, known)
    guard [200, 201].contains(answer.status) else {
      let (refusal, problem) = agents.refusal(answer, step: .register, known, sent: request)
      guard answer.status == 409 else { throw problem }
      return try await existing(refusal, wish, try agents.find(again: known), problem)
    }
    let record: Secret
    do throws(AgentMalformation) {
      record = try AgentRegistration.record(
        answer.body.span, to: wish, of: agent.identity, at: agent.service.url)
    } catch {
      throw Keeper.malformed("registration", error.reason, known, next: .register)
    }
    try await keep(record, as: Handshake.registrationName(known.route), .register, known)
    return Keeper.text(try agents.find(known.route).agent.registration?.answer)
  }

  /// The server knows the agent. That is fine if its secret is here, and nothing else was wanted.
  private func existing(
    _ refusal: AgentRefusal, _ wish: AgentWish.Registration, _ known: AgentDesk.Case, _ problem: Problem
  ) async throws(Problem) -> [UInt8] {
    var problem = problem
    let code = refusal.code.map { " (\($0))" } ?? ""
    let server = known.agent.service.authority
    guard let registration = known.agent.registration,
      refusal.clientID == nil || refusal.clientID == registration.clientID
    else {
      problem.detail =
        "\(server) has a registration of this agent already\(code), whose client secret is not in this store."
      problem.hint = "restore the store that has it, or have the operator remove the registration and register again"
      throw problem
    }
    guard registration.isFor(wish) else {
      problem.detail =
        "\(server) has a registration of this agent already\(code), for other things than are asked for now."
      problem.hint =
        "ask for the same again, or have the operator remove the registration; chatelaine status shows what it is for"
      throw problem
    }
    // How it stands may have changed. The protocol leaves open how a client shows who it is there: who will not say is believed
    // to have said it before.
    let path = "/ath/agents/\(registration.pathSegment)"
    if let answer = try? await send(.register, "GET", path, Keeper.noBody, known, as: registration),
      answer.status == 200,
      let record = registration.updated(
        by: answer.body.span, of: known.agent.identity, at: known.agent.service.url)
    {
      try await keep(record, as: Handshake.registrationName(known.route), .register, known)
    }
    return Keeper.text(try agents.find(known.route).agent.registration?.answer)
  }

  /// Stores what was said, and has the loops take it up.
  private func keep(
    _ record: Secret, as name: String, _ step: AgentEndpoint.Action, _ known: AgentDesk.Case
  ) async throws(Problem) {
    _ = try agents.find(again: known)
    try agents.store(record, as: name, route: known.route)
    do throws(DeploymentError) {
      try await deployStored()
    } catch {
      throw Problem(
        .storeLocked, "It is stored, but the routes cannot take it up: \(error.message).", hint: "chatelaine reload",
        route: known.route)
    }
    agents.done(step, known)
  }

  private func authorize(
    _ known: AgentDesk.Case, _ body: Secret, _ caller: AgentCaller
  ) async throws(Problem) -> [UInt8] {
    let agent = known.agent
    let client = try agent.registered(route: known.route)
    let wish = try AgentWish.Authorization(body.span)
    let redirectURI = try wish.redirectURI(client, route: known.route)
    let provider = try agent.provider(route: known.route)
    let fresh = try agents.fresh(known)
    let state = Keeper.randomText()
    let request = try Keeper.signed(known) { () throws(ES256Error) in
      try agent.authorization(
        wish, client: client, provider: provider, redirectURI: redirectURI, state: state, fresh)
    }
    let answer = try await send(.authorize, "POST", "/ath/authorize", request, known)
    guard [200, 201].contains(answer.status) else {
      throw agents.refusal(answer, step: .authorize, known, sent: request).1
    }
    let begun: AgentSession
    do throws(AgentMalformation) {
      begun = try AgentSession(answer.body.span)
    } catch {
      throw Keeper.malformed("authorization", error.reason, known, next: .authorize)
    }
    let now = try agents.find(again: known, exactly: true)
    try agents.add(
      session: begun.session, now, subject: caller.named, caller: caller.uid, redirectURI: redirectURI,
      scopes: wish.scopes, state: state)
    agents.done(.authorize, known, subject: caller.named)
    return begun.json
  }

  private func exchange(
    _ known: AgentDesk.Case, _ body: Secret, _ caller: AgentCaller
  ) async throws(Problem) -> [UInt8] {
    let agent = known.agent
    let client = try agent.registered(route: known.route)
    let wish = try AgentWish.Exchange(body.span)
    let fresh = try agents.fresh(known)
    let pending = try agents.take(wish, known, subject: caller.subject, caller: caller.uid)
    let request = try Keeper.signed(known) { () throws(ES256Error) in
      try agent.exchange(code: wish.code, session: wish.session, client: client, fresh)
    }
    // A session that the server has not seen is still good.
    let answer = try await send(.exchange, "POST", Agent.tokenPath, request, known) { () throws(Problem) in
      try self.agents.takeBack(wish.session, pending)
    }
    let now = try agents.find(again: known, exactly: true)
    let shown = [client.clientSecret, wish.code, pending.verifier]
    guard answer.status == 200 else {
      // These say that nothing was done. Behind any other the session may be used up, so that to try again is no use.
      if [429, 503].contains(answer.status) { try agents.takeBack(wish.session, pending) }
      throw agents.refusal(answer, step: .exchange, now, sent: request, shown: shown).1
    }
    let grant: AgentGrant
    do throws(AgentMalformation) {
      grant = try AgentGrant(answer.body.span, asked: pending.scope ?? "", agent: now.agent, route: known.route)
    } catch {
      throw Keeper.malformed("token", error.reason, known, next: .authorize)
    }
    var completed = answer
    completed.body = grant.body
    switch try agents.obtained(
      completed, TokenKey(route: known.route, subject: pending.subject), shown: shown)
    {
    case .granted:
      agents.done(.exchange, known, subject: pending.subject)
      return grant.answer(subject: pending.subject)
    case .unavailable(let reason), .malformed(let reason):
      throw Keeper.malformed("token", reason, known, next: .authorize)
    case .refused(let message):
      throw Keeper.malformed("token", message ?? "it is a refusal", known, next: .authorize)
    }
  }

  /// The token here goes whatever the answer, and before it: another that comes meanwhile stays.
  private func revoke(_ known: AgentDesk.Case, _ caller: AgentCaller) async throws(Problem) -> [UInt8] {
    let key = TokenKey(route: known.route, subject: caller.named)
    guard let token = try agents.accessToken(key) else {
      throw .notConnected(key, renewal: known.agent.nextCommand(key))
    }
    try agents.drop(key)
    var failure: Problem?
    do throws(Problem) {
      let client = try known.agent.registered(route: known.route)
      let request = known.agent.revocation(of: token, client: client)
      let answer = try await send(.revoke, "POST", "/ath/revoke", request, known)
      if !(200..<300).contains(answer.status) {
        failure = agents.refusal(answer, step: .revoke, known, sent: request).1
      }
    } catch {
      failure = error
    }
    if let failure {
      agents.failed(failure, step: .revoke, known.route)
    } else {
      agents.done(.revoke, known, subject: key.subject)
    }
    var text = Buffer()
    text.appendObjectStart()
    text.appendMember("subject", key.subject)
    text.appendMember("revoked", failure == nil)
    if let failure { text.appendMember("detail", failure.detail) }
    text.appendObjectEnd()
    return Array(text.span)
  }

  // MARK: Parts of steps

  private static let noBody: Secret = {
    let nothing: [UInt8] = []
    return Secret(copying: nothing.span)
  }()

  /// Makes one call.
  /// - Parameter unsent: called when the server has certainly not seen it.
  private func send(
    _ step: AgentEndpoint.Action, _ method: StaticString, _ path: String, _ body: Secret, _ known: AgentDesk.Case,
    as client: AgentRegistration? = nil, unsent: (() throws(Problem) -> Void)? = nil
  ) async throws(Problem) -> EndpointAnswer {
    try known.office.route.checkHeaders()
    let result = await ask(known.office.agentRequest(known.agent, method, path, body: body.span, as: client))
    do throws(EndpointFailure) {
      return try result.get()
    } catch {
      if !error.wasSent { try unsent?() }
      // A session is used up by whatever was sent: to try again is no use then.
      let isOver = step == .exchange && error.wasSent
      throw Problem(
        isOver ? .authorizationFailed : .tokenUnavailable,
        "\(known.agent.service.authority) gave no answer to \(step.rawValue): \(error.reason).",
        hint: isOver ? "chatelaine ath authorize \(known.route)" : "chatelaine check --connect", route: known.route)
    }
  }

  private static func signed(
    _ known: AgentDesk.Case, _ body: () throws(ES256Error) -> Secret
  ) throws(Problem) -> Secret {
    do throws(ES256Error) {
      return try body()
    } catch {
      throw Problem(
        .signingFailed, "The agent's key makes no signature that verifies.", hint: "chatelaine check",
        route: known.route)
    }
  }

  /// - Parameter next: the step to take again.
  private static func malformed(
    _ what: String, _ reason: String, _ known: AgentDesk.Case, next: AgentEndpoint.Action
  ) -> Problem {
    Problem(
      .authorizationFailed, "The \(what) of \(known.agent.service.authority) cannot be used: \(reason).",
      hint: "chatelaine ath \(next.rawValue) \(known.route)", route: known.route)
  }

  /// 256 random bits in base64url.
  private static func randomText() -> Secret {
    var text = Buffer()
    text.appendBase64URL(Random.bytes(32).span)
    return Secret(copying: text.span)
  }

  private static func text(_ value: JSONValue?) -> [UInt8] {
    var text = Buffer()
    if let value { text.appendJSON(value) } else { text.append("{}") }
    return Array(text.span)
  }
}

extension Agent {
  /// The command that a session begins with, where there is none.
  func nextCommand(_ key: TokenKey) -> String {
    if registration == nil { return "chatelaine ath register \(key.route)" }
    return "chatelaine ath authorize \(key.route)"
      + (key.subject == TokenKey.standard ? "" : " --subject \(key.subject)")
  }
}
