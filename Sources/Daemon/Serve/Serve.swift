import Broker
import CLinux
import Config
import Crypto
import Glibc
import JSON
import Net
import Vault

/// `chatelaine serve`: the daemon, in the foreground, until it is told to stop.
enum Serve {
  /// Why it did not start.
  struct Failure: Error {
    var message: String
    var hint: String?
    var exitStatus: Int32
  }

  /// Runs until SIGTERM or SIGINT.
  /// - Parameter whenReady: called with the listeners' addresses when requests are served.
  static func run(_ setup: Setup, whenReady: ([String]) -> Void = { _ in }) throws(Failure) {
    // Before the first other thread, so that all inherit it.
    Signals.block([SIGTERM, SIGINT, SIGHUP])
    signal(SIGPIPE, SIG_IGN)
    let configuration = setup.configuration
    let log = Log(level: Log.Level(configuration.log.level), isJSON: isJSON(configuration.log.format))
    for warning in setup.warnings { log.say(.warning, "configuration", ("text", warning.rendered)) }
    raiseDescriptorLimit(to: configuration.limits.connections * 2, log)

    let (vault, deployment) = try open(setup)
    let loops = configuration.loops ?? max(1, cores())
    let crew = Crew(log: log, deployment: deployment)
    let doors = try bind(configuration, log)
    do throws(SystemError) {
      let executor = try ThreadExecutor("keeper")
      let keeper = Keeper(vault, setup: setup, deployment: deployment, crew: crew, executor: executor)
      let worker = try crew.start(loops, staysAwake: hasCoresToSpare, deployment: deployment)
      let floor = try Floor(crew: crew, log: log)
      if !floor.knowsTCPPeers {
        log.say(.warning, "the kernel does not tell who calls over TCP: only Unix sockets are served")
      }
      let acceptors = try doors.open(on: worker.loop, floor: floor)
      let signals = try Signals([SIGTERM, SIGINT, SIGHUP], loop: worker.loop) { number in
        if number == SIGHUP { keeper.reload() } else { stop(worker, acceptors, log) }
      }
      crew.open(
        keeper, acceptors.filter { $0.entrance != .admin }.map(\.description),
        browsersReturn: acceptors.first { $0.entrance.takesBrowsers }?.description)
      keeper.begin()
      log.say(
        .info, "ready", ("version", Version.number), ("listen", crew.addresses.joined(separator: " ")),
        ("routes", "\(configuration.routes.count)"), ("loops", "\(loops)"))
      ServiceManager.tell("READY=1")
      whenReady(crew.addresses)
      chatelaine_forget_startup_code()
      worker.loop.run()
      withExtendedLifetime((signals, acceptors)) {}
      keeper.settle()
    } catch {
      throw Failure(message: error.description, exitStatus: 69)
    }
    log.say(.info, "stopped")
  }

  // MARK: Steps

  private static func open(_ setup: Setup) throws(Failure) -> (Vault, Deployment) {
    let vault: Vault
    do throws(VaultError) {
      let store = setup.configuration.store
      vault = try Vault.open(
        path: store.path, source: MasterKeySource(store.key),
        credentialsDirectory: ServiceManager.environment("CREDENTIALS_DIRECTORY"))
    } catch {
      throw Failure(message: error.message, hint: error.hint, exitStatus: error.exitStatus)
    }
    do throws(DeploymentError) {
      return (vault, try Keeper.deployment(of: setup, from: vault))
    } catch {
      throw Failure(message: error.message, exitStatus: error.exitStatus)
    }
  }

  /// No new connections from here on; those that stand finish what they are at.
  private static func stop(_ worker: Worker, _ acceptors: [Acceptor], _ log: Log) {
    guard !worker.isDraining else { return }
    log.say(.info, "stopping", ("connections", "\(worker.crew.budget.total)"))
    ServiceManager.tell("STOPPING=1")
    for acceptor in acceptors { acceptor.close() }
    let mailbox = worker.loop.mailbox
    worker.crew.drain { mailbox.post { $0.stop() } }
    worker.abandon(after: Patience.draining)
  }

  /// Text for people, JSON for machines.
  private static func isJSON(_ format: Configuration.Log.Format) -> Bool {
    switch format {
    case .json: true
    case .text: false
    case .auto: isatty(2) == 0
    }
  }

  /// The cores that the scheduler and the cgroup grant, rounded up.
  private static func cores() -> Int {
    let allowed = Int(chatelaine_allowed_cores())
    // A seccomp filter may forbid the question.
    let count = allowed > 0 ? allowed : sysconf(Int32(_SC_NPROCESSORS_ONLN))
    guard let share = share() else { return count }
    return min(count, max(1, Int(share.rounded(.up))))
  }

  /// The processor time that the cgroup grants, in cores; nil when it grants all there is.
  private static func share() -> Double? {
    guard let text = File.readSystem("/sys/fs/cgroup/cpu.max") else { return nil }
    let words = text.split(separator: " ")
    guard words.count == 2, let quota = Int(words[0]), let period = Int(words[1].prefix { $0.isNumber }), period > 0
    else { return nil }
    return Double(quota) / Double(period)
  }

  /// Whether loops may stay awake for what they await: whoever is to send it has a core beside theirs, and the time is not
  /// taken from a share that is used up by it.
  private static var hasCoresToSpare: Bool { sysconf(Int32(_SC_NPROCESSORS_ONLN)) > 1 && share() ?? 2 >= 2 }

  /// Two descriptors a connection: the client's and its upstream's.
  private static func raiseDescriptorLimit(to wanted: Int, _ log: Log) {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    guard limit.rlim_cur < rlim_t(wanted) else { return }
    limit.rlim_cur = min(rlim_t(wanted), limit.rlim_max)
    unsafe _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    if limit.rlim_cur < rlim_t(wanted) {
      log.say(
        .warning, "fewer file descriptors than the limit of connections needs", ("limit", "\(limit.rlim_cur)"),
        ("wanted", "\(wanted)"))
    }
  }

  // MARK: Listeners

  /// The listeners bound, before any thread is started: what cannot be bound ends the start.
  private struct Doors: ~Copyable {
    private var bound: [Bound] = []

    private final class Bound {
      var listener: Listener?
      let entrance: (UInt16?) -> Entrance

      init(_ listener: consuming Listener, _ entrance: @escaping (UInt16?) -> Entrance) {
        self.listener = consume listener
        self.entrance = entrance
      }
    }

    mutating func add(
      _ address: ListenAddress, inherited: inout [Int32], _ entrance: @escaping (UInt16?) -> Entrance
    ) throws(Failure) {
      do throws(SystemError) {
        bound.append(Bound(try Doors.listener(address, &inherited), entrance))
      } catch {
        throw Doors.failure(address, error)
      }
    }

    private static func failure(_ address: ListenAddress, _ error: SystemError) -> Failure {
      let text = "cannot listen on \(address)"
      return switch error.code {
      case EADDRINUSE:
        Failure(message: "\(text): the address is in use by another process", hint: "chatelaine status", exitStatus: 69)
      case EPERM:
        Failure(
          message:
            "\(text): its directory must be no symbolic link, belong to root or to this user, and be closed to others",
          hint: "chmod o-w on the directory", exitStatus: 77)
      case EACCES: Failure(message: "\(text): \(error.reason)", exitStatus: 77)
      default: Failure(message: "\(text): \(error.reason)", exitStatus: 69)
      }
    }

    /// A socket that the service manager opened at that address, or one of our own.
    private static func listener(_ address: ListenAddress, _ inherited: inout [Int32]) throws(SystemError) -> Listener {
      for (index, number) in inherited.enumerated() {
        guard Listener.isInherited(number, address.socketAddress) else { continue }
        inherited.remove(at: index)
        return try Listener(inherited: number)
      }
      switch address {
      case .tcp: return try Listener(tcp: address.socketAddress)
      case .unix(let path, let mode): return try Listener(unix: path, mode: mode)
      }
    }

    func open(on loop: Loop, floor: Floor) throws(SystemError) -> [Acceptor] {
      var acceptors: [Acceptor] = []
      for one in bound {
        guard let listener = one.listener.take() else { continue }
        acceptors.append(try Acceptor(listener, entrance: one.entrance, loop: loop, floor: floor))
      }
      return acceptors
    }
  }

  private static func bind(_ configuration: Configuration, _ log: Log) throws(Failure) -> Doors {
    var doors = Doors()
    var inherited = ServiceManager.inheritedSockets()
    for address in configuration.listen {
      try doors.add(address, inherited: &inherited) { .data(.everyone(port: $0)) }
    }
    for route in configuration.routes {
      let name = route.name
      for address in route.listen { try doors.add(address, inherited: &inherited) { .data(.route(name, port: $0)) } }
    }
    if let metrics = configuration.metrics {
      try doors.add(metrics, inherited: &inherited) { .data(.metrics(port: $0)) }
    }
    try doors.add(.unix(path: configuration.admin, mode: 0o600), inherited: &inherited) { _ in .admin }
    // Whoever connected to one of these would wait for ever.
    for number in inherited {
      log.say(
        .warning, "the service manager opened a socket that the configuration does not have", ("number", "\(number)"))
      close(number)
    }
    return doors
  }
}

extension ListenAddress {
  var socketAddress: Address {
    switch self {
    case .tcp(let address, let port): Address(literal: address.description, port: port) ?? .unix("")
    case .unix(let path, _): .unix(path)
    }
  }
}

extension MasterKeySource {
  init(_ source: Configuration.KeySource) {
    switch source {
    case .file(let path): self = .file(path)
    case .credential(let name): self = .credential(name)
    case .passphraseFile(let path): self = .passphraseFile(path)
    }
  }
}
