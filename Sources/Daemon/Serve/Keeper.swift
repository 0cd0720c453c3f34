import Broker
import Config
import Connector
import Crypto
import Glibc
import JSON
import Net
import Vault

/// Owns the store and the configuration in force. All that is slow or rare happens here, one thing at a time, on a thread
/// of its own: SQLite, scrypt, reading files. Loops only ever see the deployments that it makes.
actor Keeper {
  let executor: ThreadExecutor
  let crew: Crew
  let desk: TokenDesk
  let logins: LoginDesk
  let agents: AgentDesk
  private let vault: Vault
  private var setup: Setup
  private var callsUnderWay = 0

  nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe executor.asUnownedSerialExecutor() }

  init(_ vault: sending Vault, setup: Setup, deployment: Deployment, crew: Crew, executor: ThreadExecutor) {
    self.vault = vault
    desk = TokenDesk(vault, crew) { crew.keeper?.call($0, $1) }
    desk.adopt(deployment)
    logins = LoginDesk(vault, crew, desk)
    agents = AgentDesk(vault, crew, desk)
    self.setup = setup
    self.crew = crew
    self.executor = executor
  }

  /// An answer for the admin socket: a status and JSON.
  struct Answer: Sendable {
    var status: Int
    var body: [UInt8]
  }

  /// Works out an answer for the admin socket, and hands it to `reply` on the keeper's thread.
  nonisolated func answer(
    _ method: String, _ path: String, _ body: Secret, _ reply: @escaping @Sendable (Answer) -> Void
  ) {
    Task(executorPreference: executor) { reply(await self.answer(method, path, body)) }
  }

  private func answer(_ method: String, _ path: String, _ body: Secret) async -> Answer {
    switch (method, path) {
    case ("POST", "/reload"): return await reloadAnswer()
    case ("GET", "/status"): return await status()
    case ("POST", _) where path.hasPrefix("/tokens/"): return await token(path)
    case (_, _) where path.hasPrefix("/logins/"): return await login(method, path, body)
    case ("POST", _) where path.hasPrefix("/ath/"): return await agent(path, body)
    default: break
    }
    let outcome = AdminService(vault: vault, setup: setup, desk: desk).answer(method: method, path: path, body: body)
    if outcome.changesSecrets {
      do throws(DeploymentError) {
        try await deploy(setup, readsFilesAnew: false)
      } catch {
        crew.log.say(.error, "a secret was changed but the routes cannot read it", ("reason", error.message))
      }
    }
    return Answer(status: outcome.status, body: outcome.body)
  }

  /// Has a token fetched if there is none that is good.
  private func token(_ path: String) async -> Answer {
    let names = path.split(separator: "/").dropFirst().map(AdminService.decoded)
    guard names.count == 2 else { return Answer(status: 404, body: Array("{}".utf8)) }
    let problem = await withCheckedContinuation { (continuation: CheckedContinuation<Problem?, Never>) in
      desk.wanted(TokenKey(route: names[0], subject: names[1]), refused: 0) { continuation.resume(returning: $0) }
    }
    guard let problem else { return Answer(status: 200, body: Array("{}".utf8)) }
    return Answer(
      status: 503,
      body: AdminService.problem(CommandError(CommandError.Status.unavailable, problem.detail, hint: problem.hint)))
  }

  /// Waits until all that was asked is done, and leaves a store whose file is whole by itself.
  nonisolated func settle() {
    let isDone = Lock(false)
    Task(executorPreference: executor) {
      await self.checkpoint()
      isDone.signal { $0 = true }
    }
    isDone.wait { $0 ? () : nil }
  }

  private func checkpoint() async {
    // Their answers are here; those who asked have yet to take them.
    let patience = Clock.milliseconds() + 2000
    while callsUnderWay > 0, Clock.milliseconds() < patience { await Task.yield() }
    desk.flush()
    do throws(VaultError) {
      try vault.checkpoint()
    } catch {
      crew.log.say(.warning, "the write-ahead log stays beside the store", ("reason", error.message))
    }
  }

  /// Asks an endpoint of a vendor. The daemon does not end before there is an answer, or certainly none.
  func ask(_ request: EndpointRequest) async -> Result<EndpointAnswer, EndpointFailure> {
    callsUnderWay += 1
    defer { callsUnderWay -= 1 }
    return await crew.call(request)
  }

  // MARK: Deployments

  /// Reads the configuration again and puts it in force; a wrong one changes nothing.
  nonisolated func reload() {
    Task(executorPreference: executor) { _ = await self.reloadAnswer() }
  }

  private func reloadAnswer() async -> Answer {
    do throws(ReloadError) {
      let new: Setup
      do throws(SetupError) {
        new = try Setup.read(setup.path)
      } catch {
        throw .setup(error)
      }
      if let key = Keeper.fixedDifference(setup.configuration, new.configuration) { throw .needsRestart(key) }
      do throws(DeploymentError) {
        if setup.configuration.store.key != new.configuration.store.key { try checkKey(new) }
        try await deploy(new, readsFilesAnew: true)
      } catch {
        throw .deployment(error)
      }
      crew.log.say(.info, "reloaded", ("routes", "\(new.configuration.routes.count)"))
      crew.reloaded(done: true)
      return Answer(status: 200, body: Array("{\"reloaded\":true,\"routes\":\(new.configuration.routes.count)}\n".utf8))
    } catch {
      crew.log.say(.error, "the new configuration is refused, the old one stays in force", ("reason", error.message))
      crew.reloaded(done: false)
      return Answer(status: 422, body: AdminService.problem(CommandError(error.exitStatus, error.message)))
    }
  }

  private enum ReloadError: Error {
    case setup(SetupError)
    case deployment(DeploymentError)
    case needsRestart(String)

    var message: String {
      switch self {
      case .setup(let error): error.message
      case .deployment(let error): error.message
      case .needsRestart(let key): "\"\(key)\" can only change with a restart"
      }
    }

    var exitStatus: Int32 {
      switch self {
      case .setup(let error): error.exitStatus
      case .deployment(let error): error.exitStatus
      case .needsRestart: 78
      }
    }
  }

  /// The key whose change a running daemon cannot follow: what it has bound, opened or started.
  private static func fixedDifference(_ old: Configuration, _ new: Configuration) -> String? {
    if old.listen != new.listen { return "listen" }
    if old.admin != new.admin { return "admin" }
    if old.store.path != new.store.path { return "store.path" }
    if old.loops != new.loops { return "loops" }
    if old.log.format != new.log.format { return "log.format" }
    if old.metrics != new.metrics { return "metrics" }
    let (before, after) = (old, new)
    func own(_ configuration: Configuration) -> [String: [ListenAddress]] {
      var listeners: [String: [ListenAddress]] = [:]
      for route in configuration.routes where !route.listen.isEmpty { listeners[route.name] = route.listen }
      return listeners
    }
    return own(before) == own(after) ? nil : "routes.….listen"
  }

  /// After a rotation the configuration names another key, which must open the store at the next start.
  private func checkKey(_ setup: Setup) throws(DeploymentError) {
    do throws(VaultError) {
      try vault.check(
        MasterKeySource(setup.configuration.store.key).load(
          credentialsDirectory: ServiceManager.environment("CREDENTIALS_DIRECTORY")))
    } catch {
      throw .vault(error)
    }
  }

  /// Has the routes take what was stored for them meanwhile.
  func deployStored() async throws(DeploymentError) { try await deploy(setup, readsFilesAnew: false) }

  /// Returns when the deployment is in force in every loop: whoever asked for it may rely on it.
  private func deploy(_ setup: Setup, readsFilesAnew: Bool) async throws(DeploymentError) {
    let deployment = try Keeper.deployment(of: setup, from: vault, readsFilesAnew: readsFilesAnew)
    // Before waiting: what is asked meanwhile must start from this configuration.
    self.setup = setup
    desk.adopt(deployment)
    await crew.adopt(deployment)
    desk.publishReshaped()
    crew.log.set(level: Log.Level(setup.configuration.log.level))
  }

  /// What a configuration comes to with the secrets that are stored.
  static func deployment(
    of setup: Setup, from vault: Vault, readsFilesAnew: Bool = true
  ) throws(DeploymentError) -> Deployment {
    var stored: [String: Secret] = [:]
    do throws(VaultError) {
      for route in setup.configuration.routes {
        var names = route.secretNames
        if setup.catalog[route.connector]?.handshake != nil {
          names += Handshake.storedNames(route.name)
        }
        for name in names where stored[name] == nil { stored[name] = try vault.secret(name) }
      }
    } catch {
      throw .vault(error)
    }
    do throws(OptionError) {
      return try Deployment(setup.configuration, catalog: setup.catalog, stored: stored, readsFilesAnew: readsFilesAnew)
    } catch {
      throw .option(error)
    }
  }

  // MARK: Status

  private func status() async -> Answer {
    let crew = self.crew
    let setup = self.setup
    let numbers = await withCheckedContinuation { continuation in
      crew.numbers { continuation.resume(returning: $0) }
    }
    return Answer(status: 200, body: Status.json(setup, numbers, crew: crew, agents: agents))
  }
}

/// Why a configuration that was checked cannot be put in force.
enum DeploymentError: Error {
  case vault(VaultError)
  case option(OptionError)

  var message: String {
    switch self {
    case .vault(let error): error.message
    case .option(let error): error.message
    }
  }

  /// Of sysexits.h.
  var exitStatus: Int32 {
    switch self {
    case .vault(let error): error.exitStatus
    case .option: 78
    }
  }
}

extension Log.Level {
  init(_ level: Configuration.Log.Level) {
    switch level {
    case .debug: self = .debug
    case .info: self = .info
    case .warn: self = .warning
    case .error: self = .error
    }
  }
}
