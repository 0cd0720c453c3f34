import Bytes
import Crypto
import JSON
import Testing

@testable import Connector

@Suite struct ES256Tests {
  private static func pem(_ file: String) throws -> String {
    String(decoding: try Bench.file("Tests/Vectors/es256/\(file)"), as: UTF8.self)
  }

  /// Whether `signature` is the key's of that file for the text.
  private static func verifies(_ signature: [UInt8], _ text: String, _ file: String = "pkcs8.pem") throws -> Bool {
    let pem = try Bench.file("Tests/Vectors/es256/\(file)")
    let key = try ES256Key(pem: pem.span).publicKey
    return key.verify(signature.span, of: Array(text.utf8).span)
  }

  /// Of base64url; none at all for what is none.
  private static func raw(_ text: some StringProtocol) -> [UInt8] {
    var raw = Buffer()
    guard raw.appendDecodedBase64URL(Array(text.utf8).span) else { return [] }
    return Array(raw.span)
  }

  private static func raw(hex text: String?) -> [UInt8] {
    var raw = Buffer()
    guard raw.appendDecodedHex(Array((text ?? "").utf8).span) else { return [] }
    return Array(raw.span)
  }

  private static let attestation = #"""
    "secrets": { "app": {}, "key": {} },
    "values": {
      "head": "{\"alg\":\"ES256\",\"typ\":\"JWT\"}",
      "claims": "{\"iss\":${json_string(secret.app)},\"aud\":${json_string(host)},\"exp\":${add(now, 60)},\"jti\":\"${uuid}\"}",
      "input": "${base64url(head)}.${base64url(claims)}",
      "jwt": "${input}.${base64url(es256(secret.key, input))}",
    },
    "set": { "headers": { "Authorization": "Bearer ${jwt}" } }
    """#

  // MARK: Signing

  @Test(arguments: ["pkcs8.pem", "sec1.pem"])
  func `a token is signed with the route's key, and another one for each request`(file: String) throws {
    var bench = try Bench(ES256Tests.attestation)
    bench.secrets = ["app": "say \"app\"\\\n", "key": try ES256Tests.pem(file)]
    let signer = try bench.signer()
    var patch = Patch()
    var seen: Set<String> = []
    for count in 1...100 {
      bench.entropy = RequestEntropy(nonce: 1, uuid: UInt128(count))
      try bench.evaluate(signer, &patch)
      let sent = String(patch.bytes.extracting(patch.headers[0].value))
      let parts = sent.dropFirst(7).split(separator: ".")
      try #require(sent.hasPrefix("Bearer ") && parts.count == 3)
      #expect(ES256Tests.raw(parts[2]).count == 64)
      #expect(try ES256Tests.verifies(ES256Tests.raw(parts[2]), "\(parts[0]).\(parts[1])"))
      let claims = try JSONReader.parse(ES256Tests.raw(parts[1]))
      #expect(claims["iss"]?.string == "say \"app\"\\\n" && claims["aud"]?.string == "api.example.com")
      #expect(claims["exp"]?.int == 1_767_225_660)
      seen.insert(try #require(claims["jti"]?.string))
    }
    #expect(seen.count == 100)
  }

  @Test func `a key of secrets and text is read once, one of the request each time`() throws {
    var bench = try Bench(
      #"""
      "secrets": { "s": {}, "o": { "required": false } },
      "values": { "alias": "${secret.s}" },
      "set": { "headers": {
        "A": "${hex(es256(alias, path))}", "B?": "${hex(es256(secret.o, path))}", "C?": "${hex(es256(header.x-key, path))}",
        "D": "${hex(es256(or(secret.o, alias), path))}",
      } }
      """#)
    bench.secrets = ["s": try ES256Tests.pem("sec1.pem")]
    let signer = try bench.signer()
    #expect(signer.signers.map { $0 != nil } == [true, false, false, true])
    #expect(try bench.signed().headers.keys.sorted() == ["A", "D"])
    bench.headers = ["x-key": try ES256Tests.pem("ecparam.pem")]
    let headers = try bench.signed().headers
    for (name, file) in [("A", "pkcs8.pem"), ("C", "ecparam.pem"), ("D", "pkcs8.pem")] {
      #expect(try ES256Tests.verifies(ES256Tests.raw(hex: headers[name]), "/", file), "\(name)")
    }
  }

  @Test func `what is absent makes the signature absent, and the next one is whole`() throws {
    var bench = try Bench(
      #"""
      "secrets": { "s": {} }, "set": { "headers": { "A?": "${hex(es256(secret.s, concat(path, header.x-in)))}" } }
      """#)
    bench.secrets = ["s": try ES256Tests.pem("sec1.pem")]
    let signer = try bench.signer()
    var patch = Patch()
    try bench.evaluate(signer, &patch)
    #expect(patch.headers.isEmpty)
    bench.headers = ["x-in": "!"]
    try bench.evaluate(signer, &patch)
    let signed = String(patch.bytes.extracting(patch.headers[0].value))
    #expect(try ES256Tests.verifies(ES256Tests.raw(hex: signed), "/!"))
  }

  @Test func `a signature never keys a MAC for good`() throws {
    var bench = try Bench(
      #""secrets": { "s": {} }, "set": { "headers": { "A": "${hex(hmac_sha256(es256(secret.s, 'a'), path))}" } }"#)
    bench.secrets = ["s": try ES256Tests.pem("sec1.pem")]
    let signer = try bench.signer()
    var patch = Patch()
    var seen: Set<String> = []
    for _ in 0..<3 {
      try bench.evaluate(signer, &patch)
      seen.insert(String(patch.bytes.extracting(patch.headers[0].value)))
    }
    #expect(seen.count == 3)
  }

  // MARK: What is no key

  private static let wrong: [(String, ES256Error)] = [
    ("public.pem", .publicKey), ("certificate.pem", .publicKey), ("rsa.pem", .keyType), ("ed25519.pem", .keyType),
    ("p384.pem", .curve), ("explicit.pem", .curve), ("pkcs8-encrypted.pem", .encrypted), ("mismatch.pem", .mismatch),
    ("cut.pem", .format), ("README.md", .format),
  ]

  @Test(arguments: wrong)
  func `a stored key of another kind makes no signer, and the reason names it`(file: String, error: ES256Error) throws {
    var bench = try Bench(ES256Tests.attestation)
    let pem = try ES256Tests.pem(file)
    bench.secrets = ["app": "a", "key": pem]
    let expected = SignerError.key(found: "the secret key", error)
    #expect(throws: expected) { try bench.signer() }
    #expect(expected.message == "the secret key cannot sign with ES256: \(error.message)")
    for line in pem.split(separator: "\n") where line.utf8.count > 20 { #expect(!expected.message.contains(line)) }
  }

  @Test(arguments: wrong)
  func `a key that comes with the request is refused with it`(file: String, error: ES256Error) throws {
    var bench = try Bench(#""set": { "headers": { "A": "${or(hex(es256(header.x-key, path)), 'none')}" } }"#)
    bench.headers = ["x-key": try ES256Tests.pem(file)]
    #expect(throws: EvaluationError.key(found: "the request header x-key", error)) { try bench.signed() }
    bench.headers = [:]
    #expect(try bench.signed().headers == ["A": "none"])
  }

  @Test func `an explanation without a token does not take the stand-in for a key`() throws {
    let bench = try Bench(
      #"""
      "token": { "fetch": { "path": "/t" } },
      "set": { "headers": { "A": "1", "B": "${hex(es256(token.access_token, path))}" } }
      """#)
    #expect(try bench.explained().error == .noToken)
  }

  // MARK: Secrecy

  @Test func `explain shows what is signed and the signature that is used, and nothing of the key`() throws {
    var bench = try Bench(ES256Tests.attestation)
    let pem = try ES256Tests.pem("pkcs8.pem")
    bench.secrets = ["app": "canary-app", "key": pem]
    let explanation = try bench.explained()
    let shown = explanation.steps.map { $0.shown ?? "(absent)" }
    #expect(explanation.error == nil)
    #expect(shown[0] == #"{"alg":"ES256","typ":"JWT"}"#)
    #expect(shown[1].hasPrefix(#"{"iss":•••,"aud":"api.example.com","exp":1767225660,"jti":""#))
    #expect(shown[2] == "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.•••")
    #expect(shown[3].hasPrefix("eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.•••."))
    #expect(shown[4] == "Bearer \(shown[3])")
    for line in pem.split(separator: "\n") { #expect(!shown.joined(separator: "\n").contains(line)) }
    #expect(!shown.joined().contains("canary"))
  }

  @Test(arguments: [
    ("${hex(es256(secret.key, 'login'))}", true), ("${base64(es256(secret.key, concat(host, now)))}", true),
    ("${hex(es256(secret.key, path))}", false), ("${hex(es256(secret.key, uuid))}", false),
    ("${base64(secret.key)}", true), ("${json_string(secret.key)}", true), ("${add(now, 1)}", false),
  ]) func `a signature of what any request has is masked, one of this request is shown`(
    expression: String, isMasked: Bool
  ) throws {
    var bench = try Bench(#""secrets": { "key": {} }, "set": { "json": { "A": "\#(expression)" } }"#)
    bench.secrets = ["key": try ES256Tests.pem("pkcs8.pem")]
    let shown = try #require(try bench.explained().steps[0].shown)
    #expect((shown == "•••") == isMasked, "\(shown)")
  }

  // MARK: Text and numbers

  @Test(arguments: [
    ("", #""""#), ("plain é", #""plain é""#), ("\"\\", #""\"\\""#),
    ("a\nb\r\t\u{8}\0\u{1F}\u{7F}", #""a\nb\r\t\u0008\u0000\u001f\u007f""#),
    ("</script>\u{2028}", "\"</script>\u{2028}\""),
  ]) func `a JSON string is quoted and escaped`(text: String, expected: String) throws {
    var bench = try Bench(#""secrets": { "s": {} }, "set": { "query": { "A": "${hex(json_string(secret.s))}" } }"#)
    bench.secrets = ["s": text]
    var hex = Buffer()
    hex.appendHex(Array(expected.utf8).span)
    let inHex = String(hex.span)
    #expect(try bench.signed().query == "A=\(inHex)")
    #expect(try JSONReader.parse(Array(expected.utf8)).string == text)
  }

  @Test func `bytes that are no UTF-8 are refused, not replaced, and no fallback takes their place`() throws {
    var bench = try Bench(#""set": { "headers": { "A": "${or(json_string(header.x), 'b')}" } }"#)
    #expect(try bench.signed().headers == ["A": "b"])
    let connector = try Bench(
      #""secrets": { "s": {} }, "set": { "headers": { "A": "${or(when(path, '/', json_string(secret.s)), 'b')}" } }"#
    ).connector
    let signer = try Signer(
      connector: connector, secrets: ["s": Secret(copying: [0x61, 0xFF].span)], options: [:], route: "test")
    bench.connector = connector
    var patch = Patch()
    let error = EvaluationError.notUTF8(found: "the secret s")
    var refusal: EvaluationError?
    do { try bench.evaluate(signer, &patch) } catch let caught as EvaluationError { refusal = caught }
    #expect(refusal == error)
    #expect(error.message == "the secret s is not UTF-8, as json_string needs it")
    let isEmpty = patch.headers.isEmpty && patch.bytes.isEmpty
    #expect(isEmpty)
    // The refusal is that request's alone.
    bench.target = "/other"
    try bench.evaluate(signer, &patch)
    #expect(patch.headers.count == 1)
  }

  @Test func `numbers are added, stay numbers and never wrap`() throws {
    var bench = try Bench(
      #"""
      "values": { "end": "${add(now, 60)}" },
      "set": { "json": { "exp": "${end}", "more": "${add(add(1, 2), now_ms)}", "text": "t${add(2, 3)}" } }
      """#)
    #expect(try bench.signed().body == #"{"exp":1767225660,"more":1767225600003,"text":"t5"}"#)
    bench.connector = try Bench(
      #""set": { "json": { "A?": "${when(path, '/', add(now, 9223372036854775807))}" } }"#
    ).connector
    #expect(throws: EvaluationError.sumTooLarge) { try bench.signed() }
    bench.target = "/other"
    #expect(try bench.signed().body == "{}")
    #expect(EvaluationError.sumTooLarge.message == "a sum does not fit into 63 bits")
  }
}
