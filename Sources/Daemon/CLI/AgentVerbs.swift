import Broker
import Bytes
import Config
import Connector
import Crypto
import JSON

/// The Agent Trust Handshake by hand. All but `keygen` and `identity` talk to a server, which the running daemon does.
extension Verb {
  static let agentVerbs = [
    agentKeygen, agentIdentity, agentDiscover, agentRegister, agentAuthorize, agentExchange, agentRevoke,
  ]

  private static let subject = Option(name: "--subject", value: "S", about: "for whom, where a route has several users")

  private static let agentKeygen = Verb(
    name: "ath keygen", operands: "ROUTE", operandCount: 1...1,
    options: [
      Option(name: "--from-file", value: "FILE", about: "import a P-256 private key in PEM instead of making one"),
      Option(name: "--replace", about: "take the place of the key that is stored"),
    ],
    summary: "make an agent's key, or import one",
    details: """
      The private key goes into the store, and nothing prints it. Servers read its public half in the agent's identity
      document: "chatelaine ath identity ROUTE".
      """
  ) { invocation, console throws(CommandError) in
    let setup = try invocation.setup()
    let route = try route(invocation, setup)
    guard let name = route.secrets[AgentIdentity.keyName] else { throw noAgent(route.name) }
    let file = invocation.options["--from-file"]
    let key: ES256Key
    if let file { key = try imported(file, console) } else { key = ES256Key.generate() }
    let access = try StoreAccess(setup) { console.tell("made \(setup.configuration.store.path): the store") }
    let answer = try access.ask("GET", "/secrets")
    let stored = answer.array ?? []
    let isStored = stored.contains { $0["name"]?.string == name }
    if isStored, !invocation.has("--replace") {
      throw CommandError(
        CommandError.Status.data, "route \(route.name) has a key already: \(name)",
        hint: "nothing was changed; --replace takes its place, and every server then has to read the new identity")
    }
    _ = try access.ask("PUT", StoreAccess.path(of: name), key.pem())
    console.show("stored \(name): a P-256 key with the thumbprint \(key.publicKey.thumbprint)")
    if isStored {
      console.tell(
        """
        The identity document has the new key. Publish it where the agent's id points (\(route.options["agent_id"] ?? "")):
        servers may keep the old one for five minutes, and refuse what the new key signs until then. The registration and
        sessions stay.
        """)
    }
    console.tell("next: chatelaine ath identity \(route.name)")
  }

  private static let agentIdentity = Verb(
    name: "ath identity", operands: "ROUTE", operandCount: 1...1, printsData: true,
    summary: "print the agent's identity document",
    details: """
      It has to be at the route's "agent_id". The daemon serves it at /-/ath/ROUTE/agent.json, for a web server to pass on.
      """
  ) { invocation, console throws(CommandError) in
    let setup = try invocation.setup()
    let route = try route(invocation, setup)
    console.show(try StoreAccess(setup).ask("GET", place(route.name, "agent.json")))
  }

  private static let agentDiscover = Verb(
    name: "ath discover", operands: "ROUTE", operandCount: 1...1, printsData: true,
    summary: "read what the gateway or service says of itself",
    details: "It is kept. In native mode it says where calls go."
  ) { invocation, console throws(CommandError) in
    let (route, answer) = try step("discover", invocation)
    if invocation.isJSON { return console.show(answer) }
    if answer["api_base"] != nil {
      console.table([
        ["service", said(answer["app_id"])], ["name", said(answer["name"])], ["calls go to", said(answer["api_base"])],
        ["scopes", words(answer["auth"]?["scopes_supported"])],
      ])
    } else {
      console.show("gateway \(said(answer["gateway_id"]))")
      console.table(
        [["PROVIDER", "NAME", "SCOPES", "APPROVAL"]]
          + (answer["supported_providers"]?.array ?? []).map { provider in
            [
              said(provider["provider_id"]), said(provider["display_name"]),
              words(provider["available_scopes"]),
              provider["agent_approval_required"]?.bool == true ? "required" : "-",
            ]
          })
    }
    console.tell("next: chatelaine ath register \(route.name) --purpose TEXT --scope SCOPE")
  }

  private static let agentRegister = Verb(
    name: "ath register", operands: "ROUTE", operandCount: 1...1,
    options: [
      Option(name: "--purpose", value: "TEXT", about: "what the agent is for"),
      Option(name: "--scope", value: "SCOPE", about: "what it may be allowed, with spaces between"),
      Option(name: "--provider", value: "ID", about: "of whom (the route's own, or the service)"),
      Option(name: "--redirect-uri", value: "U", about: "where users come back to, with spaces between"),
      Option(name: "--developer", value: "JSON", about: "who made it (the route's option \"developer\")"),
    ], printsData: true, summary: "register the agent",
    details: """
      The client secret that comes back is stored before this is answered. To ask for the same again tells how it stands; a
      server that gives another client id then ends the sessions that were begun with the one before.
      """
  ) { invocation, console throws(CommandError) in
    let setup = try invocation.setup()
    let name = try route(invocation, setup).name
    guard let purpose = invocation.options["--purpose"], let scopes = invocation.options["--scope"] else {
      throw CommandError.usage("--purpose and --scope say what the agent wants", invocation.verb)
    }
    let provider = try provider(invocation, setup)
    let developer = try developer(invocation)
    let uris = invocation.options["--redirect-uri"]
    let body = object { body in
      if let developer {
        body.appendKey("developer")
        body.appendJSON(developer)
      }
      body.appendKey("providers")
      body.appendArrayStart()
      body.appendObjectStart()
      body.appendMember("provider_id", provider)
      append(scopes, as: "scopes", to: &body)
      body.appendObjectEnd()
      body.appendArrayEnd()
      body.appendMember("purpose", purpose)
      if let uris { append(uris, as: "redirect_uris", to: &body) }
    }
    let (_, answer) = try step("register", invocation, body)
    if invocation.isJSON { return console.show(answer) }
    let status = said(answer["agent_status"])
    console.show("\(name) is registered as \(said(answer["client_id"])): \(status)")
    for provider in answer["approved_providers"]?.array ?? [] {
      var line = "  \(said(provider["provider_id"])): approved \(words(provider["approved_scopes"]))"
      if provider["denied_scopes"]?.array?.isEmpty == false { line += ", denied \(words(provider["denied_scopes"]))" }
      if provider["denial_reason"]?.string != nil { line += " (\(said(provider["denial_reason"])))" }
      console.show(line)
    }
    switch status {
    case "approved": console.tell("next: chatelaine ath authorize \(name) --scope SCOPE")
    case "pending":
      console.tell("the operator has to approve it; then: chatelaine ath authorize \(name) --scope SCOPE")
    default: console.tell("the operator has refused it")
    }
  }

  private static let agentAuthorize = Verb(
    name: "ath authorize", operands: "ROUTE", operandCount: 1...1,
    options: [
      Option(name: "--scope", value: "SCOPE", about: "what the user is asked for, with spaces between"),
      Option(
        name: "--redirect-uri", value: "U", about: "where the user comes back to (the first that is registered)"),
      Option(name: "--resource", value: "URI", about: "what the token is for (RFC 8707)"), subject,
    ], printsData: true, summary: "begin a session: where the user has to go to agree",
    details: "The user comes back with a code. Then, within ten minutes: chatelaine ath exchange ROUTE --session ID"
  ) { invocation, console throws(CommandError) in
    guard let scopes = invocation.options["--scope"] else {
      throw CommandError.usage("--scope says what the user is asked for", invocation.verb)
    }
    let body = object { body in
      append(scopes, as: "scopes", to: &body)
      if let uri = invocation.options["--redirect-uri"] { body.appendMember("redirect_uri", uri) }
      if let resource = invocation.options["--resource"] { body.appendMember("resource", resource) }
    }
    let (route, answer) = try step("authorize", invocation, body)
    if invocation.isJSON { return console.show(answer) }
    console.show("Agree here:\n\n  \(answer["authorization_url"]?.string ?? "-")\n")
    var command =
      "chatelaine ath exchange \(route.name) --session \(shellWord(answer["ath_session_id"]?.string ?? "-"))"
    if let subject = invocation.options["--subject"] { command += " --subject \(shellWord(subject))" }
    console.tell("next, with the address that the browser ends at: \(command)")
  }

  private static let agentExchange = Verb(
    name: "ath exchange", operands: "ROUTE", operandCount: 1...1,
    options: [
      Option(name: "--session", value: "ID", about: "as authorize said it"),
      Option(name: "--code", value: "CODE", about: "what the user came back with; better from stdin"), subject,
    ], printsData: true, summary: "turn what the user came back with into a token",
    details: """
      The code, or the whole address that the browser ended at, comes from a prompt or from a pipe; the address may name the
      session, too. A code is good once, and for this agent alone. The token is stored; nothing prints it.
      """
  ) { invocation, console throws(CommandError) in
    let back = try AgentReturn(typed(invocation, console))
    guard let session = invocation.options["--session"] ?? back.session else {
      throw CommandError.usage("--session is the ath_session_id of chatelaine ath authorize", invocation.verb)
    }
    let body = object { body in
      body.appendMember("code", back.code)
      body.appendMember("session_id", session)
      if let state = back.state { body.appendMember("state", state) }
    }
    let (route, answer) = try step("exchange", invocation, body)
    if invocation.isJSON { return console.show(answer) }
    var line = "\(said(answer["subject"])) of \(route.name): allowed \(words(answer["effective_scopes"]))"
    if let seconds = answer["expires_in"]?.int { line += ", for \(duration(seconds))" }
    console.show(line)
  }

  private static let agentRevoke = Verb(
    name: "ath revoke", operands: "ROUTE", operandCount: 1...1, options: [subject], printsData: true,
    summary: "end a session, here and at the server",
    details: "The token here goes whatever the server answers; exit status 69 tells that it was not told, or said no."
  ) { invocation, console throws(CommandError) in
    let (route, answer) = try step("revoke", invocation)
    let who = "\(said(answer["subject"])) of \(route.name)"
    guard answer["revoked"]?.bool == true else {
      if invocation.isJSON {
        console.show(answer)
        try console.finish()
      }
      throw CommandError(
        CommandError.Status.unavailable,
        "the token of \(who) is forgotten here, but the server may still take it: \(answer["detail"]?.string ?? "-")",
        hint: "it ends by itself when it expires; the server's operator can end it before")
    }
    if invocation.isJSON { console.show(answer) } else { console.show("revoked: \(who)") }
  }

  // MARK: Parts

  private static func route(_ invocation: Invocation, _ setup: Setup) throws(CommandError) -> RouteConfiguration {
    let name = invocation.operands[0]
    guard let route = setup.configuration.routes.first(where: { $0.name == name }) else {
      let names = setup.configuration.routes.map(\.name)
      throw CommandError(
        CommandError.Status.configuration, "there is no such route",
        hint: closest(to: name, among: names).map { "did you mean \"\($0)\"?" }
          ?? (names.isEmpty ? "the configuration has none" : names.joined(separator: ", ")))
    }
    guard setup.catalog[route.connector]?.handshake == .ath else { throw noAgent(route.name) }
    return route
  }

  private static func noAgent(_ route: String) -> CommandError {
    CommandError(
      CommandError.Status.configuration, "route \(route) has no agent: its connector has no \"handshake\"",
      hint: "\"connector\": \"ath\" has one")
  }

  /// Has the daemon take a step, with the body of the endpoint of that name.
  private static func step(
    _ name: String, _ invocation: Invocation, _ body: Secret? = nil
  ) throws(CommandError) -> (RouteConfiguration, JSONValue) {
    let setup = try invocation.setup()
    let route = try route(invocation, setup)
    let path = place(route.name, name, invocation.options["--subject"])
    return (route, try StoreAccess.askDaemon(setup, "POST", path, body))
  }

  /// What the user came back with.
  private static func typed(_ invocation: Invocation, _ console: Console) throws(CommandError) -> String {
    if let code = invocation.options["--code"] { return code }
    let name = "the code, or the address that the browser ended at"
    let read = try SecretSource.read(file: nil, name: name, console)
    return String(read.span)
  }

  private static func imported(_ file: String, _ console: Console) throws(CommandError) -> ES256Key {
    let text = try SecretSource.read(file: file, name: "the key", console)
    do throws(ES256Error) {
      return try ES256Key(pem: text.span)
    } catch {
      throw CommandError(
        CommandError.Status.data, "\(file): \(error.reason)",
        hint: "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 makes one, and so does this command alone"
      )
    }
  }

  /// Whose scopes are asked for: given, the route's own, or the service itself.
  private static func provider(_ invocation: Invocation, _ setup: Setup) throws(CommandError) -> String {
    if let provider = invocation.options["--provider"] { return provider }
    let route = try route(invocation, setup)
    if let provider = route.options["provider"] { return provider }
    let document = try StoreAccess.askDaemon(setup, "POST", place(route.name, "discover"))
    guard let application = document["app_id"]?.string else {
      throw CommandError.usage("--provider says whose scopes they are", invocation.verb)
    }
    return application
  }

  private static func developer(_ invocation: Invocation) throws(CommandError) -> JSONValue? {
    guard let text = invocation.options["--developer"] else { return nil }
    if let value = try? JSONReader.parse(Array(text.utf8).span) { return value }
    throw CommandError.usage("--developer is {\"name\": …, \"id\": …}", invocation.verb)
  }

  private static func object(_ members: (inout Buffer) -> Void) -> Secret {
    var text = Buffer()
    text.appendObjectStart()
    members(&text)
    text.appendObjectEnd()
    return Secret(copying: text.span)
  }

  private static func append(_ words: String, as name: String, to body: inout Buffer) {
    body.appendKey(name)
    body.appendArrayStart()
    for word in words.split(whereSeparator: { $0 == " " || $0 == "," }) { body.appendJSON(String(word)) }
    body.appendArrayEnd()
  }

  /// A step's place in the admin API.
  private static func place(_ route: String, _ step: String, _ subject: String? = nil) -> String {
    var path = Buffer()
    path.append("/ath")
    for part in [route, step] + (subject.map { [$0] } ?? []) {
      path.append("/")
      path.appendPercentEncoded(Array(part.utf8).span)
    }
    return String(path.span)
  }
}

/// What a user came back with, as somebody pasted it.
private struct AgentReturn {
  var code: String
  var state: String?
  var session: String?

  init(_ typed: String) throws(CommandError) {
    let line = typed.split(whereSeparator: \.isWhitespace).first.map(String.init) ?? ""
    guard let mark = line.firstIndex(of: "?") else {
      guard !line.isEmpty, !line.contains("://") else { throw AgentReturn.nothing }
      code = line
      return
    }
    var found: [String: String] = [:]
    for pair in line[line.index(after: mark)...].prefix(while: { $0 != "#" }).split(separator: "&") {
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      var value = Buffer()
      guard parts.count == 2, value.appendFormDecoded(Array(parts[1].utf8).span) else { continue }
      found[String(parts[0])] = String(value.span)
    }
    session = found["session_id"] ?? found["ath_session_id"]
    // The protocol's reference server sends its users back so.
    if found["code"] == nil, found["success"] == "true" { found["code"] = "" }
    guard let code = found["code"] else {
      guard let error = found["error"] else { throw AgentReturn.nothing }
      throw CommandError(
        CommandError.Status.unavailable,
        error == "access_denied" ? "the user said no" : "the server answered with an error instead of a code",
        hint: "chatelaine ath authorize begins anew")
    }
    self.code = code
    state = found["state"]
  }

  private static let nothing = CommandError(
    CommandError.Status.data, "there is no code in that", hint: "it is behind \"code=\" in the address")
}

extension ES256Error {
  /// What keeps a file from being a key.
  fileprivate var reason: String {
    switch self {
    case .format: "no private key in PEM"
    case .encrypted: "the key is under a passphrase"
    case .publicKey: "a public key or a certificate, which cannot sign"
    case .keyType: "a key of another kind than elliptic curve"
    case .curve: "a key on another curve than P-256"
    case .mismatch: "the key's two parts do not belong together"
    case .signature: "the key makes no signature that verifies"
    }
  }
}
