import Bytes
import Config
import Crypto
import JSON
import Net
import Vault

/// The way to the store. While a daemon runs it alone has the store open, and is asked; otherwise the store is opened
/// here, locked against others until the command ends. Both answer alike.
enum StoreAccess {
  case daemon(String)
  case here(AdminService)

  /// - Throws: when the store cannot be opened, with its own reason.
  init(_ setup: Setup) throws(CommandError) {
    if try AdminClient.connect(.unix(setup.configuration.admin))?.hangUp() != nil {
      self = .daemon(setup.configuration.admin)
      return
    }
    let store = setup.configuration.store
    let vault = try CommandError.wrap { () throws(VaultError) in
      try Vault.open(
        path: store.path, source: MasterKeySource(store.key),
        credentialsDirectory: ServiceManager.environment("CREDENTIALS_DIRECTORY"))
    }
    self = .here(AdminService(vault: vault, setup: setup))
  }

  /// Makes the store that the configuration names, if neither it nor a trace of it is there and no daemon runs.
  /// - Returns: whether it was made.
  static func makeFirst(_ setup: Setup) throws(CommandError) -> Bool {
    let store = setup.configuration.store
    guard !Vault.hasTrace(store.path), try AdminClient.connect(.unix(setup.configuration.admin))?.hangUp() == nil else {
      return false
    }
    try CommandError.wrap { () throws(VaultError) in
      let key = try MasterKeySource(store.key).load(
        credentialsDirectory: ServiceManager.environment("CREDENTIALS_DIRECTORY"))
      try Vault.create(path: store.path, key: key, now: Clock.wallMilliseconds() / 1000)
    }
    return true
  }

  /// - Throws: the problem that was answered, as an error with its own exit status.
  func ask(_ method: String, _ path: String, _ body: Secret? = nil) throws(CommandError) -> JSONValue {
    switch self {
    case .daemon(let socket): return try StoreAccess.askDaemon(socket, method, path, body)
    case .here(let service):
      let nothing: [UInt8] = []
      let outcome = service.answer(method: method, path: path, body: body ?? Secret(copying: nothing.span))
      return try StoreAccess.read(outcome.status, outcome.body)
    }
  }

  /// Asks a daemon that has to be there.
  static func askDaemon(
    _ socket: String, _ method: String, _ path: String, _ body: Secret? = nil
  ) throws(CommandError) -> JSONValue {
    guard let client = try AdminClient.connect(.unix(socket)) else {
      throw CommandError(
        CommandError.Status.unavailable, "no daemon listens at \(socket)", hint: "\"chatelaine serve\" starts one")
    }
    let answer = try client.ask(method, path, body)
    return try read(answer.status, answer.body)
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
    path.appendPercentEncoded(Array(secret.utf8).span, keeping: .unreserved)
    return String(path.span)
  }
}
