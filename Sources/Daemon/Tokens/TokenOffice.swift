import Broker
import Bytes
import Config
import Connector
import Crypto
import HTTP
import Net
import Vault

/// Where a route's tokens come from: its recipe with the route's own secrets, and the connection to the endpoint.
struct TokenOffice: Sendable {
  let recipe: TokenRecipe
  let route: Route
  /// A digest of all that a token depends on: with anything else of it, a cached one is void.
  let identity: [UInt8]
  /// A digest of all that its requests are made of, and of where they go: with the same, an endpoint says the same.
  let basis: [UInt8]
  private let tls: Deployment.TLS

  /// Nil for a route whose connector fetches none.
  init?(_ route: Route, _ tls: Deployment.TLS) {
    guard let recipe = route.connector.token else { return nil }
    self.recipe = recipe
    self.route = route
    self.tls = tls
    identity = TokenOffice.identity(route, recipe)
    basis = TokenOffice.basis(route, tls, identity: identity)
  }

  /// What the machine has to know of the recipe.
  var rules: TokenRules {
    var fetch = TokenRules.Fetch.never
    if recipe.refresh?.needsToken == false { fetch = .once }
    if recipe.fetch != nil { fetch = .always }
    return TokenRules(fetch: fetch, refreshes: recipe.refresh != nil, renewBefore: Int64(recipe.renewBefore))
  }

  /// Over the connector's name, the upstream, and what the recipe names of options and secrets. The store seals it.
  private static func identity(_ route: Route, _ recipe: TokenRecipe) -> [UInt8] {
    var digest = PartsDigest()
    digest.add(route.connector.name)
    // Where an agent's calls go is not who gave it the token.
    let upstream = route.agent?.service ?? route.upstream
    digest.add("\(upstream.isTLS) \(upstream.authority)\(upstream.basePath)")
    if let client = route.agent?.registration?.clientID { for part in ["client", client] { digest.add(part) } }
    for name in recipe.identityOptions.sorted() {
      guard let value = route.options[name] else { continue }
      digest.add(name)
      digest.add(value)
    }
    for name in recipe.identity.sorted() {
      guard let secret = route.secrets[name] else { continue }
      digest.add(name)
      digest.add(secret.span)
    }
    return digest.finish()
  }

  /// The token that is stored, if it was obtained with what is configured now.
  func stored(in vault: Vault, for subject: String) throws(VaultError) -> Token? {
    try storedToken(in: vault, for: subject)?.token
  }

  /// The same, and whether its refresh token was refused for good with what is configured now.
  func storedToken(in vault: Vault, for subject: String) throws(VaultError) -> (token: Token, wasRefused: Bool)? {
    guard let stored = try vault.token(route: route.name, subject: subject), stored.identity == identity,
      let token = Token(decoding: stored.payload.span, generation: stored.generation, recipe: recipe)
    else { return nil }
    return (token, stored.refusal == basis)
  }

  // MARK: Requests

  /// Writes a request for a token.
  /// - Parameter token: the one in hand; a fetch starts without it, from the secrets alone.
  func request(_ way: TokenMachine.Way, for subject: String, token: Token?) throws(Problem) -> EndpointRequest {
    let token = way == .fetch ? nil : token
    guard let request = way == .fetch ? recipe.fetch ?? recipe.refresh : recipe.refresh else {
      throw Problem(.notConnected, "Route \(route.name) has no way to get a token by itself.", route: route.name)
    }
    return try prepared(request, for: subject, token: token, login: nil)
  }

  /// Writes the request that makes tokens of a login's code.
  func exchange(_ login: OAuthLogin, for subject: String) throws(Problem) -> EndpointRequest {
    guard let recipe = route.connector.oauth else { throw .noLogins(route.name) }
    return try prepared(recipe.exchange, for: subject, token: nil, login: login)
  }

  /// Who gives out tokens: not where an agent's requests go.
  private var issuer: Route.Upstream { route.agent?.service ?? route.upstream }

  private func prepared(
    _ request: TokenRequest, for subject: String, token: Token?, login: OAuthLogin?
  ) throws(Problem) -> EndpointRequest {
    let wall = Clock.wallMilliseconds()
    do throws(TokenRequestError) {
      return try endpointRequest(
        request.prepare(
          secrets: route.secrets, options: route.options, route: route.name, subject: subject, token: token,
          login: login, host: issuer.authority, basePath: issuer.basePath,
          time: RequestTime(seconds: wall / 1000, milliseconds: Int(wall % 1000)),
          entropy: RequestEntropy(nonce: Worker.random(), uuid: Worker.random())))
    } catch {
      throw Problem(
        .tokenRefused, "The token request of route \(route.name) cannot be made: \(error.message).",
        hint: "chatelaine check", route: route.name)
    }
  }

  private func endpointRequest(_ prepared: PreparedTokenRequest) -> EndpointRequest {
    var place = Place(issuer, tls)
    // What is not loopback and has no TLS was refused with the configuration.
    if let origin = prepared.origin, let upstream = try? Upstream(origin) { place = Place(upstream, tls) }
    return request(
      to: place, method: prepared.method, target: prepared.target.span, contentType: prepared.contentType,
      body: prepared.body.span, isToUpstream: prepared.origin == nil
    ) { bytes in
      for (name, value) in prepared.headers {
        bytes.append("\(name): ")
        bytes.append(value.span)
        bytes.append("\r\n")
      }
    }
  }

  /// Writes a request of an agent's handshake: it has the headers that the route gives to all its requests.
  /// - Parameter body: JSON; empty with GET.
  func agentRequest(
    _ agent: Agent, _ method: StaticString, _ path: String, body: Span<UInt8>, as client: AgentRegistration? = nil
  ) -> EndpointRequest {
    request(
      to: Place(agent.service, tls), method: "\(method)", target: Array((agent.service.basePath + path).utf8).span,
      contentType: body.isEmpty ? nil : "application/json", body: body,
      isToUpstream: agent.service.authority == route.upstream.authority, replaces: { route.setsHeader($0) }
    ) { bytes in
      route.appendHeaders(to: &bytes, except: "content-type")
      client?.appendAuthorization(to: &bytes)
    }
  }

  private func request(
    to place: Place, method: String, target: Span<UInt8>, contentType: String?, body: Span<UInt8>, isToUpstream: Bool,
    replaces: (StaticString) -> Bool = { _ in false }, headers: (inout Buffer) -> Void
  ) -> EndpointRequest {
    var bytes = Buffer()
    bytes.append("\(method) ")
    bytes.append(target)
    bytes.append(" HTTP/1.1\r\nHost: \(place.authority)\r\nConnection: close\r\n")
    let own: [(StaticString, StaticString)] = [("Accept", "application/json"), ("User-Agent", "chatelaine")]
    for (name, value) in own where !replaces(name) {
      bytes.append("\(name): \(value)\r\n")
    }
    headers(&bytes)
    if let contentType { bytes.append("Content-Type: \(contentType)\r\n") }
    if !body.isEmpty || method != "GET" { bytes.append("Content-Length: \(body.count)\r\n") }
    bytes.append("\r\n")
    bytes.append(body)
    defer { bytes.wipe() }
    return EndpointRequest(
      host: place.host, port: place.port, tls: place.tls, bytes: Secret(copying: bytes.span),
      isToUpstream: isToUpstream, connectTimeout: route.timeouts.connect,
      answerTimeout: min(route.timeouts.firstByte, 30_000))
  }

  /// Where a request goes.
  private struct Place {
    var host: String
    var port: UInt16
    var authority: String
    /// Nil: plain HTTP.
    var tls: Deployment.TLS?

    init(_ upstream: Route.Upstream, _ tls: Deployment.TLS) {
      (host, port, authority) = (upstream.host, upstream.port, upstream.authority)
      self.tls = upstream.isTLS ? tls : nil
    }

    init(_ upstream: Upstream, _ tls: Deployment.TLS) {
      (host, port, authority) = (upstream.host.plain, upstream.port, upstream.authority)
      guard upstream.scheme == .https else { return }
      // A certificate of ours is for the route's upstream, not for whoever gives out its tokens.
      // Nor is leave to trust anybody.
      var tls = tls
      tls.settings.certificate = nil
      tls.settings.verifies = true
      tls.key = nil
      self.tls = tls
    }
  }

}
