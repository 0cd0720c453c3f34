import Bytes
import Connector
import Crypto
import HTTP
import JSON

/// An even first byte: the rest is a connector's file. An odd one: it is the text of a value and a header in one.
func fuzzConnector(_ data: [UInt8]) {
  guard let choice = data.first else { return }
  let source = choice & 1 == 0 ? Array(data.dropFirst()) : file(around: Array(data.dropFirst()))
  let (connector, diagnostics) = Connector.compile(source: source, file: "f.jsonc")
  for diagnostic in diagnostics {
    require(diagnostic.position.offset <= source.count && !diagnostic.rendered.isEmpty, "\(diagnostic)")
  }
  require((connector == nil) == diagnostics.contains { $0.severity == .error }, "\(shown(source))")
  if let connector { work(connector, source) }
}

private func file(around expression: [UInt8]) -> [UInt8] {
  var out = Buffer()
  out.append(
    #"{"connector":"f","title":"f","secrets":{"a":{"about":"a"}},"options":{"o":{"about":"o","default":"d"}},"values":{"v":"#
  )
  out.appendJSON(expression.span)
  out.append(#"},"set":{"headers":{"X-V":"${v}","X-F":"#)
  out.append(UInt8(ascii: " "))
  out.appendJSON(expression.span)
  out.append("}}}")
  return Array(out.span)
}

/// It signs the same way twice (but for ECDSA, where it only succeeds twice), with values that a header can carry, and explains
/// itself without a secret.
private func work(_ connector: Connector, _ source: [UInt8]) {
  let secret = Array(Sample.canary.utf8)
  let secrets = Dictionary(connector.secrets.map { ($0.name, Secret(copying: secret.span)) }) { first, _ in first }
  var options: [String: String] = [:]
  for option in connector.options { options[option.name] = option.defaultValue ?? option.values.first ?? "X-Opt" }
  if (try? connector.targets(options: options)) == nil {
    for request in connector.endpoints {
      if let option = request.locationOption { options[option] = "https://a.example.com/t" }
    }
  }
  let token = connector.token.flatMap { madeToken(for: $0) }
  if let recipe = connector.token { ask(recipe, secrets, options, token, source) }
  if let oauth = connector.oauth { logIn(oauth, secrets, options, source) }
  guard let signer = madeSigner(connector, secrets, options) else { return }
  let block = Array("POST/a/b%20c?x=1&y=a+b&x=%C3%A9".utf8)
  let fields = Array("v1".utf8)
  let body = Array(#"{"a":{"b":["c",1]},"d":null}"#.utf8)
  let (host, subject) = (Array("api.example.com".utf8), Array("alice".utf8))
  let request = ConnectorRequest(
    block: block.span, method: 0..<4, path: 4..<12, query: 13..<block.count, fields: fields.span,
    headers: connector.readHeaders.enumerated().map { $0.offset % 2 == 0 ? 0..<2 : nil }, host: host.span,
    body: body.span, subject: subject.span)
  let time = RequestTime(seconds: 1_767_225_600, milliseconds: 7)
  var first: [[UInt8]]?
  for _ in 0..<2 {
    var patch = Patch()
    do {
      try signer.evaluate(request, token: token, time: time, entropy: RequestEntropy(nonce: 1, uuid: 2), into: &patch)
    } catch {
      require(first == nil, "the second time differs: \(shown(source))")
      break
    }
    var parts: [[UInt8]] = []
    for header in patch.headers {
      let value = patch.bytes.extracting(header.value)
      require(isFieldValue(value), "\(shown(source)) makes a header \(shown(Array(value)))")
      parts.append(signer.targets.headers[header.name].bytes + [0x3A] + Array(value))
    }
    for header in signer.targets.headers { require(Plain.isToken(header.bytes), "the name \(header.text)") }
    if let query = patch.query { parts.append(Array(patch.bytes.extracting(query))) }
    if let body = patch.body { parts.append(Array(patch.bytes.extracting(body))) }
    let isSame = connector.signsAtRandom ? first?.count == parts.count : first == parts
    require(first == nil || isSame, "the second time differs: \(shown(source))")
    first = parts
  }
  for token in [token, nil] {
    for step in signer.explain(request, token: token, time: time, entropy: RequestEntropy(nonce: 1, uuid: 2)).steps {
      for canary in [Sample.canary, Sample.keyCanary] {
        require(!(step.shown ?? "").contains(canary), "\(shown(source)) shows a secret: \(step)")
      }
    }
  }
}

/// With the canary as every secret, but a key where the connector signs with it.
private func madeSigner(_ connector: Connector, _ secrets: [String: Secret], _ options: [String: String]) -> Signer? {
  var secrets = secrets
  while true {
    do throws(SignerError) {
      return try Signer(connector: connector, secrets: secrets, options: options, route: "f")
    } catch {
      guard case .key(let found, _) = error else { return nil }
      require(!error.message.contains(Sample.canary), error.message)
      let key = connector.secrets.first { "the secret \($0.name)" == found && secrets[$0.name] != Sample.key }
      guard let key else { return nil }
      secrets[key.name] = Sample.key
    }
  }
}

/// A browser is sent to a URL without the code verifier, and its code is exchanged by a request that can be sent.
private func logIn(
  _ oauth: OAuthRecipe, _ secrets: [String: Secret], _ options: [String: String], _ source: [UInt8]
) {
  let verifier = "v3rifier-\(String(repeating: "x", count: 40))"
  var login = OAuthLogin(
    state: "s&+ =%\u{e9}", redirectURI: oauth.redirectURI(options: options) ?? "https://a.example.com/cb",
    scope: oauth.scope(options: options), verifier: Secret(copying: Array(verifier.utf8).span))
  let time = RequestTime(seconds: 1_767_225_600)
  let url = try? oauth.authorizationURL(
    login, secrets: secrets, options: options, route: "f", subject: "alice", upstream: "https://api.example.com/b",
    time: time, entropy: RequestEntropy(nonce: 1, uuid: 2))
  if let url {
    require(url.hasPrefix("http") && url.utf8.allSatisfy { 0x21...0x7E ~= $0 }, "\(shown(source)) sends to \(url)")
    require(!url.contains(verifier) && url.contains("s%26%2B+%3D%25%C3%A9"), "\(shown(source)) sends to \(url)")
  }
  login.code = Secret(copying: Array("c".utf8).span)
  let made = try? oauth.exchange.prepare(
    secrets: secrets, options: options, route: "f", subject: "alice", token: nil, login: login,
    host: "api.example.com", basePath: "/b", time: time, entropy: RequestEntropy(nonce: 1, uuid: 2))
  if let made { requireSendable(made, source) }
}

private func requireSendable(_ made: PreparedTokenRequest, _ source: [UInt8]) {
  let target = Array(made.target.span)
  require(target.first == 0x2F && target.allSatisfy { 0x21...0x7E ~= $0 }, "\(shown(source)) asks \(shown(target))")
  for header in made.headers {
    require(
      Plain.isToken(Array(header.name.utf8)) && isFieldValue(header.value.span), "\(shown(source)): \(header.name)")
  }
}

/// The canary in every field, as the store would give it back.
private func madeToken(for recipe: TokenRecipe) -> Token? {
  var bytes: [UInt8] = [1] + Array(repeating: 0, count: 24)
  for name in recipe.fieldNames {
    bytes += [UInt8(name.utf8.count)] + Array(name.utf8)
    bytes += [0, 0, 0, UInt8(Sample.canary.utf8.count)] + Array(Sample.canary.utf8)
  }
  let token = Token(decoding: bytes.span, generation: 1, recipe: recipe)
  require(token.map { Array($0.encoded().span) == bytes } ?? false, "a token does not survive the store")
  return token
}

/// Its requests can be sent as they are, and what an endpoint says never shows what it was sent.
private func ask(
  _ recipe: TokenRecipe, _ secrets: [String: Secret], _ options: [String: String], _ token: Token?, _ source: [UInt8]
) {
  let time = RequestTime(seconds: 1_767_225_600)
  for request in recipe.requests {
    let made = try? request.prepare(
      secrets: secrets, options: options, route: "f", subject: "alice", token: token, host: "api.example.com",
      basePath: "/b", time: time, entropy: RequestEntropy(nonce: 1, uuid: 2))
    if let made { requireSendable(made, source) }
  }
  let canary = Sample.canary
  let words =
    #""error":"\#(canary)","error_description":"a\u0000\#(canary)b","message":"\#(canary)","msg":"\#(canary)""#
  let grant = #""access_token":"a.eyJhIjoxfQ.c","expires_in":60,"refresh_token":"r","code":0"#
  for status in [200, 400] {
    for body in ["{\(words)}", "{\(grant),\"data\":{\(grant)}}", "{\(grant),\(words)}"] {
      let answer = recipe.read(
        status: status, body: Array(body.utf8).span, previous: token, generation: 2, now: time.seconds,
        hiding: Array(secrets.values))
      switch answer {
      case .granted(let token): require((token.expiresAt ?? .max) > time.seconds, "\(shown(source)): dead on arrival")
      case .refused(let message): require(!(message ?? "").contains(canary), "\(shown(source)): \(message ?? "")")
      case .unavailable(let message), .malformed(let message):
        require(!message.contains(canary), "\(shown(source)): \(message)")
      }
    }
  }
}
