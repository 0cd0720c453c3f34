import Broker
import Bytes
import Crypto
import Glibc
import JSON
import Net
import Vault

/// What the command line asks of an open store, and the answers: the one implementation of the admin socket's endpoints.
/// Without a daemon the command line calls it itself. Synchronous: it runs on the thread that owns the vault.
///
/// No answer holds a secret's value.
struct AdminService {
  let vault: Vault
  let setup: Setup
  /// Where a daemon runs.
  var desk: TokenDesk?

  struct Outcome {
    /// Of HTTP.
    var status: Int
    /// JSON.
    var body: [UInt8]
    /// The routes have to be given their secrets anew.
    var changesSecrets = false
  }

  /// - Parameters:
  ///   - path: `/secrets`, `/secrets/<percent-encoded name>`, `/tokens`, `/tokens/<route>/<subject>`, `/key/rotate` or
  ///     `/explain`.
  ///   - body: a secret's value, which may be any bytes, or what the endpoint says.
  func answer(method: String, path: String, body: Secret) -> Outcome {
    do throws(CommandError) {
      let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
      switch (method, parts.first, parts.count) {
      case ("GET", "secrets", 1): return try list()
      case ("PUT", "secrets", 2): return try set(parts.last ?? "", body)
      case ("DELETE", "secrets", 2): return try remove(parts.last ?? "")
      case ("GET", "tokens", 1): return try tokens()
      case ("DELETE", "tokens", 3):
        let names = parts.dropFirst().map(AdminService.decoded)
        return try dropToken(TokenKey(route: names[0], subject: names[1]))
      case ("POST", "key", 2) where parts.last == "rotate": return try rotate(body)
      case ("GET", "ath", 3) where parts.last == "agent.json": return try identity(parts.dropFirst().first ?? "")
      case ("POST", "explain", 1): return Outcome(status: 200, body: try Explainer(setup, vault).explain(body.span))
      default: throw CommandError(CommandError.Status.usage, "the daemon knows no \(method) \(path)")
      }
    } catch {
      return Outcome(status: AdminService.status(of: error), body: AdminService.problem(error))
    }
  }

  /// `[{"name", "version", "created", "updated", "size"}]`; sizes are padded.
  private func list() throws(CommandError) -> Outcome {
    var text = Buffer()
    text.appendArrayStart()
    for secret in try CommandError.wrap({ () throws(VaultError) in try vault.secretList() }) {
      text.appendObjectStart()
      text.appendMember("name", secret.name)
      text.appendMember("version", secret.version)
      text.appendMember("created", secret.created)
      text.appendMember("updated", secret.updated)
      text.appendMember("size", secret.paddedCount)
      text.appendObjectEnd()
    }
    text.appendArrayEnd()
    return Outcome(status: 200, body: Array(text.span))
  }

  /// `{"version"}` of what is stored now, durably.
  private func set(_ encoded: Substring, _ value: Secret) throws(CommandError) -> Outcome {
    let name = AdminService.decoded(encoded)
    guard !value.isEmpty else {
      throw CommandError(CommandError.Status.data, "the value for \(name) is empty", hint: "nothing was stored")
    }
    if let route = setup.agentRoute(keeping: name) {
      throw CommandError(
        CommandError.Status.data, "\(name) is where route \(route) keeps what its agent is told, and no secret",
        hint: "nothing was stored; give the secret another name")
    }
    let version = try CommandError.wrap { () throws(VaultError) in
      try vault.setSecret(name, value, now: Int64(time(nil)))
    }
    return Outcome(status: 200, body: Array("{\"version\":\(version)}".utf8), changesSecrets: true)
  }

  private func remove(_ encoded: Substring) throws(CommandError) -> Outcome {
    let name = AdminService.decoded(encoded)
    guard try CommandError.wrap({ () throws(VaultError) in try vault.removeSecret(name) }) else {
      throw CommandError(
        CommandError.Status.data, "there is no secret \"\(name.prefix(128))\"",
        hint: "\"chatelaine secret list\" names all")
    }
    return Outcome(status: 200, body: Array("{}".utf8), changesSecrets: true)
  }

  /// `{"key": {"file": path}}` and the other forms of the configuration → `{"generation"}`.
  private func rotate(_ body: Secret) throws(CommandError) -> Outcome {
    guard let request = try? JSONReader.parse(body.span), let members = request["key"]?.members, members.count == 1,
      let value = members[0].value.string
    else { throw CommandError(CommandError.Status.usage, "a rotation names the \"key\" to rotate to") }
    let source: MasterKeySource
    switch members[0].key {
    case "file": source = .file(value)
    case "credential": source = .credential(value)
    case "passphrase_file": source = .passphraseFile(value)
    default: throw CommandError(CommandError.Status.usage, "a key is a \"file\", \"credential\" or \"passphrase_file\"")
    }
    try CommandError.wrap { () throws(VaultError) in
      let key = try source.load(credentialsDirectory: ServiceManager.environment("CREDENTIALS_DIRECTORY"))
      try vault.rotateMasterKey(to: key, now: Int64(time(nil)))
    }
    return Outcome(status: 200, body: Array("{\"generation\":\(vault.masterKeyGeneration)}".utf8))
  }

  /// What is stored of tokens: `[{"route", "subject", "state", "expires"?, "obtained", "generation"}]`. A daemon knows more.
  private func tokens() throws(CommandError) -> Outcome {
    if let desk {
      return Outcome(status: 200, body: try CommandError.wrap { () throws(VaultError) in try desk.list() })
    }
    var text = Buffer()
    text.appendArrayStart()
    let now = Clock.wallMilliseconds() / 1000
    for token in try CommandError.wrap({ () throws(VaultError) in try vault.tokenList() }) {
      let isExpired = token.expiresAt.map { $0 <= now } ?? false
      TokenLine(
        key: TokenKey(route: token.route, subject: token.subject), state: isExpired ? "expired" : "stored",
        obtained: token.obtainedAt, expires: token.expiresAt, generation: token.generation
      ).append(to: &text)
    }
    text.appendArrayEnd()
    return Outcome(status: 200, body: Array(text.span))
  }

  private func dropToken(_ key: TokenKey) throws(CommandError) -> Outcome {
    let isDropped = try CommandError.wrap { () throws(VaultError) in
      guard let desk else { return try vault.removeToken(route: key.route, subject: key.subject) }
      return try desk.drop(key)
    }
    guard isDropped else { throw AdminService.noToken(key) }
    return Outcome(status: 200, body: Array("{}".utf8))
  }

  static func noToken(_ key: TokenKey) -> CommandError {
    CommandError(
      CommandError.Status.data,
      "there is no token of the route \"\(key.route.prefix(128))\" for \"\(key.subject.prefix(128))\"",
      hint: "\"chatelaine token list\" shows all")
  }

  /// The agent's identity document.
  private func identity(_ encoded: Substring) throws(CommandError) -> Outcome {
    let deployment: Deployment
    do throws(DeploymentError) {
      deployment = try Keeper.deployment(of: setup, from: vault)
    } catch {
      throw CommandError(CommandError.Status.configuration, error.message)
    }
    guard let route = deployment.snapshot.route(named: AdminService.decoded(encoded)), let agent = route.agent else {
      throw CommandError(CommandError.Status.configuration, "there is no such route, or it has no agent")
    }
    guard let document = agent.document else {
      let problem = Problem.noKey(route.name)
      throw CommandError(CommandError.Status.data, problem.detail, hint: problem.hint)
    }
    return Outcome(status: 200, body: document)
  }

  /// What cannot be decoded is no secret's name, and is refused as one.
  static func decoded(_ text: Substring) -> String {
    let bytes = Array(text.utf8)
    var decoded = Buffer()
    guard decoded.appendPercentDecoded(bytes.span) else { return String(text) }
    return String(decoded.span)
  }

  // MARK: Problems

  /// An error as the command line reads it (RFC 9457), with the exit status to end with.
  static func problem(_ error: CommandError) -> [UInt8] {
    var text = Buffer()
    text.appendObjectStart()
    text.appendMember("type", "about:blank")
    text.appendMember("status", status(of: error))
    text.appendMember("detail", error.message)
    if let hint = error.hint { text.appendMember("hint", hint) }
    text.appendMember("exit_status", error.exitStatus)
    text.appendObjectEnd()
    return Array(text.span)
  }

  private static func status(of error: CommandError) -> Int {
    switch error.exitStatus {
    case CommandError.Status.usage: 400
    case CommandError.Status.data, CommandError.Status.configuration: 422
    case CommandError.Status.permission: 403
    case CommandError.Status.unavailable: 503
    default: 500
    }
  }
}
