import Bytes
import Config
import Crypto
import JSON
import Net
import Vault

/// The way to the store. While a daemon runs it alone has the store open, and is asked; otherwise the store is opened
/// here, locked against others until the command ends. Both answer alike.
enum StoreAccess {
  case daemon(Setup)
  case here(AdminService)

  /// - Parameter whenMade: called if the store had to be made; nil to refuse one that is missing. One that left a trace is
  ///   missing: an empty one would hide that.
  /// - Throws: when the store cannot be opened, with its own reason, or when the daemon has another.
  init(_ setup: Setup, whenMade: (() -> Void)? = nil) throws(CommandError) {
    let store = setup.configuration.store
    if let client = try StoreAccess.connect(setup) {
      let answer = try client.ask("GET", "/status")
      let theirs = try StoreAccess.read(answer.status, answer.body)["store"]?.string ?? "none"
      guard Vault.isSamePath(theirs, store.path) else {
        throw CommandError(
          CommandError.Status.configuration,
          "the daemon at \(setup.configuration.admin) has the store \(theirs), the configuration says \(store.path)",
          hint: "nothing was changed; give each daemon an \"admin\" of its own")
      }
      self = .daemon(setup)
      return
    }
    let vault = try CommandError.wrap { () throws(VaultError) in
      let source = MasterKeySource(store.key)
      let key = try source.load(credentialsDirectory: ServiceManager.environment("CREDENTIALS_DIRECTORY"))
      if let whenMade, !Vault.hasTrace(store.path) {
        try Vault.create(path: store.path, key: key, now: Clock.wallMilliseconds() / 1000)
        whenMade()
      }
      return try Vault.open(path: store.path, source: source, key: key)
    }
    self = .here(AdminService(vault: vault, setup: setup))
  }

  /// - Throws: the problem that was answered, as an error with its own exit status.
  func ask(_ method: String, _ path: String, _ body: Secret? = nil) throws(CommandError) -> JSONValue {
    switch self {
    case .daemon(let setup): return try StoreAccess.askDaemon(setup, method, path, body)
    case .here(let service):
      let nothing: [UInt8] = []
      let outcome = service.answer(method: method, path: path, body: body ?? Secret(copying: nothing.span))
      return try StoreAccess.read(outcome.status, outcome.body)
    }
  }

  /// Asks a daemon that has to be there.
  static func askDaemon(
    _ setup: Setup, _ method: String, _ path: String, _ body: Secret? = nil
  ) throws(CommandError) -> JSONValue {
    guard let client = try connect(setup) else {
      throw CommandError(
        CommandError.Status.unavailable, "no daemon listens at \(setup.configuration.admin)",
        hint: "\"chatelaine serve\" starts one")
    }
    let answer = try client.ask(method, path, body)
    return try read(answer.status, answer.body)
  }

  private static func connect(_ setup: Setup) throws(CommandError) -> AdminClient? {
    try AdminClient.connect(.unix(setup.configuration.admin), store: setup.configuration.store.path)
  }

  private static func read(_ status: Int, _ body: [UInt8]) throws(CommandError) -> JSONValue {
    guard let value = try? JSONReader.parse(body) else {
      throw CommandError(CommandError.Status.unavailable, "the answer (status \(status)) cannot be read")
    }
    guard (200...299).contains(status) else {
      throw CommandError(
        Int32(truncatingIfNeeded: value["exit_status"]?.int ?? Int(CommandError.Status.unavailable)),
        value["detail"]?.string ?? "status \(status)", hint: value["hint"]?.string)
    }
    return value
  }

  /// A secret's place in the admin API.
  static func path(of secret: String) -> String {
    var path = Buffer()
    path.append("/secrets/")
    path.appendPercentEncoded(Array(secret.utf8).span)
    return String(path.span)
  }
}
