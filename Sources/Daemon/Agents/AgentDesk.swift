import Broker
import Bytes
import Connector
import Crypto
import JSON
import Net
import Vault

/// What the Agent Trust Handshake stores and remembers, between the steps that `Keeper+Agents` walks.
///
/// Used on the keeper's thread only.
final class AgentDesk {
  private let vault: Vault
  private let crew: Crew
  private let tokens: TokenDesk
  /// Routes whose agent is being registered: a second answer would take the place of the first.
  private var registering: Set<String> = []

  /// Seconds that a session of the server lives.
  static let sessionLifetime: Int64 = 600
  /// Seconds that a discovery document is served from the store.
  static let discoveryLifetime: Int64 = 300

  init(_ vault: Vault, _ crew: Crew, _ tokens: TokenDesk) {
    self.vault = vault
    self.crew = crew
    self.tokens = tokens
  }

  var now: Int64 { Clock.wallMilliseconds() / 1000 }

  /// A route and its agent, as they are now.
  struct Case {
    var office: TokenOffice
    var agent: Agent
    var route: String { office.route.name }
  }

  func find(_ route: String) throws(Problem) -> Case {
    guard let office = tokens.office(of: route), let agent = office.route.agent else { throw .noAgent(route) }
    return Case(office: office, agent: agent)
  }

  /// The same, after waiting: unless the route means another agent or another server by now.
  /// - Parameter exactly: nor another provider, or client.
  func find(again known: Case, exactly: Bool = false) throws(Problem) -> Case {
    let found = try find(known.route)
    let isSame = !exactly || found.office.identity == known.office.identity
    guard isSame, found.agent.service == known.agent.service,
      found.agent.identity.agentID == known.agent.identity.agentID
    else {
      throw Problem(
        .authorizationFailed, "The route was pointed elsewhere meanwhile.", hint: "chatelaine status",
        route: known.route)
    }
    return found
  }

  /// What one attestation needs.
  func fresh(_ known: Case) throws(Problem) -> Agent.Fresh {
    Agent.Fresh(key: try known.agent.signingKey(route: known.route), identifier: Random.bytes(16), now: now)
  }

  // MARK: What servers said

  func store(_ record: Secret, as name: String, route: String) throws(Problem) {
    do throws(VaultError) {
      _ = try vault.setSecret(name, record, now: now)
    } catch {
      throw .store(error, route: route)
    }
  }

  /// - Throws: `overloaded` while another registration of the route is under way.
  func beginRegistering(_ route: String) throws(Problem) {
    guard registering.insert(route).inserted else {
      throw Problem(.overloaded, "The agent is being registered already.", route: route, retryAfter: 1)
    }
  }

  func endRegistering(_ route: String) { registering.remove(route) }

  /// - Parameters:
  ///   - sent: the body that was refused.
  ///   - shown: what else the server has seen, and its words must not repeat.
  func refusal(
    _ answer: EndpointAnswer, step: AgentEndpoint.Action, _ known: Case, sent: Secret, shown: [Secret] = []
  ) -> (AgentRefusal, Problem) {
    var skew = ClockSkew()
    _ = skew.observe(date: answer.date.span, now: now)
    let route = known.office.route
    let client = known.agent.registration.map { [$0.clientSecret] } ?? []
    let secrets =
      Array(route.secrets.values) + route.secretHeaders + client + shown + Agent.secrets(in: sent.span)
    let refusal = AgentRefusal(status: answer.status, body: answer.body.span, hiding: secrets)
    let problem = refusal.problem(
      step: step, agent: known.agent, route: known.route, retryAfter: answer.retryAfter, skew: skew.seconds)
    return (refusal, problem)
  }

  func failed(_ problem: Problem, step: AgentEndpoint.Action, _ route: String) {
    crew.log.say(.warning, "handshake failed", ("route", route), ("step", step.rawValue), ("reason", problem.detail))
  }

  func done(_ step: AgentEndpoint.Action, _ known: Case, subject: String? = nil) {
    crew.log.say(.info, "handshake", ("route", known.route), ("step", step.rawValue), ("subject", subject ?? "-"))
  }

  // MARK: Sessions

  /// A session that the server began, by the digest of its name and its route's.
  private static func digest(_ session: String, _ route: String) -> [UInt8] {
    LoginDesk.digest("ath \(route) \(session)")
  }

  func add(
    session: String, _ known: Case, subject: String, caller: UInt32, redirectURI: String, scopes: [String],
    state: Secret
  ) throws(Problem) {
    let pending = PendingLogin(
      route: known.route, subject: subject, caller: caller, redirectURI: redirectURI, returnTo: nil,
      scope: scopes.joined(separator: " "), verifier: state, identity: known.office.identity,
      expires: now + AgentDesk.sessionLifetime)
    // Of two who were given the same one, the second would get the first one's token.
    guard try add(session, pending, isTakenBack: false) else {
      throw Problem(
        .authorizationFailed, "\(known.agent.service.authority) began a session under the name of an earlier one.",
        hint: "chatelaine ath authorize \(known.route)", route: known.route)
    }
  }

  /// - Parameter pending: what `take` gave, when the server has not used it up.
  func takeBack(_ session: String, _ pending: PendingLogin) throws(Problem) {
    _ = try add(session, pending, isTakenBack: true)
  }

  private func add(_ session: String, _ pending: PendingLogin, isTakenBack: Bool) throws(Problem) -> Bool {
    do throws(VaultError) {
      return try vault.addState(
        hash: AgentDesk.digest(session, pending.route), pending, isTakenBack: isTakenBack, now: now)
    } catch {
      if error.code == .tooMany {
        throw Problem(
          .overloaded, "Too many sessions are under way; each is forgotten after ten minutes.", route: pending.route,
          retryAfter: 60)
      }
      throw .store(error, route: pending.route)
    }
  }

  /// Takes a session, which is then used up.
  /// - Parameter subject: for whom it is said to be; nil: whoever it was begun for.
  func take(
    _ wish: AgentWish.Exchange, _ known: Case, subject: String?, caller: UInt32
  ) throws(Problem) -> PendingLogin {
    let outcome: StateOutcome
    do throws(VaultError) {
      outcome = try vault.takeState(
        hash: AgentDesk.digest(wish.session, known.route), route: known.route, now: now)
    } catch {
      throw .store(error, route: known.route)
    }
    let reason: String
    var isMistake = true
    switch outcome {
    case .login(let login):
      if login.caller != caller {
        reason = "other_caller"
      } else if let subject, subject != login.subject {
        reason = "other_subject"
      } else if let state = wish.state, state != login.verifier {
        reason = "state_mismatch"
      } else if login.identity != known.office.identity {
        isMistake = false
        reason = "other_client"
      } else {
        return login
      }
      // Whoever it was meant for still has it: a word too few in a request costs nobody their consent.
      if isMistake { try takeBack(wish.session, login) }
    case .unknown, .otherRoute: reason = "unknown"
    case .expired: reason = "expired"
    case .used: reason = "used"
    case .displaced: reason = "displaced"
    }
    crew.log.say(.warning, "session refused", ("route", known.route), ("reason", reason))
    throw Problem(
      .stateUnknown, "This session was never begun here, is more than ten minutes old, or is over already.",
      hint: "chatelaine ath authorize \(known.route)", route: known.route)
  }

  // MARK: Tokens

  func obtained(_ answer: EndpointAnswer, _ key: TokenKey, shown: [Secret]) throws(Problem) -> TokenAnswer {
    try tokens.obtained(answer, key, shown: shown)
  }

  /// The access token in hand, dead ones among them: servers are told to forget those, too.
  func accessToken(_ key: TokenKey) throws(Problem) -> Secret? {
    do throws(VaultError) {
      return try tokens.token(key)?.accessToken
    } catch {
      throw .store(error, route: key.route)
    }
  }

  func drop(_ key: TokenKey) throws(Problem) {
    do throws(VaultError) {
      _ = try tokens.drop(key)
    } catch {
      throw .store(error, route: key.route)
    }
  }

  // MARK: Status

  /// Appends the member `agent`, for a route that has one.
  func append(statusOf route: String, to text: inout Buffer) {
    guard let agent = tokens.office(of: route)?.route.agent else { return }
    text.appendKey("agent")
    text.appendObjectStart()
    text.appendMember("agent_id", agent.identity.agentID)
    text.appendMember("mode", agent.identity.mode.rawValue)
    text.appendMember("has_key", agent.key != nil)
    text.appendMember("discovered", agent.discovery != nil)
    if let base = agent.discovery?.document["api_base"]?.string { text.appendMember("api_base", base) }
    if let obstacle = tokens.office(of: route)?.route.obstacle { text.appendMember("obstacle", obstacle.detail) }
    if let registration = agent.registration {
      text.appendKey("registration")
      text.appendObjectStart()
      for name in ["client_id", "agent_status", "approval_expires"] {
        if let value = registration.answer[name]?.string { text.appendMember(name, value) }
      }
      for (name, value) in [
        ("asked", registration.request["requested_providers"]), ("approved", registration.answer["approved_providers"]),
      ] {
        guard let value else { continue }
        text.appendKey(name)
        text.appendJSON(value)
      }
      text.appendObjectEnd()
    }
    text.appendKey("sessions")
    text.appendArrayStart()
    for (subject, state, token) in tokens.sessions(of: route) {
      text.appendObjectStart()
      text.appendMember("subject", subject)
      text.appendMember("state", state)
      let intersection = AgentDesk.json(token, "intersection")
      for (name, value) in [
        ("asked", AgentDesk.json(token, "asked")), ("approved", intersection?["agent_approved"]),
        ("consented", intersection?["user_consented"]), ("effective", AgentDesk.json(token, "effective")),
      ] {
        guard let value else { continue }
        text.appendKey(name)
        text.appendJSON(value)
      }
      text.appendObjectEnd()
    }
    text.appendArrayEnd()
    text.appendObjectEnd()
  }

  private static func json(_ token: Token?, _ field: String) -> JSONValue? {
    token?[field].flatMap { try? JSONReader.parse($0.span) }
  }
}

extension Problem {
  static func noAgent(_ route: String) -> Problem {
    Problem(
      .unknownRoute, "Route \(route) has no agent: its connector has no \"handshake\".",
      hint: "chatelaine status lists the routes", route: route)
  }
}
