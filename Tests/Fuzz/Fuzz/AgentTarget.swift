import Broker
import Bytes
import Connector
import Crypto
import JSON

/// The first byte is of a status and of a mode. The rest is what an agent's server answered, to whatever it was asked, or what a
/// caller asks of the agent.
func fuzzAgent(_ data: [UInt8]) {
  guard let choice = data.first else { return }
  let body = Exact(data.dropFirst())
  let mode: AgentIdentity.Mode = choice & 1 == 0 ? .gateway : .native
  let agent = made(mode)
  refuse(body.span, status: [400, 302, 429, 503][Int(choice >> 1 & 3)], agent, data)
  begin(body.span, data)
  grant(body.span, agent, data)
  register(body.span, agent, data)
  discover(body.span, mode, data)
  if let wish = try? AgentWish.Authorization(body.span) {
    require(
      !wish.scopes.isEmpty && wish.scopes.allSatisfy { !$0.contains(" ") }, "\(shown(data)) asks for \(wish.scopes)")
  }
  if let wish = try? AgentWish.Exchange(body.span) {
    require(!wish.session.isEmpty, "\(shown(data)) is for no session")
  }
}

private let service = Route.Upstream(
  isTLS: true, host: "ath.example.com", port: 443, authority: "ath.example.com", basePath: "/base")
private let agentID = "https://agent.example.com/.well-known/agent.json"
private let canary = Secret(copying: Array(Sample.canary.utf8).span)
private let identities: [AgentIdentity.Mode: AgentIdentity] = {
  guard let connector = Sample.catalog["ath"] else { fatalError("no connector") }
  var all: [AgentIdentity.Mode: AgentIdentity] = [:]
  for mode in [AgentIdentity.Mode.gateway, .native] {
    all[mode] = try? AgentIdentity(
      ["mode": mode.rawValue, "agent_id": agentID, "provider": "mail", "developer": "E"], of: connector)
  }
  return all
}()

private func made(
  _ mode: AgentIdentity.Mode, registration: Secret? = nil, discovery: Secret? = nil
) -> Agent {
  guard let identity = identities[mode] else { fatalError("no identity") }
  return Agent(
    identity, service: service, name: "f", key: nil, registration: registration, discovery: discovery)
}

/// Nothing of a refusal is told that could be ours or could do something to a terminal.
private func refuse(_ body: Span<UInt8>, status: Int, _ agent: Agent, _ data: [UInt8]) {
  let refusal = AgentRefusal(status: status, body: body, hiding: [canary])
  let problem = refusal.problem(step: .register, agent: agent, route: "f", retryAfter: nil, skew: 0)
  require(!problem.detail.contains(Sample.canary), "\(shown(data)) is told: \(problem.detail)")
  require(problem.detail.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }, problem.detail)
  let code = problem.upstreamCode ?? "A"
  require(
    !code.isEmpty && code.utf8.allSatisfy { (0x41...0x5A).contains($0) || Plain.digits.contains($0) || $0 == 0x5F },
    "the code \(code)")
  require((problem.retryAfter != nil) == (status >= 429), "\(status)")
}

private func begin(_ body: Span<UInt8>, _ data: [UInt8]) {
  guard let session = try? AgentSession(body) else { return }
  require(session.url.utf8.allSatisfy { 0x21...0x7E ~= $0 }, "\(shown(data)) sends a user to \(session.url)")
  let told = try? JSONReader.parse(session.json)
  require(
    told?["authorization_url"]?.string == session.url && told?["ath_session_id"]?.string == session.session
      && told?.members?.count == 2, "\(shown(data)) is told as \(shown(session.json))")
}

/// No token is told, and what is read as one has what was asked for.
private func grant(_ body: Span<UInt8>, _ agent: Agent, _ data: [UInt8]) {
  guard let grant = try? AgentGrant(body, asked: "a b", agent: agent, route: "f") else { return }
  guard let told = try? JSONReader.parse(grant.answer(subject: "alice")) else {
    fatalError("broken: \(shown(data)) is told as \(shown(grant.answer(subject: "alice")))")
  }
  require(told["subject"]?.string == "alice", "\(shown(data)) says for whom it is")
  require(told["access_token"] == nil && told["refresh_token"] == nil, "\(shown(data)) has its token told")
  guard let recipe = Sample.catalog["ath"]?.token else { fatalError("no recipe") }
  let answer = recipe.read(
    status: 200, body: grant.body.span, previous: nil, generation: 1, now: 1_767_225_600, hiding: [canary])
  guard case .granted(let token) = answer else { return }
  require(token["asked"].map { String($0.span) } == #"["a","b"]"#, "\(shown(data)) says what was asked for")
}

/// What is stored is read again, and what is told of it has no secret.
private func register(_ body: Span<UInt8>, _ agent: Agent, _ data: [UInt8]) {
  let asked = Array(#"{"providers":[{"provider_id":"mail","scopes":[]}],"purpose":"p"}"#.utf8)
  let own = try? AgentWish.Registration(body, agent)
  guard let wish = own ?? (try? AgentWish.Registration(asked.span, agent)) else { fatalError("no wish") }
  let answer = Array(#"{"client_id":"c","client_secret":"s","agent_status":"denied"}"#.utf8)
  let record = try? AgentRegistration.record(
    own == nil ? body : answer.span, to: wish, of: agent.identity, at: service.url)
  guard let record else { return require(own == nil, "\(shown(data)) is asked for and not stored") }
  guard let read = made(agent.identity.mode, registration: record).registration else {
    fatalError("broken: what was stored of \(shown(data)) does not read")
  }
  require(!read.clientID.isEmpty && !read.clientSecret.isEmpty && read.answer["client_secret"] == nil, "\(shown(data))")
  require(!read.redirectURIs.isEmpty, "\(shown(data)) brings nobody back")
}

/// Calls go to the service, or nowhere.
private func discover(_ body: Span<UInt8>, _ mode: AgentIdentity.Mode, _ data: [UInt8]) {
  guard let record = try? AgentDiscovery.record(body, of: mode, at: service.url, now: 1) else { return }
  let agent = made(mode, discovery: record)
  require(agent.discovery != nil, "what was stored of \(shown(data)) does not read")
  let (upstream, _) = agent.upstream(hosts: [], route: "f")
  require(
    upstream.isTLS && upstream.host == service.host && upstream.port == 443 && upstream.authority == service.authority,
    "\(shown(data)) leads to \(upstream.url)")
  let path = Array(upstream.basePath.utf8)
  require(path.isEmpty || Plain.split(target: path, method: "GET").map { $0.query == nil } == true, "\(shown(path))")
}
