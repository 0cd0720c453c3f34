import Bytes
import Crypto
import Testing

@testable import Connector

@Suite struct TokenRequestTests {
  /// What goes over the wire, a line a part.
  private func sent(
    _ request: TokenRequest?, _ secrets: [String: String], _ options: [String: String] = [:], token: Token? = nil,
    basePath: String = "/base"
  ) throws -> [String] {
    let request = try #require(request)
    let made = try request.prepare(
      secrets: secrets.mapValues { Secret(copying: Array($0.utf8).span) }, options: options, route: "shop",
      subject: "alice", token: token, host: "api.example.com", basePath: basePath,
      time: RequestTime(seconds: 1_767_225_600), entropy: RequestEntropy())
    let target = String(made.target.span)
    let headers = made.headers.map { "\($0.name): \(String($0.value.span))" }
    return ["\(made.method) \(made.origin ?? "upstream") \(target)"] + headers
      + [made.contentType ?? "-", String(made.body.span)]
  }

  private func recipe(_ text: String) throws -> TokenRecipe {
    let bench = try Bench(text + #", "set": { "headers": { "A": "${token.access_token}" } }"#)
    return try #require(bench.connector.token)
  }

  @Test func `a path is under the upstream's base path, and what is signed is what is sent`() throws {
    let recipe = try recipe(
      #"""
      "secrets": { "k": {} },
      "token": { "fetch": {
        "path": "/token?v=2&sig=x",
        "json": { "key": "${secret.k}", "at": "${now}" },
        "query": { "sig": "${upper(secret.k)}" },
        "headers": { "X-Signed": "${method} ${host} ${target} ${route} ${subject} ${body}" },
      } }
      """#)
    #expect(
      try sent(recipe.fetch, ["k": "a b"]) == [
        "POST upstream /base/token?v=2&sig=A%20B",
        #"X-Signed: POST api.example.com /base/token?v=2&sig=A%20B shop alice {"key":"a b","at":1767225600}"#,
        "application/json", #"{"key":"a b","at":1767225600}"#,
      ])
    #expect(recipe.refresh == nil && recipe.fetch?.needsToken == false)
  }

  @Test func `a GET has no body, and a query of its own stays`() throws {
    let recipe = try recipe(
      #""secrets": { "k": {} }, "token": { "fetch": { "method": "GET", "path": "/t?a=1", "query": { "k": "${secret.k}" } } }"#
    )
    #expect(try sent(recipe.fetch, ["k": "v"]) == ["GET upstream /base/t?a=1&k=v", "-", ""])
    let bare = try self.recipe(#""token": { "fetch": { "path": "/t?a=1" } }"#)
    #expect(try sent(bare.fetch, [:], basePath: "") == ["POST upstream /t?a=1", "-", ""])
  }

  @Test func `a content type of the connector's own stands alone`() throws {
    let recipe = try recipe(
      #""token": { "fetch": { "path": "/t", "form": { "a": "b c" }, "headers": { "content-type": "text/x" } } }"#)
    #expect(try sent(recipe.fetch, [:]) == ["POST upstream /base/t", "content-type: text/x", "-", "a=b+c"])
  }

  @Test func `a URL is taken whole, and its host is what host means`() throws {
    let recipe = try recipe(
      #"""
      "options": { "u": {} },
      "token": { "fetch": { "url": "${option.u}", "form": { "h": "${host}", "p": "${path}" } } }
      """#)
    let places = [
      "https://a.example.com/t/": "POST https://a.example.com /t/ h=a.example.com&p=%2Ft%2F",
      "https://a.example.com": "POST https://a.example.com / h=a.example.com&p=%2F",
      "https://a.example.com?x=/y": "POST https://a.example.com /?x=/y h=a.example.com&p=%2F",
      "http://[::1]:9000/t": "POST http://[::1]:9000 /t h=%5B%3A%3A1%5D%3A9000&p=%2Ft",
    ]
    for (url, expected) in places {
      let lines = try sent(recipe.fetch, [:], ["u": url])
      #expect(lines[0] + " " + lines[2] == expected)
    }
    #expect(recipe.fetch?.locationOption == "u")
  }

  @Test(arguments: [
    "", "a.example.com/t", "ftp://a/t", "HTTPS://a.example.com/t", "https://", "https:///t", "https://me:pw@a/t",
    "https://a/t#f", "https://a/ t", "https://a/\u{e9}", #"https://a\t"#, "https://a/\u{7f}",
  ]) func `an option that makes no address is refused before anything is sent`(url: String) throws {
    let bench = try Bench(
      #""options": { "u": {} }, "token": { "fetch": { "url": "${option.u}" } }, "set": { "headers": { "A": "${token.access_token}" } }"#
    )
    let fetch = try #require(bench.connector.token?.fetch)
    #expect(throws: OptionError.self) { try fetch.location(options: ["u": url]) }
    #expect(throws: OptionError.self) { try bench.connector.targets(options: ["u": url]) }
  }

  @Test func `a refresh needs a token unless a secret stands in`() throws {
    let catalog = Catalog()
    #expect(catalog["fastmoss"]?.token?.refresh?.needsToken == true)
    let recipe = try #require(catalog["oauth2-refresh-token"]?.token)
    #expect(recipe.fetch == nil && recipe.refresh?.needsToken == false)
    #expect(recipe.identity == ["client_id", "refresh_token"] && recipe.identityOptions == [])
    let options = ["token_url": "https://a.example.com/t", "client_auth": "none"]
    let secrets = ["client_id": "id", "refresh_token": "rt-0"]
    #expect(
      try sent(recipe.refresh, secrets, options).last == "grant_type=refresh_token&refresh_token=rt-0&client_id=id")
    let token = { (refresh: String?) in
      Token(
        generation: 1, names: recipe.fieldNames,
        fields: ["at", refresh].map { $0.map { Secret(copying: Array($0.utf8).span) } }, obtainedAt: 0, expiresAt: nil,
        refreshExpiresAt: nil)
    }
    let second = try sent(recipe.refresh, secrets, options, token: token("rt-1"))
    #expect(second.last == "grant_type=refresh_token&refresh_token=rt-1&client_id=id")
    #expect(try sent(recipe.refresh, secrets, options, token: token(nil)).last?.contains("refresh_token=rt-0") == true)
    #expect(throws: TokenRequestError.signer(.secretMissing("client_secret"))) {
      try sent(recipe.refresh, secrets, ["token_url": "https://a.example.com/t"])
    }
  }

  @Test func `a refresh without the token it needs is not sent`() throws {
    let refresh = Catalog()["fastmoss"]?.token?.refresh
    #expect(
      throws: TokenRequestError.evaluation(
        .missing(needed: "the token's field refresh_token", target: "the body's member refresh_token"))
    ) {
      try sent(refresh, ["client_id": "id", "client_secret": "s"])
    }
  }

  @Test func `a token of another recipe is none`() throws {
    let recipe = try #require(Catalog()["fastmoss"]?.token)
    let other = Token(
      generation: 1, names: ["refresh_token", "access_token"],
      fields: ["r", "a"].map { Secret(copying: Array($0.utf8).span) }, obtainedAt: 0, expiresAt: nil,
      refreshExpiresAt: nil)
    #expect(throws: TokenRequestError.evaluation(.noToken)) {
      try sent(recipe.refresh, ["client_id": "id", "client_secret": "s"], token: other)
    }
  }

  @Test func `what fetch reads is a token's identity, options too`() throws {
    let recipe = try #require(Catalog()["oauth2-client-credentials"]?.token)
    #expect(recipe.identity == ["client_id", "client_secret"])
    #expect(recipe.identityOptions == ["token_url", "client_auth", "scope", "audience"])
    #expect(Catalog()["fastmoss"]?.token?.identity == ["client_id", "client_secret"])
    #expect(Catalog()["fastmoss"]?.token?.renewBefore == 600 && Catalog()["authing"]?.token?.renewBefore == 60)
  }
}
