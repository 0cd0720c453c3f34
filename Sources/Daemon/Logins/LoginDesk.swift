import Broker
import Bytes
import Connector
import Crypto
import JSON
import Net
import Vault

/// Logins of users, from the address that a user is sent to as far as the token that comes of it.
///
/// Used on the keeper's thread only. A state is known by its digest; whoever brings it back has been given it.
final class LoginDesk {
  private let vault: Vault
  private let crew: Crew
  private let tokens: TokenDesk
  /// What became of logins, by the digest of their state: whoever began one may wait for it.
  private var outcomes: [[UInt8]: (outcome: Outcome, expires: Int64)] = [:]

  /// Seconds that a state is good for.
  static let lifetime: Int64 = 300

  /// How a login ended.
  enum Outcome: Sendable {
    case session(Session)
    case failed(Problem)
  }

  /// What may be told of a session: anything but its tokens.
  struct Session: Sendable {
    var subject: String
    var tokenType: String
    /// Seconds; nil when nothing says it.
    var expiresIn: Int64?
    var scope: String?
    /// Where the browser goes from here.
    var returnTo: String?
  }

  init(_ vault: Vault, _ crew: Crew, _ tokens: TokenDesk) {
    self.vault = vault
    self.crew = crew
    self.tokens = tokens
  }

  private var now: Int64 { Clock.wallMilliseconds() / 1000 }

  // MARK: The way out

  /// What a program asks for, in JSON: `{"subject"?, "scope"?, "return_to"?}`.
  struct Wish: Sendable {
    var subject = TokenKey.standard
    var scope: String?
    var returnTo: String?

    init(_ body: Span<UInt8>) throws(Problem) {
      guard !body.isEmpty else { return }
      guard let root = try? JSONReader.parse(body), let members = root.members else {
        throw Problem(.malformedRequest, "The body is a JSON object: {\"subject\"?, \"scope\"?, \"return_to\"?}.")
      }
      for member in members {
        guard let text = member.value.string, !text.isEmpty, text.utf8.count <= 2048 else {
          throw Problem(.malformedRequest, "Members of the body are strings that are not empty.")
        }
        switch member.key {
        case "subject": subject = text
        case "scope": scope = text
        case "return_to": returnTo = text
        default:
          throw Problem(.malformedRequest, "The body has \"subject\", \"scope\" and \"return_to\", and nothing else.")
        }
      }
    }
  }

  /// Begins a login.
  /// - Returns: JSON: `{"authorization_url", "state", "expires_in"}`.
  func authorize(_ office: TokenOffice, _ wish: Wish, caller: UInt32) throws(Problem) -> [UInt8] {
    let route = office.route
    guard let recipe = route.connector.oauth else { throw .noLogins(route.name, isAgent: route.agent != nil) }
    if let missing = route.missingSecrets.first { throw .secretMissing(missing, route: route) }
    try TokenKey.check(subject: wish.subject)
    if let returnTo = wish.returnTo, !route.mayReturn(to: returnTo) {
      refuse(route.name, "return_to")
      throw Problem(
        .malformedRequest, "The origin of \"return_to\" is not one that the route lists under \"return_to\".",
        hint: "add the origin to the route's \"return_to\", then: chatelaine reload", route: route.name)
    }
    let state = String(LoginDesk.randomText().span)
    let login = OAuthLogin(
      state: state, redirectURI: try redirectURI(recipe, route),
      scope: wish.scope ?? recipe.scope(options: route.options),
      verifier: LoginDesk.randomText(), code: nil)
    let url: String
    do throws(TokenRequestError) {
      url = try recipe.authorizationURL(
        login, secrets: route.secrets, options: route.options, route: route.name, subject: wish.subject,
        upstream: route.upstream.url, time: RequestTime(seconds: now),
        entropy: RequestEntropy(nonce: Worker.random(), uuid: Worker.random()))
    } catch {
      throw Problem(
        .authorizationFailed, "The address to log in at cannot be made: \(error.message).", hint: "chatelaine check",
        route: route.name)
    }
    do throws(VaultError) {
      try vault.addState(
        hash: LoginDesk.digest(state),
        PendingLogin(
          route: route.name, subject: wish.subject, caller: caller, redirectURI: login.redirectURI,
          returnTo: wish.returnTo, scope: login.scope, verifier: login.verifier, identity: office.identity,
          expires: now + LoginDesk.lifetime),
        now: now)
    } catch {
      if error.code == .tooMany {
        throw Problem(
          .overloaded, "Too many logins are under way; each is forgotten after five minutes.", route: route.name,
          retryAfter: 60)
      }
      throw .store(error, route: route.name)
    }
    var text = Buffer()
    text.appendObjectStart()
    text.appendMember("authorization_url", url)
    text.appendMember("state", state)
    text.appendMember("expires_in", LoginDesk.lifetime)
    text.appendObjectEnd()
    return Array(text.span)
  }

  /// The route's own, or the daemon's callback on its first TCP listener.
  private func redirectURI(_ recipe: OAuthRecipe, _ route: Route) throws(Problem) -> String {
    if let uri = recipe.redirectURI(options: route.options) { return uri }
    guard let listener = crew.browsersReturn else {
      throw Problem(
        .authorizationFailed, "There is no TCP listener for a browser to come back to.",
        hint: "give the route the option \"redirect_uri\"", route: route.name)
    }
    return "http://\(listener)/-/oauth/\(route.name)/callback"
  }

  // MARK: The way back

  /// Takes a state, which is then used up, and gives what it was given for.
  /// - Parameter caller: who brings it; nil: the user's browser.
  func take(_ back: LoginReturn, _ office: TokenOffice, caller: UInt32?) throws(Problem) -> PendingLogin {
    let route = office.route
    let outcome: StateOutcome
    do throws(VaultError) {
      outcome = try vault.takeState(hash: LoginDesk.digest(back.state), route: route.name, now: now)
    } catch {
      throw .store(error, route: route.name)
    }
    let reason: String
    switch outcome {
    case .login(let login):
      if let caller, caller != login.caller {
        reason = "other_caller"
        break
      }
      // The route was pointed at another client or provider meanwhile: the code is not for them.
      guard login.identity == office.identity else {
        reason = "other_client"
        break
      }
      try check(back, office, login)
      return login
    case .unknown: reason = "unknown"
    case .expired: reason = "expired"
    case .used: reason = "used"
    case .displaced: reason = "displaced"
    case .otherRoute: reason = "other_route"
    }
    refuse(route.name, reason)
    throw .stateUnknown(route.name)
  }

  private func check(_ back: LoginReturn, _ office: TokenOffice, _ login: PendingLogin) throws(Problem) {
    let route = office.route
    if let issuer = route.connector.oauth?.issuer(options: route.options), back.issuer != issuer {
      refuse(route.name, "issuer")
      throw Problem(
        .authorizationFailed, "The answer does not come from the issuer that the route names.",
        hint: "chatelaine login \(route.name)", route: route.name)
    }
    guard back.error == nil, back.code != nil else {
      refuse(route.name, "denied")
      throw Problem(
        .authorizationFailed,
        back.error == "access_denied"
          ? "The user, or the provider for them, said no." : "The provider answered with an error instead of a code.",
        hint: "chatelaine login \(route.name)", route: route.name)
    }
  }

  private func refuse(_ route: String, _ reason: String) {
    crew.log.say(.warning, "login refused", ("route", route), ("reason", reason))
  }

  /// The request that makes tokens of the code.
  func request(_ back: LoginReturn, _ login: PendingLogin, _ office: TokenOffice) throws(Problem) -> EndpointRequest {
    try office.exchange(
      OAuthLogin(
        state: back.state, redirectURI: login.redirectURI, scope: login.scope, verifier: login.verifier, code: back.code
      ),
      for: login.subject)
  }

  /// What the endpoint made of it: tokens, which the store has when this returns, or nothing.
  func finish(
    _ result: Result<EndpointAnswer, EndpointFailure>, _ back: LoginReturn, _ login: PendingLogin,
    _ office: TokenOffice
  ) throws(Problem) -> Session {
    let route = office.route
    let answer: EndpointAnswer
    do throws(EndpointFailure) {
      answer = try result.get()
    } catch {
      throw failed("the token endpoint gave no answer: \(error.reason)", route, \.unavailable)
    }
    guard tokens.office(of: route.name)?.identity == office.identity else {
      throw failed("the route was pointed elsewhere meanwhile", route, \.refused)
    }
    let key = TokenKey(route: route.name, subject: login.subject)
    let outcome = try tokens.obtained(answer, key, shown: [login.verifier] + (back.code.map { [$0] } ?? []))
    switch outcome {
    case .granted(let token):
      count(\.granted, route)
      crew.log.say(.info, "logged in", ("route", key.route), ("subject", key.subject))
      return Session(
        subject: login.subject, tokenType: token["token_type"]?.text ?? "Bearer",
        expiresIn: token.expiresAt.map { max($0 - now, 0) },
        scope: token["scope"]?.text ?? login.scope, returnTo: login.returnTo)
    case .refused(let message):
      throw failed(
        "the token endpoint refuses (status \(answer.status))\(message.map { ": \($0)" } ?? "")", route, \.refused)
    case .unavailable(let reason), .malformed(let reason): throw failed(reason, route, \.unavailable)
    }
  }

  private func count(_ outcome: WritableKeyPath<TokenCounts, UInt64>, _ route: Route) {
    crew.tokens.withLock { $0.counts[route.name, default: TokenCounts()][keyPath: outcome] += 1 }
  }

  private func failed(
    _ reason: String, _ route: Route, _ outcome: WritableKeyPath<TokenCounts, UInt64>
  ) -> Problem {
    count(outcome, route)
    crew.log.say(.warning, "login failed", ("route", route.name), ("reason", reason))
    return Problem(
      .authorizationFailed, "The code was not exchanged for a token: \(reason).",
      hint: "chatelaine login \(route.name)", route: route.name)
  }

  // MARK: Who waits

  /// Remembers how a login ended, for as long as its state would have lived.
  func note(_ state: String, _ outcome: Outcome) {
    let now = now
    outcomes = outcomes.filter { $0.value.expires > now }
    outcomes[LoginDesk.digest(state)] = (outcome, now + LoginDesk.lifetime)
  }

  /// Nil while it is under way, or nobody knows it.
  func outcome(of state: String) -> Outcome? { outcomes[LoginDesk.digest(state)]?.outcome }

  // MARK: Texts

  /// 256 random bits in base64url.
  private static func randomText() -> Secret {
    var text = Buffer()
    text.appendBase64URL(Random.bytes(32).span)
    return Secret(copying: text.span)
  }

  static func digest(_ state: String) -> [UInt8] {
    let digest = Digest(.sha256)
    digest.update(Array(state.utf8).span)
    var bytes = Buffer()
    digest.finish(into: &bytes)
    return Array(bytes.span)
  }
}

extension LoginDesk.Session {
  /// `{"subject", "token_type", "expires_in", "scope"}`.
  var json: [UInt8] {
    var text = Buffer()
    text.appendObjectStart()
    text.appendMember("subject", subject)
    text.appendMember("token_type", tokenType)
    if let expiresIn { text.appendMember("expires_in", expiresIn) }
    if let scope { text.appendMember("scope", scope) }
    text.appendObjectEnd()
    return Array(text.span)
  }
}

extension Secret {
  /// Of a field that is none: what an endpoint calls a token's type, or its scope.
  fileprivate var text: String { String(span) }
}
