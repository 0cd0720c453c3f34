import Bytes
import Crypto
import Testing

@testable import Connector

@Suite struct OAuthTests {
  private static let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

  private func login(_ scope: String? = nil) -> OAuthLogin {
    OAuthLogin(
      state: "s&t", redirectURI: "https://a/cb", scope: scope,
      verifier: Secret(copying: Array(OAuthTests.verifier.utf8).span))
  }

  private func url(
    _ recipe: OAuthRecipe?, _ login: OAuthLogin, options: [String: String] = [:], secrets: [String] = ["id"],
    upstream: String = "https://api.example.com:8443/v2"
  ) throws -> String {
    let sealed = secrets.map { ($0, Secret(copying: Array("value-of-\($0)".utf8).span)) }
    return try #require(recipe).authorizationURL(
      login, secrets: Dictionary(uniqueKeysWithValues: sealed), options: options, route: "acme", subject: "alice",
      upstream: upstream, time: RequestTime(seconds: 1_767_225_600), entropy: RequestEntropy(nonce: 1))
  }

  /// - Parameters:
  ///   - query: what follows the state.
  ///   - more: what follows the requests.
  private func recipe(_ place: String = #""path": "/login""#, _ query: String = "", more: String = "") throws
    -> OAuthRecipe
  {
    let bench = try Bench(
      #"""
      "secrets": { "id": {} },
      "options": { "o": { "required": false }, "p": { "default": "p1" } },
      "oauth": {
        "authorize": { \#(place), "query": { "state": "${state}" \#(query) } },
        "exchange": { "path": "/token", "form": { "code": "${code}" } } \#(more)
      },
      "token": {},
      "set": { "headers": { "A": "${token.access_token}", "B?": "${option.o}", "C": "${option.p}", "D": "${secret.id}" } }
      """#)
    return try #require(bench.connector.oauth)
  }

  @Test func `a path is the upstream's, under its base path`() throws {
    #expect(try url(recipe(), login()) == "https://api.example.com:8443/v2/login?state=s%26t")
    #expect(try url(recipe(), login(), upstream: "http://[::1]:9000") == "http://[::1]:9000/login?state=s%26t")
  }

  @Test func `a query is written as a form, and what stood in the address stays but for our names`() throws {
    let recipe = try recipe(
      #""url": "https://login.example.com/a?prompt=a%20b&STATE=mine&x""#,
      #", "redirect_uri": "${redirect_uri}", "scope?": "${scope}", "hint": "${subject} at ${route}", "n": "${nonce}""#)
    #expect(
      try url(recipe, login("a b")) == "https://login.example.com/a?prompt=a%20b&x&state=s%26t"
        + "&redirect_uri=https%3A%2F%2Fa%2Fcb&scope=a+b&hint=alice+at+acme&n=00000000000000000000000000000001")
    #expect(try url(recipe, login()).contains("scope") == false)
  }

  @Test func `a scope that a login must have and has not is told`() throws {
    #expect(
      throws: TokenRequestError.evaluation(.missing(needed: "the login's scope", target: "the query parameter scope"))
    ) {
      try url(recipe(#""path": "/login""#, #", "scope": "${scope}""#), login())
    }
  }

  @Test func `what the file or the route says is asked for when the login does not say`() throws {
    let bare = try recipe()
    #expect(
      bare.scope(options: [:]) == nil && bare.issuer(options: [:]) == nil && bare.redirectURI(options: [:]) == nil)
    let recipe = try recipe(
      more:
        #", "scope": "a ${option.p}", "issuer": "${option.o}", "redirect_uri": "https://${option.p}.example.com/cb""#)
    #expect(recipe.scope(options: [:]) == "a p1" && recipe.scope(options: ["p": "q"]) == "a q")
    #expect(recipe.issuer(options: [:]) == nil && recipe.issuer(options: ["o": ""]) == nil)
    #expect(recipe.issuer(options: ["o": "https://i"]) == "https://i")
    #expect(recipe.redirectURI(options: ["p": "q"]) == "https://q.example.com/cb")
  }

  @Test(arguments: [
    (
      "redirect_uri",
      ["https://a.example.com/cb?x=1", "http://127.0.0.1:7220/cb", "com.example.app:/cb", "urn:ietf:wg:oauth:2.0:oob"],
      ["/cb", "a.example.com/cb", "https://a/cb#f", "https:", ":/cb", "https://a/c b", "https://a/é", "1a:/cb"]
    ),
    (
      "issuer", ["https://login.example.com", "https://login.example.com/tenant/", "http://127.0.0.1:9000"],
      ["login.example.com", "https://", "https://a?b", "https://a#b", "https://a b"]
    ),
  ]) func `options that no provider takes are refused at the start`(
    option: String, good: [String], bad: [String]
  ) throws {
    let connector = try #require(Catalog()["oauth2"])
    let places = ["authorize_url": "https://a/authorize", "token_url": "https://a/token"]
    for value in good { _ = try connector.targets(options: places.merging([option: value]) { $1 }) }
    for value in bad {
      let error = #expect(throws: OptionError.self, "\(value)") {
        try connector.targets(options: places.merging([option: value]) { $1 })
      }
      #expect(error?.message.hasPrefix("the option \"\(option)\" is no ") == true)
    }
    let error = #expect(throws: OptionError.self) {
      try connector.targets(options: ["authorize_url": "https://a b/", "token_url": "https://a/token"])
    }
    #expect(error?.message.contains("an authorization endpoint's address") == true)
  }

  @Test func `a login for which a secret is missing begins nowhere`() throws {
    let oauth2 = try #require(Catalog()["oauth2"])
    let options = ["authorize_url": "https://a/authorize", "token_url": "https://a/token"]
    #expect(throws: TokenRequestError.signer(.secretMissing("client_secret"))) {
      try url(oauth2.oauth, login(), options: options, secrets: ["client_id"])
    }
    let sent = try url(
      oauth2.oauth, login(), options: options.merging(["client_auth": "none"]) { $1 }, secrets: ["client_id"])
    #expect(
      sent == "https://a/authorize?response_type=code&client_id=value-of-client_id&redirect_uri=https%3A%2F%2Fa%2Fcb"
        + "&state=s%26t&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256")
  }

  @Test func `a session belongs to the client at its token endpoint`() throws {
    let recipe = try #require(Catalog()["oauth2"]?.token)
    #expect(recipe.identity == ["client_id"] && recipe.identityOptions == ["token_url"])
    #expect(recipe.fieldNames == ["access_token", "refresh_token", "token_type", "scope"])
    #expect(Catalog()["oauth2"]?.endpoints.map(\.locationOption) == ["token_url", "authorize_url", "token_url"])
  }

  @Test func `the fields of a token are found by name`() throws {
    let recipe = try #require(Catalog()["oauth2"]?.token)
    let body = #"{"access_token":"a","token_type":"bearer","expires_in":60}"#
    let answer = recipe.read(
      status: 200, body: Array(body.utf8).span, previous: nil, generation: 1, now: 100, hiding: [])
    guard case .granted(let token) = answer else { throw Failure(answer: "\(answer)") }
    #expect(token["token_type"].map { String($0.span) } == "bearer")
    #expect(token["scope"] == nil && token["nope"] == nil && token.expiresAt == 160)
  }

  private struct Failure: Error {
    var answer: String
  }

  @Test func `a login is printed by nobody`() {
    #expect("\(login("mail")) \(String(reflecting: login()))" == "••• •••")
  }
}
