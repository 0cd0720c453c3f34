import JSON

/// The `oauth` block: two requests, with names of a login, and three texts that options may make.
extension ConnectorReader {
  private static let oauthKeys = ["authorize", "exchange", "scope", "issuer", "redirect_uri"]

  mutating func readOAuth(_ value: JSONValue, in root: JSONValue) {
    guard let members = object(value, "\"oauth\"") else { return }
    isLogin = true
    for member in members where !ConnectorReader.oauthKeys.contains(member.key) {
      unknown(member, ConnectorReader.oauthKeys)
    }
    if root["token"] == nil {
      error(
        "\"oauth\" needs a \"token\" block", at: value,
        help: "\"token\": {} reads an answer as RFC 6749 section 5.1 has it")
    }
    var used: (secrets: Set<String>, options: Set<String>) = ([], [])
    let authorize = readRequest(
      "authorize", of: value, ["state", "redirect_uri", "scope", "code_verifier"], &used, to: .authorizationEndpoint)
    // A session belongs to a client at a token endpoint; what else changes leaves it alone.
    let client = used.secrets
    let exchange = readRequest("exchange", of: value, OAuthLogin.names.map(\.text), &used, to: .tokenEndpoint)
    loginIdentity.secrets = parts.secrets.map(\.name).filter { client.contains($0) }
    loginIdentity.options = [exchange?.locationOption].compactMap { $0 }
    let (settings, nodes) = readSettings(value)
    guard let authorize, let exchange else { return }
    checkUse(authorize, exchange, value)
    parts.oauth = OAuthRecipe(authorize: authorize, exchange: exchange, settings: settings, nodes: nodes)
  }

  private mutating func readRequest(
    _ key: String, of value: JSONValue, _ names: [String], _ used: inout (secrets: Set<String>, options: Set<String>),
    to recipient: TokenRequest.Recipient
  ) -> TokenRequest? {
    guard let member = value.members?.first(where: { $0.key == key }) else {
      error("\"\(key)\" is missing: a login needs it", at: value)
      return nil
    }
    var scope = Scope()
    scope.families = ["secret", "option", "token"]
    scope.meaning = "a login is made of its own names, secrets and options: there is no caller's request"
    scope.tokenless = "a login has yet to bring one"
    for name in OAuthLogin.names where names.contains(name.text) {
      scope.names[name.text] = (name.operation, .bytes, name.operation == .scope ? .optional : [])
    }
    return readRequest(member, scope, &used, to: recipient)
  }

  /// Text and options, each of which may be absent.
  private mutating func readSettings(_ value: JSONValue) -> (Connector, OAuthRecipe.Settings) {
    let options = parts.options
    var scope = Scope()
    scope.options = options
    scope.names = [:]
    scope.families = ["option"]
    scope.meaning = "this is made of text and options"
    var used: (secrets: Set<String>, options: Set<String>) = ([], [])
    return apart(scope, &used) { reader in
      reader.parts.options = options
      var nodes = OAuthRecipe.Settings()
      nodes.scope = reader.readSetting(value["scope"])
      nodes.issuer = reader.readSetting(value["issuer"])
      nodes.redirectURI = reader.readSetting(value["redirect_uri"])
      return (Connector(reader.parts, scope: reader.checker.scope, program: reader.checker.program), nodes)
    }
  }

  private mutating func readSetting(_ value: JSONValue?) -> Int? {
    guard let value, let node = compile(value) else { return nil }
    if isPlain(node) || checker.program.nodes[node].operation == .option { return node }
    error("this is made of text and options that always have a value, or is one option alone", at: value)
    return nil
  }

  // MARK: Checks

  /// What a login cannot do without, and what would undo it.
  private mutating func checkUse(_ authorize: TokenRequest, _ exchange: TokenRequest, _ value: JSONValue) {
    guard let browser = value["authorize"], let request = value["exchange"] else { return }
    if !authorize.sendsState {
      error(
        "no parameter is the state: a callback could not be told from a forged one", at: browser["query"] ?? browser,
        help: "\"state\": \"${state}\"")
    }
    if !exchange.uses(.code) { error("the code is not sent", at: request, help: "\"code\": \"${code}\"") }
    if authorize.uses(.codeVerifier), !exchange.uses(.codeVerifier) {
      error(
        "\"authorize\" has a code challenge, and this does not answer it", at: request,
        help: "\"code_verifier\": \"${code_verifier}\"")
    } else if exchange.uses(.codeVerifier), !authorize.uses(.codeVerifier) {
      error(
        "\"exchange\" has a code verifier, and this has no code challenge", at: browser,
        help: "\"code_challenge\": \"${base64url(sha256(code_verifier))}\", \"code_challenge_method\": \"S256\"")
    }
    if authorize.showsVerifier {
      error(
        "the code verifier would be in the open", at: browser["query"] ?? browser,
        help: "send its digest: ${base64url(sha256(code_verifier))}")
    }
  }

  /// With a login or a handshake there is no other way to a first token.
  mutating func checkLogin(_ recipe: TokenRecipe.Parts, _ value: JSONValue) {
    let (block, maker) = parts.handshake == nil ? ("oauth", "a login") : ("handshake", "the handshake")
    if let fetch = value["fetch"] { error("\"fetch\" beside \"\(block)\": \(maker) makes the first token", at: fetch) }
    if let refresh = value["refresh"], recipe.refresh?.needsToken == false {
      error("this does without token.refresh_token, and \(maker) makes the first token", at: refresh)
    }
  }
}

extension TokenRequest {
  private var targets: [Connector.Target] { connector.headers + connector.query + connector.body }

  fileprivate func uses(_ operation: Operation) -> Bool {
    targets.contains { connector.program.contains(operation, under: $0.node, insideDigests: true) }
  }

  /// As it is: it comes back the same.
  fileprivate var sendsState: Bool {
    connector.query.contains { connector.program.nodes[$0.node].operation == .state }
  }

  /// Outside of a digest.
  fileprivate var showsVerifier: Bool {
    targets.contains { connector.program.contains(.codeVerifier, under: $0.node, insideDigests: false) }
  }
}

extension Program {
  fileprivate func contains(_ operation: Operation, under node: Int, insideDigests: Bool) -> Bool {
    let found = nodes[node].operation
    if found == operation { return true }
    if !insideDigests, found.isDigest || found.isMac { return false }
    return children(of: node).contains { contains(operation, under: $0, insideDigests: insideDigests) }
  }
}
