internal import Bytes
internal import Connector
public import HTTP

extension Snapshot {
  /// Decides what becomes of a request: Host and browser checks, then who calls, then the route and its rules (T3.5).
  ///
  /// - Parameters:
  ///   - head: complete.
  ///   - bytes: what the head's ranges are of.
  public func plan(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, door: Door, caller: Caller) -> Decision {
    do throws(Problem) {
      return try Planner(self, door, caller).decide(head, bytes)
    } catch {
      return .refuse(error)
    }
  }
}

private struct Planner: ~Copyable {
  private let snapshot: Snapshot
  private let door: Door
  private let caller: Caller

  /// What the request's authority says.
  private enum Site {
    /// This listener, by one of its own names.
    case here
    case route(Route, Plan.Mode)
  }

  init(_ snapshot: Snapshot, _ door: Door, _ caller: Caller) {
    self.snapshot = snapshot
    self.door = door
    self.caller = caller
  }

  func decide(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) throws(Problem) -> Decision {
    if head.form == .authority {
      throw refusal(
        .methodNotSupported,
        "CONNECT would be a tunnel that nothing can be added to; use http:// URLs or the route's prefix.",
        allow: .forwarded, closes: true)
    }
    let site = try site(head, bytes)
    let endpoint = try endpoint(head, bytes, site)
    // T2.2: no page of a browser, whatever it asks for. A user's return from a login is a navigation, no script's request.
    let isReturn = endpoint?.isBrowsersReturn == true && head.method == .get && isNavigation(head, bytes)
    if head.has(.origin) || head.has(.accessControl) || head.has(.secFetchSite) && !isReturn {
      throw Problem(.browserRefused, "Origin, Sec-Fetch-Site and Access-Control-Request fields come from web pages.")
    }
    if let endpoint { return .answer(try allowed(endpoint, head)) }
    guard caller == .own else { throw callerUnknown }
    if head.method == .trace { throw refusal(.methodNotSupported, "TRACE is never forwarded.", allow: .forwarded) }
    if head.form == .asterisk
      || head.form == .absolute && head.method == .options && head.path.isEmpty && head.query == nil
    {
      return .answer(.options)
    }
    let (route, mode, path) = try route(head, bytes, site)
    try check(head, bytes, route)
    if snapshot.isTokenEndpoint(path, query: head.query, of: route, bytes) {
      throw Problem(
        .unknownRoute, "The path is a token endpoint's, or a handshake's: nobody but the daemon asks there.",
        hint: "call the API itself; its requests get a token from the daemon", route: route.name)
    }
    return .forward(
      Plan(
        route: route, mode: mode, path: path, query: head.query, method: head.method, methodName: head.methodName,
        framing: head.framing,
        expectsContinue: head.expectsContinue && head.framing != .none && head.framing != .length(0),
        upgradesToWebSocket: route.upgradesToWebSocket && head.asksForWebSocket && head.method == .get,
        minorVersion: head.minorVersion, wantsClose: head.wantsClose))
  }

  private var callerUnknown: Problem {
    Problem(
      .callerUnknown, "Only processes of the daemon's own user may call, and the kernel does not vouch for this one.")
  }

  private func refusal(
    _ code: ProblemCode, _ detail: String, route: Route? = nil, allow: Problem.StaticMethods? = nil,
    closes: Bool = false
  ) -> Problem {
    var problem = Problem(code, detail, route: route?.name, closes: closes)
    problem.allow = allow
    return problem
  }

  // MARK: Where to

  /// T2.1 and rows 26–28, 47: exact names, the listener's port included.
  private func site(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) throws(Problem) -> Site {
    let absolute = head.form == .absolute ? head.authority : nil
    let authority = absolute ?? head.host
    let name = bytes.extracting(authority.name)
    if isListener(name, authority.port) { return .here }
    if isPort(authority.port), let route = snapshot.local(name) { return try only(route, .whole) }
    let standard = head.isHTTPS ? 443 : 80
    if let (kind, route) = snapshot.authority(name, port: authority.port, standard: standard) {
      switch kind {
      case .host: return try only(route, .whole)
      case .upstream where absolute != nil: return try only(route, .absolute)
      case .ambiguous where absolute != nil:
        throw Problem(.misdirected, "Several routes have this upstream; name the route by its prefix.")
      case .local, .upstream, .ambiguous: break
      }
    }
    // A host that is configured without a port is meant at the listener's, too.
    if isPort(authority.port), case (.host, let route)? = snapshot.authority(name, port: nil, standard: standard) {
      return try only(route, .whole)
    }
    throw Problem(
      .misdirected,
      absolute == nil
        ? "The Host is neither one of this listener's names nor a route's."
        : "The target's authority is neither this listener nor a route's upstream.")
  }

  /// A route's own listener leads nowhere else.
  private func only(_ route: Route, _ mode: Plan.Mode) throws(Problem) -> Site {
    switch door {
    case .everyone: return .route(route, mode)
    case .route(let own, _) where own == route.name: return .route(route, mode)
    case .route, .metrics: throw Problem(.misdirected, "This listener is not for that route.")
    }
  }

  private func isListener(_ name: Span<UInt8>, _ port: Int?) -> Bool {
    guard isPort(port) else { return false }
    return name.equalsIgnoringCase("localhost") || name.equals("127.0.0.1") || name.equals("[::1]")
  }

  /// No page can make a browser open a Unix socket: the port says nothing there.
  private func isPort(_ port: Int?) -> Bool {
    guard let own = door.port else { return true }
    return port ?? 80 == Int(own)
  }

  // MARK: Ours

  private func endpoint(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ site: Site) throws(Problem) -> Endpoint?
  {
    if case .route(_, .absolute) = site { return nil }
    let path = bytes.extracting(head.path)
    let isOurs = path.hasPrefix("/-/") || path.equals("/-")
    if case .metrics = door, !isOurs {
      throw Problem(.unknownRoute, "This listener has /-/livez, /-/readyz and /-/metrics.")
    }
    guard isOurs else { return nil }
    if path.equals("/-/livez") { return .livez }
    if path.equals("/-/readyz") { return .readyz }
    if path.equals("/-/metrics") { return .metrics }
    // Who is not known learns nothing of routes: to them every return from a login looks alike, and nothing else is there.
    if caller == .unknown, path.hasPrefix(SessionEndpoint.prefix), !path.hasSuffix("/callback") { throw callerUnknown }
    if path.hasPrefix(SessionEndpoint.prefix), case .everyone = door,
      let session = SessionEndpoint(bytes, head.path, snapshot)
    {
      return .session(session)
    }
    if path.hasPrefix(AgentEndpoint.prefix), case .everyone = door {
      let agent = AgentEndpoint(bytes, head.path, snapshot)
      // Who an agent is may be known to all: the servers that it goes to ask for it.
      if caller == .unknown, agent?.action != .identity { throw callerUnknown }
      if let agent { return .agent(agent) }
    }
    throw Problem(.unknownRoute, "There is nothing at this path under /-/.")
  }

  /// What a browser does when its user follows a link; a page's picture or script is none (Fetch Metadata).
  private func isNavigation(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Bool {
    for field in head.fields where bytes.extracting(field.name).equalsIgnoringCase("sec-fetch-mode") {
      return bytes.extracting(field.value).equals("navigate")
    }
    return true
  }

  /// Whether the method is the endpoint's, and whether this caller may ask.
  private func allowed(_ endpoint: Endpoint, _ head: borrowing RequestHead) throws(Problem) -> Endpoint {
    switch endpoint {
    case .session(let session):
      // The callback is the browser's, of whatever user: what it brings is a state that was given to a known caller.
      if session.action != .callback, caller == .unknown { throw callerUnknown }
      guard head.method == session.method else {
        throw refusal(.methodNotSupported, "This endpoint has one method.", allow: session.allow)
      }
    case .agent(let agent):
      guard head.method == agent.method || agent.method == .get && head.method == .head else {
        throw refusal(.methodNotSupported, "This endpoint has one method.", allow: agent.allow)
      }
    case .livez, .readyz, .metrics, .options:
      guard head.method == .get || head.method == .head else {
        throw refusal(.methodNotSupported, "Only GET and HEAD work here.", allow: .reading)
      }
      if endpoint == .metrics, caller == .unknown {
        guard case .metrics = door else { throw callerUnknown }
      }
    }
    return endpoint
  }

  // MARK: The route

  private func route(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ site: Site
  ) throws(Problem) -> (Route, Plan.Mode, Range<Int>) {
    switch site {
    case .route(let route, .absolute):
      // The client's URL is the upstream's own, so the base path is in it; nothing outside of it belongs to the route.
      let path = bytes.extracting(head.path)
      let basePath = route.basePath
      let base = basePath.count
      guard path.hasPrefix(basePath.span), path.count == base || base == 0 || path[base] == 0x2F else {
        throw Problem(.unknownRoute, "The path is outside of the route's base path.", route: route.name)
      }
      return (route, .absolute, head.path.lowerBound + base..<head.path.upperBound)
    case .route(let route, let mode): return (route, mode, head.path)
    case .here: break
    }
    if case .route(let name, _) = door {
      guard let route = snapshot.route(named: name) else {
        throw Problem(.unknownRoute, "This listener's route is gone.")
      }
      return (route, .whole, head.path)
    }
    let start = head.path.isEmpty ? head.path.lowerBound : head.path.lowerBound + 1
    var end = start
    while end < head.path.upperBound, bytes[end] != 0x2F { end += 1 }
    guard let route = snapshot.route(named: bytes.extracting(start..<end)) else {
      throw Problem(.unknownRoute, "The path's first segment is the name of no route.")
    }
    return (route, .prefix, end..<head.path.upperBound)
  }

  /// The rules of the route: rows 18–20, 41, 54, 73 and 101.
  private func check(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ route: Route) throws(Problem) {
    if head.method == .other {
      throw refusal(.methodNotSupported, "The route does not allow this method.", route: route, allow: .forwarded)
    }
    if head.hasEmptySegments, !route.allowsEmptySegments {
      throw Problem(
        .malformedRequest, "The path has an empty segment; \"empty_segments\": true would let the route pass it.",
        route: route.name, closes: true)
    }
    for field in head.fields where field.marks.contains(.underscore) {
      if route.setNames.contains(bytes.extracting(field.name), underscores: true) {
        throw Problem(HTTPError.ambiguousFieldName, route: route.name)
      }
    }
    if head.nominatesOthers, head.connectionNames(bytes, where: { route.setNames.contains($0) }) {
      throw Problem(HTTPError.protectedFieldNominated, route: route.name)
    }
    // What is signed would be one of them, and the upstream might take the other.
    for name in route.readHeaders {
      var isThere = false
      for field in head.fields where name.span.equalsIgnoringCase(bytes.extracting(field.name)) {
        if isThere { throw Problem(HTTPError.duplicateField, route: route.name) }
        isThere = true
      }
    }
    if let limit = route.bodyLimit, case .length(let length) = head.framing, length > limit {
      throw Problem.bodyTooLarge(route)
    }
    if let missing = route.missingSecrets.first { throw .secretMissing(missing, route: route) }
    if let obstacle = route.obstacle { throw obstacle }
    try route.checkHeaders()
  }
}

extension Problem {
  public static func secretMissing(_ name: String, route: Route) -> Problem {
    Problem(
      .secretMissing, "The route needs the secret \"\(name)\", which is not stored.",
      hint: name == route.agent?.keyName ? "chatelaine ath keygen \(route.name)" : "chatelaine secret set \(name)",
      route: route.name)
  }

  /// More than `limits.body`, announced or counted (rows 73 and 97): the rest is not read.
  public static func bodyTooLarge(_ route: Route) -> Problem {
    Problem(.bodyTooLarge, "The body is longer than the route's limit.", route: route.name, closes: true)
  }
}
