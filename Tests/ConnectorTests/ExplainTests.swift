import Connector
import Crypto
import Testing

@Suite struct ExplainTests {
  private func shown(_ bench: Bench) throws -> [String: String] {
    var shown: [String: String] = [:]
    for step in try bench.explained().steps { shown["\(step.part.rawValue) \(step.name)"] = step.shown ?? "(absent)" }
    return shown
  }

  @Test func `codegate shows every step and no secret`() throws {
    var bench = Bench(try #require(Catalog()["codegate"]))
    bench.secrets = ["api_key": "canary-api-key", "secret": "canary-secret"]
    bench.target = "/codes?b=2&a=1"
    let steps = try bench.explained().steps
    #expect(steps.map(\.name) == ["canonical_query", "string_to_sign", "X-API-Key", "X-Timestamp", "X-Signature"])
    #expect(steps[0].shown == "a=1&b=2")
    #expect(steps[1].shown?.hasPrefix("GET\n/codes\na=1&b=2\ne3b0c442") == true)
    #expect(steps[2].shown == "•••")
    #expect(steps[4].shown == (try bench.signed().headers["X-Signature"]))
  }

  @Test func `basic hides the base64 of its secrets whole`() throws {
    var bench = Bench(try #require(Catalog()["basic"]))
    bench.secrets = ["username": "Aladdin", "password": "open sesame"]
    #expect(try shown(bench) == ["header Authorization": "Basic •••"])
  }

  @Test func `bearer, header and query hide the secret in its place`() throws {
    var bench = Bench(try #require(Catalog()["bearer"]))
    bench.secrets = ["token": "canary"]
    #expect(try shown(bench) == ["header Authorization": "Bearer •••"])
    bench.connector = try #require(Catalog()["header"])
    bench.secrets = ["value": "canary"]
    bench.options = ["name": "X-Key"]
    #expect(try shown(bench) == ["header X-Key": "•••"])
    bench.connector = try #require(Catalog()["query"])
    #expect(try shown(bench) == ["query X-Key": "•••"])
  }

  @Test(arguments: [
    ("a ${secret.s} b ${path}", "a ••• b /p"),
    ("${concat('a', concat(secret.s, method))}", "a•••GET"),
    ("${join('|', secret.s, path, sort(query), secret.s)}", "•••|/p|a=1|b=2|•••"),
    ("${hex(secret.s)} ${base64(secret.s)} ${base64url(concat('x', secret.s))}", "••• ••• •••"),
    ("${upper(secret.s)}${lower(concat(secret.s, 'x'))}", "••••••"),
    ("${percent_encode(secret.s)} ${form_encode(secret.s)}", "••• •••"),
    ("${or(header.x, secret.s)}", "•••"),
    ("${or(header.x, concat('n', secret.s))} ${or(option.o, secret.s)}", "n••• set"),
    ("${or(json(secret.s, 'a'), 'x')}", "x"),
    ("${alias} ${wrapped}", "••• <•••>"),
    // As good as the secret itself: nothing of the request is in it.
    ("${hex(sha256(secret.s))} ${hex(hmac_sha256(secret.s, 'login'))}", "••• •••"),
    ("${hex(sha256(concat(secret.s, host, subject, route, option.o)))}", "•••"),
    ("${hex(hmac_sha256(secret.s, concat(time('http'), now, now_ms)))}", "•••"),
    ("${hex(md5(concat(secret.s, path)))}", "3fc74d97dfc03565f802e13589b62cc8"),
  ]) func `a secret is masked where it stands, and an encoding of one as a whole`(
    expression: String, expected: String
  ) throws {
    var bench = try Bench(
      #"""
      "secrets": { "s": {} }, "options": { "o": { "required": false } },
      "values": { "alias": "${secret.s}", "wrapped": "<${alias}>" },
      "set": { "headers": { "Out": "\#(expression)" } }
      """#)
    bench.secrets = ["s": "canary"]
    bench.options = ["o": "set"]
    bench.target = "/p?a=1&b=2"
    let all = try shown(bench)
    #expect(all["header Out"] == expected)
    #expect(!all.values.contains { $0.contains("canary") })
  }

  @Test(arguments: [
    ("${raw_query}", "•••"), ("${target}", "•••"), ("${form_encode(sort(query))}", "•••"),
    ("${join('&', method, sort(query))}", "GET&•••"), ("${body}", "•••"), ("${json(body, 'k')}", "•••"),
    ("${path}", "/p"), ("${hex(md5(concat(target, path)))}", "480887ecbcbc4b832a58c0250472788e"),
  ]) func `a secret that was put into the query or body is masked there, too`(expression: String, expected: String)
    throws
  {
    var bench = try Bench(
      #"""
      "secrets": { "s": {}, "b": {} }, "values": { "v": "${raw_query}" },
      "set": {
        "json": { "k": "${secret.b}" }, "query": { "sent": "${v}", "q": "${secret.s}" },
        "headers": { "Out": "\#(expression)" }
      }
      """#)
    bench.secrets = ["s": "canary a", "b": "canary b"]
    bench.target = "/p?a=1"
    let all = try shown(bench)
    // In the phase before, the query is the caller's.
    #expect(all["value v"] == "a=1")
    #expect(all["header Out"] == expected)
    #expect(!all.values.contains { $0.contains("canary") })
  }

  @Test(arguments: ["cana/ry b", "cana%2Fry%20b", "cana%2Fry+b", "Y2FuYS9yeSBi"])
  func `a secret that the caller sent is masked as well`(sent: String) throws {
    var bench = try Bench(
      #""secrets": { "s": {} }, "set": { "headers": { "Key": "${secret.s}", "Out": "<${header.x-in}>" } }"#)
    bench.secrets = ["s": "cana/ry b"]
    bench.headers = ["x-in": sent]
    #expect(try shown(bench) == ["header Key": "•••", "header Out": "<•••>"])
  }

  @Test func `what keys a MAC is masked, and so is every value that names it`() throws {
    var bench = try Bench(
      #"""
      "secrets": { "s": {} },
      "values": {
        "k_date": "${hmac_sha256(concat('AWS4', secret.s), time('%Y%m%d'))}",
        "k_path": "${hmac_sha256(secret.s, path)}",
        "k_hex": "${hex(k_path)}",
        "alias": "${k_hex}",
        "sign": "${hex(hmac_sha256(hmac_sha256(alias, k_date), method))}",
      },
      "set": { "headers": { "Sign": "${sign}", "Path": "p ${hex(k_path)} ${alias}" } }
      """#)
    bench.secrets = ["s": "canary"]
    let all = try shown(bench)
    for name in ["k_date", "k_path", "k_hex", "alias"] { #expect(all["value \(name)"] == "•••") }
    #expect(all["header Path"] == "p ••• •••")
    #expect(all["header Sign"] == (try bench.signed().headers["Sign"]))
  }

  @Test func `a body is shown member by member`() throws {
    var bench = try Bench(
      #""secrets": {"s": {}}, "set": { "json": { "key": "${secret.s}", "at": "${now}" } }"#)
    bench.secrets = ["s": "canary"]
    #expect(try shown(bench) == ["json key": "•••", "json at": "1767225600"])
  }

  @Test func `pairs are shown as a form, bytes that are no text in hexadecimal, and what is absent as nothing`() throws
  {
    let bench = try Bench(
      #"""
      "values": { "q": "${sort(query)}", "h": "${md5('abc')}", "org": "${header.X-Org}" },
      "set": { "headers": { "Out?": "${org}" } }
      """#)
    let steps = try bench.explained().steps
    #expect(steps.map(\.shown) == ["", "hex:900150983cd24fb0d6963f7d28e17f72", nil, nil])
  }

  @Test func `a token is masked like a secret, and a step that lacks one says so`() throws {
    var bench = try Bench(
      #"""
      "secrets": { "s": {} },
      "token": {
        "fetch": { "path": "/t", "json": { "s": "${secret.s}" } },
        "read": { "access_token": "t", "fields": { "pool?": "${json(answer, 'pool')}" } },
      },
      "values": { "in_query": "${hex(sha256(concat(path, token.access_token)))}" },
      "set": {
        "query": { "t": "${token.access_token}" },
        "headers": {
          "Authorization": "Bearer ${token.access_token}", "Pool?": "${token.pool}", "Sign": "${hex(md5(target))}",
          "Digest": "${in_query}", "Echo": "${header.X-In}", "Path": "${path}",
        },
      }
      """#)
    bench.secrets = ["s": "canary"]
    bench.headers = ["x-in": "YWNjZXNzLTE="]
    let unknown = "there is no token yet"
    #expect(
      try shown(bench) == [
        "value in_query": unknown, "query t": unknown, "header Authorization": unknown, "header Pool": unknown,
        "header Sign": unknown, "header Digest": unknown, "header Echo": "YWNjZXNzLTE=", "header Path": "/",
      ])
    #expect(try bench.explained().error == nil)
    #expect(throws: EvaluationError.noToken) { try bench.signed() }
    bench.token = ["access_token": "access-1"]
    let signed = try bench.signed()
    #expect(signed.headers["Authorization"] == "Bearer access-1" && signed.headers["Pool"] == nil)
    #expect(
      try shown(bench) == [
        "value in_query": try #require(signed.headers["Digest"]), "query t": "•••",
        "header Authorization": "Bearer •••", "header Pool": "(absent)",
        "header Sign": try #require(signed.headers["Sign"]), "header Digest": try #require(signed.headers["Digest"]),
        "header Echo": "•••", "header Path": "/",
      ])
  }

  @Test func `what only a real token can give ends an explanation without one`() throws {
    let bench = try Bench(
      #"""
      "token": { "fetch": { "path": "/t" } },
      "set": { "headers": { "A": "1", "B": "${jwt_claim(token.access_token, 'sub')}", "C": "3" } }
      """#)
    let explanation = try bench.explained()
    #expect(explanation.steps.map(\.shown) == ["1", "there is no token yet"])
    #expect(explanation.error == .noToken)
  }

  @Test func `an explanation goes as far as the request got, and says why no further`() throws {
    let bench = try Bench(#""set": { "headers": { "X-A": "1", "X-B": "${header.X-Org}", "X-C": "3" } }"#)
    let explanation = try bench.explained()
    #expect(explanation.steps.map(\.name) == ["X-A", "X-B"])
    #expect(explanation.error?.message == "the header X-B needs the request header x-org")
  }
}
