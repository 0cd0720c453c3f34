import Bytes
import Config
import Connector
import Glibc
import JSON
import Vault

extension Verb {
  static let initialise = Verb(
    name: "init",
    options: [
      Option(name: "--connector", value: "NAME", about: "of the first route (codegate)"),
      Option(name: "--upstream", value: "URL", about: "of the first route (https://api.example.com)"),
    ],
    summary: "make a master key, an encrypted store and a commented configuration",
    details: """
      Makes what is not there yet and overwrites nothing. With a configuration that is there already it makes the key and the
      store that this one names. For root everything is where a service has it (/etc, /var/lib, /run), for other users below
      ~/.config and ~/.local/state, and with --config FILE beside that file.

        chatelaine init
        chatelaine init --connector bearer --upstream https://api.vendor.example/v1
      """
  ) { invocation, console throws(CommandError) in
    let installation = try Installation(invocation)
    var made = false
    let isNew = unsafe access(installation.config, F_OK) != 0
    let text = isNew ? try installation.text() : ""
    let setup: Setup
    do throws(SetupError) {
      setup = try isNew ? Setup.checked(installation.config, Array(text.utf8)) : Setup.read(installation.config)
    } catch {
      throw CommandError(error)
    }
    // The configuration comes last: until it is there, a second run finishes a first that was interrupted.
    let store = setup.configuration.store
    if unsafe access(store.path, F_OK) != 0, Vault.hasTrace(store.path) {
      throw CommandError(
        CommandError.Status.configuration, "there is no store at \(store.path), but what one left lies beside it",
        hint: "restore it from a backup; to start anew, remove \(store.path).lock and what else is named after it")
    }
    if case .file(let key) = store.key, unsafe access(key, F_OK) != 0 {
      // A new key would not open it.
      guard !Vault.hasTrace(store.path) else {
        throw CommandError(
          CommandError.Status.configuration, "there is no key at \(key), but a store at \(store.path)",
          hint: "restore the key: without it the store cannot be read")
      }
      try installation.makeDirectory(of: key)
      try CommandError.wrap { () throws(VaultError) in try MasterKeySource.generateFile(key) }
      console.show("made \(key): the master key; keep a copy where the store's backups are not")
      made = true
    }
    if unsafe access(store.path, F_OK) != 0 {
      try installation.makeDirectory(of: store.path)
      try CommandError.wrap { () throws(VaultError) in
        let key = try MasterKeySource(store.key).load(
          credentialsDirectory: ServiceManager.environment("CREDENTIALS_DIRECTORY"))
        try Vault.create(path: store.path, key: key, now: Int64(time(nil)))
      }
      console.show("made \(store.path): the store, empty")
      made = true
    }
    if isNew {
      for path in setup.configuration.socketPaths { try installation.makeDirectory(of: path) }
      try installation.makeDirectory(of: installation.config)
      try installation.write(text)
      console.show("made \(installation.config): the configuration; it is yours to edit")
      made = true
    }
    guard made else {
      throw CommandError(
        CommandError.Status.inputOutput, "\(installation.config) is already there, and so are its key and its store",
        hint: "nothing was changed; \"chatelaine check\" says whether all is well")
    }
    installation.showNext(setup, console)
  }
}

extension Configuration {
  /// Every Unix socket that will be bound.
  fileprivate var socketPaths: [String] {
    let listeners = listen + routes.flatMap(\.listen)
    return [admin] + listeners.compactMap { if case .unix(let path, _) = $0 { path } else { nil } }
  }
}

/// Where the parts of a new installation go, and what its configuration says.
private struct Installation {
  let config: String
  private let settings: String
  private let state: String
  private let runtime: String
  private let connector: String
  private let upstream: String
  private let verb: Verb

  init(_ invocation: Invocation) throws(CommandError) {
    verb = invocation.verb
    connector = invocation.options["--connector"] ?? "codegate"
    upstream = invocation.options["--upstream"] ?? "https://api.example.com"
    if let named = invocation.options["--config"] ?? ServiceManager.environment("CHATELAINE_CONFIG") {
      config = try Installation.absolute(named)
      settings = Installation.directory(of: config)
      state = settings + "/state"
      runtime = settings + "/run"
    } else if geteuid() == 0 {
      settings = "/etc/chatelaine"
      state = "/var/lib/chatelaine"
      runtime = "/run/chatelaine"
      config = settings + "/chatelaine.jsonc"
    } else {
      guard let config = Setup.places().first, config.hasPrefix("/"), config != "/etc/chatelaine/chatelaine.jsonc"
      else {
        throw CommandError(CommandError.Status.usage, "HOME is not set", hint: "name the place with --config FILE")
      }
      self.config = config
      settings = Installation.directory(of: config)
      let home = ServiceManager.environment("HOME") ?? ""
      state = (ServiceManager.environment("XDG_STATE_HOME") ?? home + "/.local/state") + "/chatelaine"
      runtime = state
    }
  }

  /// The commented example with a first route.
  func text() throws(CommandError) -> String {
    guard let connector = Catalog()[connector] else {
      let names = Catalog().names
      let meant = closest(to: connector, among: names).map { "did you mean \"\($0)\"?" }
      throw CommandError(
        CommandError.Status.usage, "there is no such connector",
        hint: meant ?? "built in are \(names.joined(separator: ", "))")
    }
    if let option = connector.options.first(where: \.required) {
      throw CommandError.usage("\(connector.name) needs the option \(option.name): write that route by hand", verb)
    }
    let example = Configuration.example(runtime: runtime, state: state, settings: settings)
    let template = """
          // "codegate": {
          //   "connector": "codegate",
          //   "upstream": "https://api.example.com",
          // },

      """
    var route = Buffer()
    route.append("    \"\(connector.name)\": {\n      \"connector\": \"\(connector.name)\",\n      \"upstream\": ")
    route.appendJSON(upstream)
    route.append(",\n    },\n")
    let parts = example.split(separator: template, maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2 else { return example }
    return parts[0] + String(route.span) + parts[1]
  }

  /// The configuration appears whole under its name, and never in another's place.
  func write(_ text: String) throws(CommandError) {
    let temporary = "\(config).\(getpid()).new"
    let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw failure(temporary) }
    defer {
      close(descriptor)
      unsafe unlink(temporary)
    }
    let bytes = Array(text.utf8)
    guard unsafe Glibc.write(descriptor, bytes, bytes.count) == bytes.count, fsync(descriptor) == 0,
      unsafe link(temporary, config) == 0
    else { throw failure(config) }
  }

  /// Makes the directories that a file will lie in, for the owner alone.
  func makeDirectory(of path: String) throws(CommandError) {
    let directory = Installation.directory(of: path)
    if unsafe access(directory, F_OK) == 0 { return }
    try makeDirectory(of: directory)
    guard unsafe mkdir(directory, 0o700) == 0 || errno == EEXIST else { throw failure(directory) }
  }

  private func failure(_ path: String) -> CommandError {
    let code = errno
    return CommandError(
      code == EACCES || code == EPERM || code == EROFS
        ? CommandError.Status.permission : CommandError.Status.inputOutput,
      "\(path): \(reason(code))", hint: geteuid() == 0 ? nil : "choose another place with --config FILE")
  }

  /// The next two commands.
  func showNext(_ setup: Setup, _ console: Console) {
    let isFound = Setup.places().first { unsafe access($0, F_OK) == 0 } == config
    let suffix = isFound ? "" : " --config \(Installation.quoted(config))"
    let secrets = Set(setup.configuration.routes.flatMap(\.secretNames)).sorted()
    console.show("\nNext:\n")
    console.show("  chatelaine secret set \(secrets.first ?? "NAME")\(suffix)")
    console.show("  chatelaine serve\(suffix)")
    if secrets.count > 1 { console.show("\nand so with \(secrets.dropFirst().joined(separator: ", ")).") }
  }

  // MARK: Paths

  private static func directory(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")), slash != path.startIndex else { return "/" }
    return String(path[..<slash])
  }

  private static func absolute(_ path: String) throws(CommandError) -> String {
    if path.hasPrefix("/") { return path }
    guard let directory = unsafe getcwd(nil, 0) else {
      throw CommandError(CommandError.Status.inputOutput, "the current directory: \(reason())")
    }
    defer { unsafe free(directory) }
    return unsafe String(cString: directory) + "/" + path
  }

  /// For a shell.
  private static func quoted(_ path: String) -> String {
    let plain = ByteSet.unreserved.union(ByteSet("/+,@%"))
    if path.utf8.allSatisfy({ plain.contains($0) }) { return path }
    return "'" + path.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
  }
}
