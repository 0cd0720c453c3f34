import Bytes
import Connector
import Crypto
import JSON
import Testing

@Suite struct ShangcloudTests {
  /// A case of the file, by key.
  private struct Fact {
    let value: JSONValue

    subscript(_ keys: String...) -> String {
      get throws { try #require(keys.reduce(value) { $0?[$1] }?.string) }
    }
  }

  @Test func `a login, its exchange and a call are what the vendor's client sends`() throws {
    let vectors = try JSONReader.parse(Bench.file("Tests/Vectors/shangcloud.json"))
    let cases = try #require(vectors["cases"]?.array)
    #expect(cases.count == 10)
    let connector = try #require(Catalog()["shangcloud"])
    let oauth = try #require(connector.oauth)
    let time = RequestTime(seconds: 1_767_225_600)
    for fact in cases.map(Fact.init) {
      let name = Comment(rawValue: try fact["name"])
      let secrets = ["client_id": try fact["client_id"], "client_secret": try fact["client_secret"]]
      let sealed = secrets.mapValues { Secret(copying: Array($0.utf8).span) }
      let options = ["redirect_uri": try fact["redirect_uri"], "scope": try fact["scope"]]
      var login = OAuthLogin(
        state: try fact["state"], redirectURI: try #require(oauth.redirectURI(options: options)),
        scope: oauth.scope(options: options), verifier: Secret(copying: Array("verifier".utf8).span))
      let url = try oauth.authorizationURL(
        login, secrets: sealed, options: options, route: "sc", subject: "alice",
        upstream: "https://api.yearnstudio.cn", time: time, entropy: RequestEntropy())
      #expect(url == (try fact["url"]), name)

      login.code = Secret(copying: Array(try fact["code"].utf8).span)
      let made = try oauth.exchange.prepare(
        secrets: sealed, options: options, route: "sc", subject: "alice", token: nil, login: login,
        host: "api.yearnstudio.cn", basePath: "", time: time, entropy: RequestEntropy())
      #expect("\(made.method) \(String(made.target.span))" == (try fact["exchange", "line"]), name)
      let headers = made.headers.map { "\($0.name): \(String($0.value.span))" }
      #expect(headers == ["Authorization: \(try fact["exchange", "authorization"])"], name)
      #expect(made.contentType == (try fact["exchange", "content_type"]), name)
      #expect(String(made.body.span) == (try fact["exchange", "body"]), name)

      var bench = Bench(connector)
      bench.secrets = secrets
      bench.options = options
      bench.token = ["access_token": "at-1", "token_type": try fact["token_type"]]
      bench.method = "POST"
      bench.target = "/api/user/info"
      bench.headers = ["Content-Type": "text/plain"]
      let expected = [
        "Authorization": try fact["call", "authorization"], "Content-Type": try fact["call", "content_type"],
      ]
      #expect(try bench.signed() == Bench.Signed(headers: expected), name)
    }
  }

  @Test func `a session is bound to the client, and a call shows neither type nor token`() throws {
    let connector = try #require(Catalog()["shangcloud"])
    #expect(connector.token?.identity == ["client_id"] && connector.token?.identityOptions == [])
    #expect(connector.token?.fetch == nil && connector.token?.refresh?.needsToken == true)
    #expect(connector.token?.renewBefore == 60 && connector.readsSubject && connector.needsToken)
    var bench = Bench(connector)
    bench.secrets = ["client_id": "app-7", "client_secret": "s3cr3t"]
    bench.token = ["access_token": "at-1", "token_type": "Bearer"]
    let steps = try bench.explained().steps
    #expect(
      steps.map { "\($0.name): \($0.shown ?? "-")" } == ["Authorization: ••• •••", "Content-Type: application/json"])
  }
}
