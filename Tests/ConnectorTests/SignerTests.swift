import Bytes
@testable import Connector
import Crypto
import Foundation
import JSON
import Support
import Testing

@Suite struct SignerTests {
  // MARK: Functions

  /// A header made of one expression, for a request that has a bit of everything.
  private func result(of expression: String) throws -> String? {
    var bench = try Bench(
      #"""
      "secrets": { "key": {}, "token": {} }, "options": { "o": { "default": "opt" }, "none": { "required": false } },
      "set": { "headers": { "X?": "\#(expression)" } }
      """#)
    bench.secrets = ["key": "Jefe", "token": "e30.eyJzdWIiOnsiaWQiOjQyfSwicG9vbCI6InDDoSJ9.sig"]
    bench.method = "POST"
    bench.target = "/a%2Fb/c?z=1&b=%20x&b=&a+b"
    bench.headers = ["x-org": "Org"]
    bench.body = Array(#"{"data":{"items":[{"id":"é"},{"id":7}],"ok":true,"no":null}}"#.utf8)
    bench.time = RequestTime(seconds: 1_440_938_160, milliseconds: 7)
    bench.entropy = RequestEntropy(
      nonce: 0x0123_4567_89AB_CDEF_0011_2233_4455_6677, uuid: 0xFFFF_FFFF_FFFF_FFFF_FFFF_FFFF_FFFF_FFFF)
    return try bench.signed().headers["X"]
  }

  @Test(arguments: [
    ("${method} ${path} ${raw_query}", "POST /a%2Fb/c z=1&b=%20x&b=&a+b"),
    ("${target}", "/a%2Fb/c?z=1&b=%20x&b=&a+b"),
    ("${host} ${route} ${subject} ${option.o}", "api.example.com test alice opt"),
    ("${now} ${now_ms} ${42}", "1440938160 1440938160007 42"),
    ("${nonce}", "0123456789abcdef0011223344556677"),
    ("${uuid}", "ffffffff-ffff-4fff-bfff-ffffffffffff"),
    ("$ ${'}'} $${'it''s'} $5 {}", "$ } $it's $5 {}"),
    ("${form_encode(query)}", "z=1&b=+x&b=&a+b="),
    ("${form_encode(sort(query))}", "a+b=&b=&b=+x&z=1"),
    ("${percent_encode(sort(query))}", "a%20b=&b=&b=%20x&z=1"),
    ("${percent_encode('a b/~é')} ${form_encode('a b/~*')}", "a%20b%2F~%C3%A9 a+b%2F~%2A"),
    ("${join('&', sort(query), concat('key=', secret.key))}", "a b=&b=&b= x&z=1&key=Jefe"),
    ("${concat(sort(query))}", "a bbb xz1"),
    ("${join('|', now, path, 'x')}", "1440938160|/a%2Fb/c|x"),
    ("${join(upper('a'), 'x', 'y', 'z')}", "xAyAz"),
    ("${lower(method)} ${upper(header.X-Org)}", "post ORG"),
    ("${base64('a?>')} ${base64url('a?>b')}", "YT8+ YT8-Yg"),
    ("${hex('\\u0001ÿ')}", "01c3bf"),
    ("${hex(md5('abc'))}", "900150983cd24fb0d6963f7d28e17f72"),
    ("${hex(sha1('abc'))}", "a9993e364706816aba3e25717850c26c9cd0d89d"),
    ("${hex(sha256(concat('a', 'bc')))}", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "${base64(sha384('abc'))}",
      "ywB1P0WjXou1oD1pmsZQBycsMqsO3tFjGotgWkP/W+2AhgcroefMI1i67KE0yCWn"
    ),
    (
      "${hex(sha512('abc'))}",
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
    ),
    // RFC 2202 and RFC 4231, test case 2.
    ("${hex(hmac_sha1(secret.key, 'what do ya want for nothing?'))}", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
    (
      "${hex(hmac_sha256(secret.key, concat('what do ya ', 'want for nothing?')))}",
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    ),
    (
      "${hex(hmac_sha384('Jefe', 'what do ya want for nothing?'))}",
      "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649"
    ),
    (
      "${hex(hmac_sha512(secret.key, 'what do ya want for nothing?'))}",
      "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
    ),
    ("${json(body, 'data.items.0.id')} ${json(body, 'data.items.1.id')}", "é 7"),
    ("${json(body, 'data.ok')} ${json(body, 'data.items.1')}", #"true {"id":7}"#),
    ("${or(json(body, 'data.no'), 'null')} ${or(json(body, 'data.items.2'), 'past')}", "null past"),
    ("${or(json(path, 'a'), 'no JSON')}", "no JSON"),
    ("${jwt_claim(secret.token, 'pool')} ${jwt_claim(secret.token, 'sub.id')}", "pá 42"),
    ("${or(jwt_claim('a.b', 'x'), or(header.X-None, or(option.none, 'last')))}", "last"),
    ("${or(header.x-org, 'none')}", "Org"),
    ("<${or(lower(header.x-org), 'none')}${or(upper(header.x-none), lower(header.x-org))}>", "<orgorg>"),
    ("${or(lower(header.x-none), 'absence spreads')}", "absence spreads"),
    ("${time('iso8601')} ${time('iso8601', '+08:00')}", "2015-08-30T12:36:00Z 2015-08-30T20:36:00+08:00"),
    ("${time('%Y%m%dT%H%M%S.%LZ')}", "20150830T123600.007Z"),
    ("${time('http')}", "Sun, 30 Aug 2015 12:36:00 GMT"),
    ("${time('%a %d %b %z %%', '-03:30')}", "Sun 30 Aug -0330 %"),
  ]) func `an expression gives its text`(expression: String, expected: String) throws {
    #expect(try result(of: expression) == expected)
  }

  @Test(arguments: ["${header.x-none}", "x${hex(sha256(header.x-none))}", "${join('|', 'a', option.none)}"])
  func `what is absent makes all around it absent`(expression: String) throws {
    #expect(try result(of: expression) == nil)
  }

  @Test func `a key that is derived from the date and the secret signs as AWS publishes it`() throws {
    var bench = try Bench(
      #"""
      "secrets": { "key": {} },
      "values": {
        "date_key": "${hmac_sha256(concat('AWS4', secret.key), time('%Y%m%d'))}",
        "service_key": "${hmac_sha256(hmac_sha256(date_key, 'us-east-1'), 'iam')}",
      },
      "set": { "headers": { "X-Key": "${hex(hmac_sha256(service_key, 'aws4_request'))}" } }
      """#)
    bench.secrets = ["key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"]
    bench.time = RequestTime(seconds: 1_440_938_160)
    let expected = "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"
    #expect(try bench.signed().headers["X-Key"] == expected)
  }

  @Test func `every vector of FastMoss gives its signature`() throws {
    var bench = try Bench(
      #"""
      "secrets": { "client_id": {}, "client_secret": {} },
      "set": { "query": {
        "sign": "${hex(sha256(join('|', secret.client_secret, path, body, secret.client_secret)))}",
        "client_id": "${secret.client_id}", "timestamp": "${now}", "signature_version": "2",
      } }
      """#)
    let vectors = try JSONReader.parse(Bench.file("Tests/Vectors/fastmoss.json"))
    for vector in try #require(vectors["cases"]?.array) {
      let body = try #require(vector["body_base64"]?.string)
      let path = try #require(vector["uri"]?.string)
      bench.secrets = ["client_id": "id", "client_secret": vector["secret"]?.string ?? ""]
      bench.body = Array(try #require(Data(base64Encoded: body)))
      bench.target = path + "?page=1&SIGN=forged&si%67n=forged"
      let expected = "page=1&sign=\(vector["sign"]?.string ?? "")&client_id=id&timestamp=1767225600&signature_version=2"
      #expect(try bench.signed().query == expected)
    }
  }

  @Test func `a canonical query is canonical`() throws {
    var random = SeededRandom(seed: 7)
    var bench = try Bench(#""set": { "headers": { "X": "${form_encode(sort(query))}" } }"#)
    let pieces = ["a", "b", "B", "=", "&", "&&", "+", "%20", "%2B", "%c3%a9", "%FF", "%00", "~", "-", "/", "?", "%7e"]
    for _ in 0..<1000 {
      let query = (0..<Int.random(in: 0...12, using: &random)).compactMap { _ in pieces.randomElement(using: &random) }
      bench.target = "/?" + query.joined()
      let once = try #require(try bench.signed().headers["X"])
      bench.target = "/?" + once
      let twice = try bench.signed().headers["X"]
      #expect(twice == once, "\(query.joined())")
    }
  }

  // MARK: Order

  @Test func `headers sign the query and body as they are sent, and what makes those sees the caller's`() throws {
    var bench = try Bench(
      #"""
      "values": { "before": "${hex(md5(body))}", "after": "${lower(body)}" },
      "set": {
        "json": { "sum": "${before}", "at": "${now}" },
        "query": { "v": "2" },
        "headers": { "X-Body": "${after}", "X-Query": "${form_encode(query)}", "X-Target": "${target}" },
      }
      """#)
    bench.target = "/p?a=1&V=9"
    bench.body = Array(#"{ "A": 1.50, "SUM": "forged" }"#.utf8)
    let signed = try bench.signed()
    // The MD5 of the body as the caller sent it.
    #expect(signed.body == #"{"A":1.50,"sum":"8305ad3efaa70163d69c7d2b78dadb2d","at":1767225600}"#)
    #expect(signed.headers["X-Body"] == signed.body?.lowercased())
    #expect(signed.query == "a=1&v=2")
    #expect(signed.headers["X-Query"] == "a=1&v=2")
    #expect(signed.headers["X-Target"] == "/p?a=1&v=2")
  }

  @Test func `a form keeps the bytes of what it does not set`() throws {
    var bench = try Bench(#""set": { "form": { "key": "a b&c", "n": "${now}" } }"#)
    bench.body = Array("x=%7e+%7E&KEY=forged&&y".utf8)
    #expect(try bench.signed().body == "x=%7e+%7E&&y&key=a+b%26c&n=1767225600")
  }

  @Test func `no body and no query are made when there is none`() throws {
    let bench = try Bench(
      #""options": {"o": {"required": false}}, "set": { "json": { "a": "1" }, "query": { "q?": "${option.o}" } }"#)
    let signed = try bench.signed()
    #expect(signed.body == #"{"a":"1"}"#)
    #expect(signed.query == nil)
  }

  @Test func `a JSON member is escaped and a number stays one`() throws {
    var bench = try Bench(#""secrets": {"s": {}}, "set": { "json": { "s": "${secret.s}", "n": "${now_ms}" } }"#)
    bench.secrets = ["s": "a\"\\\n"]
    #expect(try bench.signed().body == #"{"s":"a\"\\\n","n":1767225600000}"#)
  }

  // MARK: Refusals

  @Test func `a missing header is named, with what needs it`() throws {
    let bench = try Bench(#""values": {"org": "v ${header.X-Org}"}, "set": { "headers": { "X-Sign": "${org}" } }"#)
    let error = EvaluationError.missing(needed: "the request header x-org", target: "the header X-Sign")
    #expect(throws: error) { try bench.signed() }
    #expect(error.message == "the header X-Sign needs the request header x-org")
  }

  @Test(arguments: [
    "option.none", "json(secret.doc, 'f')", "jwt_claim(secret.doc, 'f')", "key",
  ]) func `nothing is signed with a key that is absent`(key: String) throws {
    let text = #"""
      "secrets": { "doc": {} }, "options": { "none": { "required": false } },
      "values": { "key": "${option.none}" },
      "set": { "headers": { "X-Sign@": "${hex(hmac_sha256(\#(key), path))}" } }
      """#
    var bench = try Bench(text.replacing("@", with: ""))
    bench.secrets = ["doc": "{}"]
    #expect { try bench.signed() } throws: { error in
      guard case EvaluationError.missing(_, "the header X-Sign")? = error as? EvaluationError else { return false }
      return true
    }
    bench.connector = try Bench(text.replacing("@", with: "?")).connector
    #expect(try bench.signed().headers.isEmpty)
    bench.options = ["none": "there"]
    #expect(try bench.signed().headers.isEmpty == key.contains("secret"))
  }

  @Test(arguments: ["a\nb", "a\r\nX-Evil: 1", "a\0", "a\u{7F}"])
  func `a control character never becomes a header`(secret: String) throws {
    var bench = try Bench(#""secrets": {"s": {}}, "set": { "headers": { "X-Key": "${secret.s}" } }"#)
    bench.secrets = ["s": secret]
    #expect(throws: EvaluationError.invalidHeaderValue(header: "X-Key")) { try bench.signed() }
  }

  @Test(arguments: [
    "concat(v, v)", "join('', v, v)", "hex(concat(v, v, v, v, v, v, v, v))",
  ]) func `values that grow and grow are an error, before memory is short`(grown: String) throws {
    let values = (1..<64).map { "\"v\($0)\": \"${" + grown.replacing("v", with: "v\($0 - 1)") + "}\"" }
    var bench = try Bench(
      #"""
      "values": { "v0": "${body}", \#(values.joined(separator: ", ")) },
      "set": { "headers": { "X": "${hex(md5(v63))}" } }
      """#)
    bench.body = Array("seed of them".utf8)
    #expect(throws: EvaluationError.tooLarge) { try bench.signed() }
    // The same as a fixed key.
    bench.connector = try Bench(
      #"""
      "values": { "v0": "seed of them", \#(values.joined(separator: ", ")) },
      "set": { "headers": { "X": "${hex(hmac_sha256(v63, path))}" } }
      """#
    ).connector
    #expect(throws: EvaluationError.tooLarge) { try bench.signed() }
  }

  @Test func `a large body has room beside what is made of it`() throws {
    var bench = try Bench(#""values": { "v": "${body}x" }, "set": { "headers": { "X": "${hex(md5(v))}" } }"#)
    bench.body = [UInt8](repeating: 0x61, count: Evaluation.room + 1)
    #expect(try bench.signed().headers["X"]?.utf8.count == 32)
  }

  @Test func `a JSON member is UTF-8, and nothing is put in the place of what is not`() throws {
    var bench = try Bench(#""options": {"o": {}}, "set": { "json": { "k": "${or(header.x-in, option.o)}" } }"#)
    bench.options = ["o": "é"]
    #expect(try bench.signed().body == #"{"k":"é"}"#)
    let latin = [UInt8](#"{"k":""#.utf8) + [0xE9]
    let signer = try Signer(
      connector: try Bench(#""secrets": {"s": {}}, "set": { "json": { "k": "${secret.s}" } }"#).connector,
      secrets: ["s": Secret(copying: latin.span)], options: [:], route: "test")
    bench.connector = signer.connector
    var patch = Patch()
    #expect(throws: EvaluationError.notText(member: "k")) { try bench.evaluate(signer, &patch) }
  }

  @Test(arguments: [
    ("sign", true), ("Sign", true), ("SIGN", true), ("signs", false), ("sig", false), ("s\u{EE}gn", false), ("", false),
    // A server that folds case by Unicode takes them for ASCII.
    ("\u{17F}ign", true), ("\u{17F}IGN", true), ("\u{212A}", true), ("k", true), ("\u{C9}t\u{E9}", true),
    ("ete", false),
  ])
  func `a member of the caller's that some server may take for ours is removed`(key: String, isOurs: Bool) throws {
    var bench = try Bench(#""set": { "json": { "sign": "1", "K": "2", "été": "3" } }"#)
    bench.body = Array(#"{"\#(key)":"mine","other":"o"}"#.utf8)
    let kept = isOurs ? "" : #""\#(key)":"mine","#
    #expect(try bench.signed().body == #"{\#(kept)"other":"o","sign":"1","K":"2","été":"3"}"#)
  }

  @Test(arguments: ["[]", "{", "1", "{\"a\":1,\"a\":2}"])
  func `JSON members are added to an object only`(body: String) throws {
    var bench = try Bench(#""set": { "json": { "a": "1" } }"#)
    bench.body = Array(body.utf8)
    #expect(throws: EvaluationError.bodyNotObject) { try bench.signed() }
  }

  @Test func `a broken form is not edited`() throws {
    var bench = try Bench(#""set": { "form": { "a": "1" } }"#)
    bench.body = Array("%zz=1".utf8)
    #expect(throws: EvaluationError.malformedForm) { try bench.signed() }
  }

  @Test func `a signer needs every secret and sound options`() throws {
    var bench = Bench(try #require(Catalog()["header"]))
    bench.options = ["name": "X-Key"]
    #expect(throws: SignerError.secretMissing("value")) { try bench.signer() }
    bench.secrets = ["value": "v"]
    #expect(try bench.signed().headers == ["X-Key": "v"])
    bench.options = [:]
    #expect(throws: SignerError.option(.missing("name"))) { try bench.signer() }
    bench.options = ["name": "X-Key", "nmae": "x"]
    #expect(throws: SignerError.option(.unknown("nmae"))) { try bench.signer() }
    for name in ["", "X Key", "X-Key\n", "Host", "connection", "X-Chatelaine-Subject"] {
      bench.options = ["name": name]
      #expect(throws: SignerError.self, "\(name)") { try bench.signer() }
    }
  }

  @Test func `one patch serves one request after another, and forgets`() throws {
    var bench = Bench(try #require(Catalog()["bearer"]))
    bench.secrets = ["token": "first"]
    let first = try bench.signer()
    bench.secrets = ["token": "2nd"]
    let second = try bench.signer()
    var patch = Patch()
    for (signer, expected) in [(first, "Bearer first"), (second, "Bearer 2nd"), (first, "Bearer first")] {
      try bench.evaluate(signer, &patch)
      #expect(patch.headers.count == 1)
      #expect(String(patch.bytes.extracting(patch.headers[0].value)) == expected)
    }
    patch.forget()
    #expect(patch.headers.isEmpty && patch.bytes.isEmpty)
  }

  @Test func `a patch is empty after a refusal`() throws {
    var bench = try Bench(
      #""secrets": {"s": {}}, "set": { "headers": { "X-Key": "${secret.s}", "X-B": "${header.x}" } }"#)
    bench.secrets = ["s": "canary"]
    let signer = try bench.signer()
    var patch = Patch()
    #expect(throws: EvaluationError.self) { try bench.evaluate(signer, &patch) }
    #expect(patch.headers.isEmpty && patch.bytes.isEmpty)
  }

  @Test(arguments: ["form_encode", "percent_encode"])
  func `a query that is sorted and encoded already is used as it stands, and no other is`(_ function: String) throws {
    let expression = "${\(function)(sort(query))}"
    var short = try Bench(#""set": { "headers": { "X": "\#(expression)" } }"#)
    // What else it does with the query has it decoded always.
    var long = try Bench(#""set": { "headers": { "X": "\#(expression)", "Y": "${hex(concat(query))}" } }"#)
    #expect(try short.signer().sortedQueryIsForm == (function == "form_encode"))
    #expect(try long.signer().sortedQueryIsForm == nil)
    var random = SystemRandomNumberGenerator()
    let pieces = ["a", "b", "A", "-", "~", "*", "+", "=", "=", "&", "&", "%20", "%7E", "%41", "%", "\u{e9}"]
    var canonical = 0
    for _ in 0..<4000 {
      let query = (0..<Int.random(in: 0...7, using: &random)).map { _ in pieces.randomElement(using: &random) ?? "" }
        .joined()
      short.target = "/?" + query
      long.target = short.target
      let expected = try? long.signed().headers["X"]
      let found = try? short.signed().headers["X"]
      #expect(found == expected, "\(query)")
      if expected == query { canonical += 1 }
      let isCanonical = Pair.areCanonical(Array(query.utf8).span, asForm: function == "form_encode")
      // Never where it is not; where it is, in all but the cases that it leaves to the long way.
      #expect(!isCanonical || expected == query, "\(query)")
      if expected == query, !query.contains("%") { #expect(isCanonical, "\(query)") }
    }
    #expect(canonical > 100)
  }

  @Test(arguments: [
    ("${form_encode(sort(query))}", true), ("${percent_encode(sort(query))}", false),
    ("${form_encode(sort(query))}${percent_encode(sort(query))}", false),
    ("${form_encode(query)}", nil), ("${hex(concat(query))}", nil), ("${join('&', sort(query))}", nil),
    ("${form_encode(sort(query))}${join('&', sort(query))}", nil), ("${raw_query}", nil), ("${method}", nil),
  ])
  func `the query is left undecoded only where it is sorted and encoded and nothing else`(
    _ expression: String, _ isForm: Bool?
  ) throws {
    let bench = try Bench(#""set": { "headers": { "X": "\#(expression)" } }"#)
    #expect(try bench.signer().sortedQueryIsForm == isForm)
  }

  @Test func `a query that another name stands for is decoded`() throws {
    let bench = try Bench(
      #""values": { "q": "${sort(query)}" }, "set": { "headers": { "X": "${form_encode(q)}${form_encode(sort(query))}" } }"#
    )
    #expect(try bench.signer().sortedQueryIsForm == nil)
  }

  @Test func `ten thousand fields are sorted at once`() throws {
    var bench = try Bench(#""set": { "headers": { "X": "${hex(md5(form_encode(sort(query))))}" } }"#)
    let names = (0..<10_000).map { String($0 * 7919 % 10_000) }
    bench.target = "/?" + names.map { $0 + "=" }.joined(separator: "&")
    let sorted = names.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
    let text = sorted.map { $0 + "=" }.joined(separator: "&")
    var expected = Buffer()
    var digest = Buffer()
    Digest.append(.md5, of: Array(text.utf8).span, to: &digest)
    expected.appendHex(digest.span)
    let signed = try bench.signed().headers["X"]
    #expect(signed == String(expected.span))
  }
}
