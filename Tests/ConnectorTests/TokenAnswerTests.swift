import Bytes
import Crypto
import Testing

@testable import Connector

@Suite struct TokenAnswerTests {
  private static let now: Int64 = 1_767_225_600
  private static let year: Int64 = 365 * 86_400

  /// What `read` makes of an answer, in words.
  private func said(
    _ body: String, status: Int = 200, by recipe: TokenRecipe, previous: Token? = nil, hiding: [String] = []
  ) -> String {
    let secrets = hiding.map { Secret(copying: Array($0.utf8).span) }
    let answer = recipe.read(
      status: status, body: Array(body.utf8).span, previous: previous, generation: 7, now: TokenAnswerTests.now,
      hiding: secrets)
    switch answer {
    case .granted(let token):
      let fields = token.fields.map { $0.map { String($0.span) } ?? "-" }.joined(separator: " ")
      let times = [token.expiresAt, token.refreshExpiresAt].map { $0.map { "+\($0 - TokenAnswerTests.now)" } ?? "-" }
      #expect(token.generation == 7 && token.obtainedAt == TokenAnswerTests.now)
      return "granted \(fields), \(times.joined(separator: " "))"
    case .refused(let message): return "refused: \(message ?? "-")"
    case .unavailable(let reason): return "unavailable: \(reason)"
    case .malformed(let reason): return "malformed: \(reason)"
    }
  }

  private func recipe(_ text: String = "") throws -> TokenRecipe {
    let bench = try Bench(
      #""token": { "fetch": { "path": "/t" }\#(text) }, "set": { "headers": { "A": "${token.access_token}" } }"#)
    return try #require(bench.connector.token)
  }

  @Test(arguments: [
    (#"{"access_token":"a","token_type":"bearer","expires_in":3600}"#, "granted a -, +3600 -"),
    (#"{"access_token":"a","expires_in":"3600","refresh_token":"r"}"#, "granted a r, +3600 -"),
    (#"{"access_token":"a","expires_in":59.9}"#, "granted a -, +59 -"),
    // Not said, or nonsense: five minutes.
    (#"{"access_token":"a"}"#, "granted a -, +300 -"),
    (#"{"access_token":"a","expires_in":null}"#, "granted a -, +300 -"),
    (#"{"access_token":"a","expires_in":0}"#, "granted a -, +300 -"),
    (#"{"access_token":"a","expires_in":-5}"#, "granted a -, +300 -"),
    (#"{"access_token":"a","expires_in":1e30}"#, "granted a -, +315360000 -"),
    (#"{"access_token":"a","expires_in":315360001}"#, "granted a -, +315360000 -"),
    (#"{"access_token":"a","expires_in":"soon"}"#, "malformed: expires_in is not a number"),
    (#"{"access_token":"a","expires_in":[1]}"#, "malformed: expires_in is not a number"),
    (#"{"access_token":"a","token_type":"mac"}"#, "malformed: the endpoint gave a token of another type than Bearer"),
    (#"{"access_token":""}"#, "malformed: access_token is empty or longer than 16 KiB"),
    (#"{"access_token":1}"#, "malformed: access_token is not a string"),
    (#"{"access_token":"a b"}"#, "malformed: access_token has other than visible ASCII characters"),
    (#"{"access_token":"a\r\nX: y"}"#, "malformed: access_token has other than visible ASCII characters"),
    (#"{"access_token":"ä"}"#, "malformed: access_token has other than visible ASCII characters"),
    (
      #"{"access_token":"a","refresh_token":"\u0000"}"#,
      "malformed: refresh_token has other than visible ASCII characters"
    ),
    (#"{"expires_in":3600}"#, "malformed: the endpoint's answer has no access_token"),
    ("[]", "malformed: the endpoint's answer has no access_token"),
    // RFC 6749 §5.2 in an answer of 200.
    (#"{"error":"invalid_client"}"#, "refused: invalid_client"),
    (#"{"error":"invalid_client","error_description":"who?"}"#, "refused: who?"),
    ("access_token=a", "malformed: the endpoint's answer is no JSON"),
    ("", "malformed: the endpoint's answer is no JSON"),
    (#"{"access_token":"a"} "# + "{}", "malformed: the endpoint's answer is no JSON"),
    (#"{"access_token":"a",/**/"expires_in":1}"#, "malformed: the endpoint's answer is no JSON"),
    (#"{"access_token":"a","access_token":"b"}"#, "malformed: the endpoint's answer is JSON with a key twice"),
    (#"{"access_token":"a","x":{"y":1,"y":1}}"#, "malformed: the endpoint's answer is JSON with a key twice"),
  ]) func `an answer is read as RFC 6749 has it, and checked`(body: String, expected: String) throws {
    #expect(said(body, by: try recipe()) == expected)
  }

  @Test func `a token without an end is kept until it is refused where nothing could replace it`() throws {
    let refresh = #""refresh": { "path": "/t", "form": { "r": "${token.refresh_token}" } }"#
    for token in ["", refresh] {
      let bench = try Bench(
        #"""
        "oauth": {
          "authorize": { "path": "/a", "query": { "state": "${state}" } },
          "exchange": { "path": "/t", "form": { "code": "${code}" } }
        },
        "token": { \#(token) }, "set": { "headers": { "A": "${token.access_token}" } }
        """#)
      let login = try #require(bench.connector.token)
      #expect(said(#"{"access_token":"a"}"#, by: login) == "granted a -, - -")
      #expect(said(#"{"access_token":"a","expires_in":0}"#, by: login) == "granted a -, - -")
      #expect(said(#"{"access_token":"a","expires_in":9}"#, by: login) == "granted a -, +9 -")
      let second = said(#"{"access_token":"a","refresh_token":"r"}"#, by: login)
      #expect(second == (token.isEmpty ? "granted a r, - -" : "granted a r, +300 -"))
    }
  }

  @Test func `bounds hold to the byte and to the level`() throws {
    let recipe = try recipe()
    let long = { (count: Int) in #"{"access_token":""# + String(repeating: "a", count: count) + #""}"# }
    #expect(said(long(16 << 10), by: recipe).hasPrefix("granted aaa"))
    #expect(said(long(16 << 10 + 1), by: recipe) == "malformed: access_token is empty or longer than 16 KiB")
    let padded = { (count: Int) in
      let text = #"{"access_token":"a"}"#
      return text + String(repeating: " ", count: count - text.utf8.count)
    }
    #expect(said(padded(64 << 10), by: recipe) == "granted a -, +300 -")
    #expect(said(padded(64 << 10 + 1), by: recipe) == "malformed: the endpoint's answer is longer than 64 KiB")
    let deep = { (levels: Int) in
      #"{"access_token":"a","x":"# + String(repeating: "[", count: levels - 1)
        + String(repeating: "]", count: levels - 1) + "}"
    }
    #expect(said(deep(16), by: recipe) == "granted a -, +300 -")
    #expect(said(deep(17), by: recipe) == "malformed: the endpoint's answer is nested too deeply")
  }

  @Test(arguments: [
    (301, "malformed: the endpoint answered 301, and redirects are not followed"),
    (304, "malformed: the endpoint answered 304, and redirects are not followed"),
    (408, "unavailable: the endpoint answered 408"), (425, "unavailable: the endpoint answered 425"),
    (429, "unavailable: the endpoint answered 429"), (500, "unavailable: the endpoint answered 500"),
    (503, "unavailable: the endpoint answered 503"), (599, "unavailable: the endpoint answered 599"),
    (400, "refused: no"), (401, "refused: no"), (404, "refused: no"),
    (200, "granted a -, +300 -"), (201, "granted a -, +300 -"),
  ]) func `the status decides first`(status: Int, expected: String) throws {
    let body = #"{"access_token":"a","error_description":"no"}"#
    #expect(said(body, status: status, by: try recipe()) == expected)
    if status / 100 == 4, expected.hasPrefix("refused") {
      #expect(said("<html>", status: status, by: try recipe()) == "refused: -")
    }
  }

  @Test(arguments: [
    (#"{"code":0,"ok":true,"d":{"t":"a"}}"#, "granted a -, - -"),
    (#"{"code":200,"ok":true,"d":{"t":"a"}}"#, "granted a -, - -"),
    (#"{"code":1,"ok":true,"d":{"t":"a"},"msg":"no"}"#, "refused: no"),
    (#"{"code":"0","ok":true,"d":{"t":"a"},"msg":"no"}"#, "refused: no"),
    (#"{"code":0,"ok":false,"d":{"t":"a"},"msg":["no"]}"#, "refused: -"),
    (#"{"ok":true,"d":{"t":"a"}}"#, "refused: -"),
  ]) func `accept_when tells a failure inside of 200`(body: String, expected: String) throws {
    let recipe = try recipe(
      #", "accept_when": { "json": { "code": [0, 200], "ok": true } }, "read": { "access_token": "d.t" }, "error_message": ["msg"]"#
    )
    #expect(said(body, by: recipe) == expected)
  }

  @Test(arguments: [
    (200, #"{"code":30003,"msg":"slow down"}"#, "unavailable: the endpoint wants to be asked later: slow down"),
    (
      400, #"{"code":30003,"msg":"the-secret is slow"}"#,
      "unavailable: the endpoint wants to be asked later: ••• is slow"
    ),
    (200, #"{"code":7,"busy":true,"access_token":"a"}"#, "unavailable: the endpoint wants to be asked later"),
    (200, #"{"code":40001,"busy":false}"#, "unavailable: the endpoint wants to be asked later"),
    (200, #"{"code":"30003","msg":"no"}"#, "refused: no"), (200, #"{"code":30004,"msg":"no"}"#, "refused: no"),
    (403, #"{"code":0,"msg":"no"}"#, "refused: no"),
    (503, #"{"code":30003}"#, "unavailable: the endpoint answered 503"),
    (200, #"{"code":0,"access_token":"a"}"#, "granted a -, +300 -"),
  ]) func `retry_when tells what passes from what was refused`(status: Int, body: String, expected: String) throws {
    let recipe = try recipe(
      #"""
      , "accept_when": { "json": { "code": 0 } },
      "retry_when": { "json": { "code": [30003, 40001], "busy": true } }, "error_message": ["msg"]
      """#)
    #expect(said(body, status: status, by: recipe, hiding: ["the-secret"]) == expected)
  }

  @Test(arguments: [
    (#"{"t":"a","at":1767229200,"r":"r","rat":1767999999}"#, "granted a r, +3600 +774399"),
    (#"{"t":"a","at":1767225601}"#, "granted a -, +1 -"),
    (#"{"t":"a","at":1767225600}"#, "malformed: at is in the past: the clock here may be wrong"),
    (#"{"t":"a","at":0}"#, "malformed: at is in the past: the clock here may be wrong"),
    (#"{"t":"a","at":1767225600000}"#, "granted a -, +315360000 -"),
    (#"{"t":"a"}"#, "granted a -, +300 -"),
    (#"{"t":"a","r":"r","rat":5}"#, "malformed: rat is in the past: the clock here may be wrong"),
    // Its expiry means nothing without it.
    (#"{"t":"a","at":1767225601,"rat":5}"#, "granted a -, +1 -"),
  ]) func `a moment of expiry is taken as it is, up to ten years`(body: String, expected: String) throws {
    let recipe = try recipe(
      #", "read": { "access_token": "t", "expires_at": "at", "refresh_token": "r", "refresh_expires_at": "rat" }"#)
    #expect(said(body, by: recipe) == expected)
  }

  @Test func `a new refresh token takes the place of the old one, and none leaves it and its expiry`() throws {
    let recipe = try recipe(
      #", "read": { "access_token": "t", "refresh_token": "r", "refresh_expires_in": "rin" }"#)
    let now = TokenAnswerTests.now
    let old = Token(
      generation: 6, names: recipe.fieldNames, fields: ["a1", "r1"].map { Secret(copying: Array($0.utf8).span) },
      obtainedAt: now, expiresAt: nil, refreshExpiresAt: now + 50)
    #expect(said(#"{"t":"a2"}"#, by: recipe, previous: old) == "granted a2 r1, - +50")
    #expect(said(#"{"t":"a2","r":null}"#, by: recipe, previous: old) == "granted a2 r1, - +50")
    #expect(said(#"{"t":"a2","r":"r2"}"#, by: recipe, previous: old) == "granted a2 r2, - -")
    #expect(said(#"{"t":"a2","r":"r2","rin":9}"#, by: recipe, previous: old) == "granted a2 r2, - +9")
  }

  @Test func `further fields come from the answer and the token, once`() throws {
    let recipe = try recipe(
      #"""
      , "read": { "access_token": "t", "fields": {
        "pool?": "${jwt_claim(token.access_token, 'pool')}", "region": "${or(json(answer, 'region'), 'eu')}-1",
        "shop": "${json(answer, 'shop')}" } }
      """#)
    #expect(recipe.fieldNames == ["access_token", "refresh_token", "pool", "region", "shop"])
    // {"pool":"p1"}
    #expect(
      said(#"{"t":"h.eyJwb29sIjoicDEifQ.s","shop":9}"#, by: recipe) == "granted h.eyJwb29sIjoicDEifQ.s - p1 eu-1 9, - -"
    )
    #expect(said(#"{"t":"a","region":"us","shop":"x"}"#, by: recipe) == "granted a - - us-1 x, - -")
    #expect(said(#"{"t":"a"}"#, by: recipe) == "malformed: the endpoint's answer does not give the token's field shop")
    #expect(
      said(#"{"t":"a","shop":"x\ny"}"#, by: recipe)
        == "malformed: the token's field shop is too long or has a control character")
  }

  // MARK: An endpoint's own words

  @Test(arguments: [
    ("  invalid\r\n\tclient\u{0} ", "invalid client"), ("a\u{202E}b\u{200B}c\u{85}d", "a\u{FFFD}b\u{FFFD}c d"),
    ("密钥错误", "密钥错误"), (String(repeating: "é", count: 300), String(repeating: "é", count: 300)),
    (String(repeating: "é", count: 301), String(repeating: "é", count: 299) + "…"),
  ]) func `a message is one line of at most 300 characters`(message: String, expected: String) {
    #expect(TokenRecipe.clean(message, hiding: []) == expected)
  }

  /// Every way in which an endpoint might repeat a secret; the forms are made by hand, not by our encoders.
  @Test(arguments: [
    #"c4nary/S3cret+"&=Ω"#, "c4nary%2FS3cret%2B%22%26%3D%CE%A9", "c4nary%2fS3cret%2b%22%26%3d%ce%a9",
    #"c4nary/S3cret+\"&=Ω"#, #"c4nary\/S3cret+"&=Ω"#, "YzRuYXJ5L1MzY3JldCsiJj3OqQ==", "YzRuYXJ5L1MzY3JldCsiJj3OqQ",
    "63346e6172792f5333637265742b22263dcea9",
    // Basic credentials: the secret stands anywhere in a group of three bytes.
    "aWQ6YzRuYXJ5L1MzY3JldCsiJj3OqQ==", "aWQxOmM0bmFyeS9TM2NyZXQrIiY9zqk=", "aTpjNG5hcnkvUzNjcmV0KyImPc6p",
    // And form-encoded before that (RFC 6749 §2.3.1).
    "aWQ6YzRuYXJ5JTJGUzNjcmV0JTJCJTIyJTI2JTNEJUNFJUE5",
    // What is invisible does not hide it.
    "c4nary/S3\u{0}cret", "c4nary/\nS3cret",
  ]) func `a message never repeats a secret`(echo: String) throws {
    let canary = #"c4nary/S3cret+"&=Ω"#
    let message = TokenRecipe.clean("wrong secret \(echo) for you", hiding: [Secret(copying: Array(canary.utf8).span)])
    if echo.contains("\u{0}") || echo.contains("\n") {
      // Broken by a space: that is not the secret any more, and nothing puts it together again.
      #expect(!message.contains(canary))
    } else {
      #expect(message.contains("•••") && message.hasPrefix("wrong secret ") && message.hasSuffix(" for you"))
      let rest = message.dropFirst("wrong secret ".count).dropLast(" for you".count)
      #expect(rest.utf8.count <= "•••".utf8.count + 6, "\(rest)")
      #expect(
        !rest.contains("S3cret") && !rest.contains("UzNjc") && !rest.contains("MzY3Jl") && !rest.contains("TM2Ny"))
    }
  }

  @Test func `a secret that was stored with a line feed is found as well`() {
    let secret = Secret(copying: Array("abcd\nefgh".utf8).span)
    #expect(TokenRecipe.clean("no: abcd\nefgh!", hiding: [secret]) == "no: •••!")
  }

  @Test func `a secret that cleaning puts together is found as well`() {
    let secret = Secret(copying: Array("two words".utf8).span)
    #expect(TokenRecipe.clean("no: two\u{0}\n words!", hiding: [secret]) == "no: •••!")
  }

  @Test func `the cut at 300 characters leaves no half of a secret`() {
    let secret = Secret(copying: Array("0123456789abcdef".utf8).span)
    let message = String(repeating: "x", count: 290) + "0123456789abcdef" + String(repeating: "y", count: 50)
    let clean = TokenRecipe.clean(message, hiding: [secret])
    #expect(clean.hasPrefix(String(repeating: "x", count: 290) + "•••yyy"))
  }

  @Test func `the previous token is hidden without being asked for, and what is shorter than four bytes is not`() throws
  {
    let recipe = try recipe()
    let old = Token(
      generation: 6, names: recipe.fieldNames,
      fields: ["access-1", "refresh-1"].map { Secret(copying: Array($0.utf8).span) },
      obtainedAt: 0, expiresAt: nil, refreshExpiresAt: nil)
    let body = #"{"error":"access-1 and refresh-1 and key by abc"}"#
    let found = said(body, status: 400, by: recipe, previous: old, hiding: ["abc"])
    #expect(found == "refused: ••• and ••• and key by abc")
  }

  // MARK: What means that a token is dead

  @Test func `reject_when is 401 unless it says more`() throws {
    let plain = try recipe()
    let body = #"{"errcode":40001}"#
    #expect(plain.judge(status: 401) == .rejected && plain.judge(status: 200) == .accepted)
    #expect(!rejects(plain, 403, body) && !rejects(plain, 200, body))
    let wide = try recipe(#", "reject_when": { "status": [403], "json": { "errcode": [40001, 42001] } }"#)
    #expect(wide.judge(status: 200) == nil && rejects(wide, 200, body) && rejects(wide, 403, ""))
    #expect(!rejects(wide, 401, "") && !rejects(wide, 200, "{}") && !rejects(wide, 200, #"{"errcode":"40001"}"#))
    #expect(rejects(try recipe(#", "reject_when": { "json": { "e": "x" } }"#), 401, ""))
  }

  private func rejects(_ recipe: TokenRecipe, _ status: Int, _ body: String) -> Bool {
    recipe.judge(status: status, body: Array(body.utf8).span) == .rejected
  }

  @Test func `revoked_when comes before reject_when, and a body is read only where it counts`() throws {
    let recipe = try recipe(
      #"""
      , "reject_when": { "status": [401], "json": { "code": "EXPIRED" }, "json_status": [403] },
      "revoked_when": { "status": [410], "json": { "code": ["REVOKED", "GONE"] }, "json_status": [401, 403] }
      """#)
    func judge(_ status: Int, _ code: String) -> TokenRecipe.Verdict {
      recipe.judge(status: status, body: Array("{\"code\":\"\(code)\"}".utf8).span)
    }
    #expect(recipe.judge(status: 200) == .accepted && recipe.judge(status: 410) == .revoked)
    #expect(recipe.judge(status: 401) == nil && recipe.judge(status: 403) == nil)
    #expect(judge(401, "REVOKED") == .revoked && judge(401, "other") == .rejected)
    #expect(judge(403, "GONE") == .revoked && judge(403, "EXPIRED") == .rejected && judge(403, "other") == .accepted)
    #expect(judge(200, "REVOKED") == .accepted && judge(500, "EXPIRED") == .accepted)
    #expect(recipe.judge(status: 401, body: Array("no JSON".utf8).span) == .rejected)
  }
}
