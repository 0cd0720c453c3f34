public import Connector
public import JSON

extension Configuration {
  /// Reads a configuration file.
  ///
  /// - Parameter catalog: gives the connectors, built in and from the directories that the file names; its mistakes are
  ///   among those returned.
  /// - Returns: everything that is wrong, in the order of the text; a configuration unless one of it is an error.
  public static func read(
    _ source: Source, catalog: (_ directories: [String]) -> Catalog
  ) -> (configuration: Configuration?, diagnostics: [Diagnostic]) {
    let report = Report(source)
    let limits = JSONLimits(bytes: 1 << 20, depth: 16)
    let (value, mistakes) = JSONReader.read(source, dialect: .jsonc, limits: limits)
    if !mistakes.isEmpty {
      for mistake in JSONReader.read(report.source, dialect: .jsonc, limits: limits).1 { report.add(mistake) }
    }
    var configuration: Configuration?
    if let value {
      var reader = ConfigurationReader(report)
      configuration = reader.read(value, catalog)
    }
    return (report.hasErrors ? nil : configuration, Diagnostic.sorted(report.diagnostics))
  }
}

/// Reads the top level; what belongs to a route is `RouteReader`'s.
struct ConfigurationReader {
  let report: Report
  /// Everything that is to be bound, with where it was said.
  private var bound: [(address: ListenAddress, value: JSONValue)] = []

  init(_ report: Report) {
    self.report = report
  }

  mutating func read(_ value: JSONValue, _ catalog: (_ directories: [String]) -> Catalog) -> Configuration? {
    guard var file = Section(value, title: "", report) else { return nil }
    if let version = file.required("version", example: "1") { check(version: version) }
    let listen = file.optional("listen").map { listeners($0) }
    let admin = file.optional("admin").flatMap { self.admin($0) }
    let store = file.required("store", example: "{ \"path\": …, \"key\": { \"file\": … } }").flatMap { self.store($0) }
    let callers = file.optional("callers")
    let callerNames = callers.map { CallerRules.callers($0, report) } ?? []
    let routes = file.required("routes", example: "{}")
    let loops = file.optional("loops").flatMap { self.loops($0) }
    let log = file.optional("log").flatMap { self.log($0) }
    let metrics = file.optional("metrics").flatMap { self.metrics($0) }
    let directories = file.optional("connectors").map { self.directories($0) } ?? []
    let limits = file.optional("limits").flatMap { LimitsReader(report).read($0) }
    file.finish()

    let connectors = catalog(directories)
    for diagnostic in connectors.diagnostics { report.add(diagnostic) }
    var read: [RouteReader.Outcome] = []
    if let routes, let members = Section(routes, title: "\"routes\"", report)?.value.members {
      for member in members {
        guard let outcome = RouteReader(report, connectors, callerNames).read(member) else { continue }
        bound += outcome.listen
        read.append(outcome)
      }
    }
    checkBound()
    let standard = [IPAddress("127.0.0.1").map { ListenAddress.tcp($0, port: 7220) }].compactMap { $0 }
    AuthorityCheck(report).run(read, bound.map(\.address) + (listen == nil ? standard : []))
    checkStoredNames(read)
    guard let store else { return nil }
    return Configuration(
      listen: listen ?? standard,
      admin: admin ?? "/run/chatelaine/admin.sock", store: store, routes: read.map(\.route), loops: loops ?? nil,
      log: log ?? Configuration.Log(),
      metrics: metrics, connectors: directories, limits: limits ?? Configuration.Limits())
  }

  private func check(version: JSONMember) {
    guard case .number = version.value.kind else {
      let _: Int? = report.wrongKind(version, "a number", help: "write \"version\": 1")
      return
    }
    if version.value.int != 1 {
      report.error("this program reads version 1 of the configuration", at: version.value)
    }
  }

  private mutating func listeners(_ member: JSONMember) -> [ListenAddress] {
    let found = ListenReader(report).listeners(member)
    bound += found
    if found.isEmpty, member.value.array?.isEmpty == true {
      report.error("\"listen\" is empty: nothing could connect", at: member.value)
    }
    return found.map(\.address)
  }

  private mutating func admin(_ member: JSONMember) -> String? {
    guard var section = Section(member, title: "\"admin\"", report) else { return nil }
    let unix = section.required("unix", example: "\"/run/chatelaine/admin.sock\"")
    section.finish()
    guard let unix, let path = report.path(unix, limit: ListenReader.longestSocketPath) else { return nil }
    bound.append((.unix(path: path, mode: 0o600), unix.value))
    return path
  }

  private func store(_ member: JSONMember) -> Configuration.Store? {
    guard var section = Section(member, title: "\"store\"", report) else { return nil }
    let path = section.required("path", example: "\"/var/lib/chatelaine/store.db\"").flatMap { report.path($0) }
    let key = section.required("key", example: "{ \"file\": \"/etc/chatelaine/master.key\" }").flatMap { keySource($0) }
    section.finish()
    guard let path, let key else { return nil }
    return Configuration.Store(path: path, key: key)
  }

  private func keySource(_ member: JSONMember) -> Configuration.KeySource? {
    guard var section = Section(member, title: "the store's \"key\"", report) else { return nil }
    let given = [section.optional("file"), section.optional("credential"), section.optional("passphrase_file")]
    let errorsBefore = report.diagnostics.count
    section.finish()
    guard given.compactMap({ $0 }).count == 1 else {
      if report.diagnostics.count == errorsBefore {
        report.error(
          "the key comes from exactly one place", atKey: member,
          help: "one of { \"file\": … }, { \"credential\": … } and { \"passphrase_file\": … }")
      }
      return nil
    }
    if let file = given[0] { return report.path(file).map { .file($0) } }
    if let file = given[2] { return report.path(file).map { .passphraseFile($0) } }
    guard let credential = given[1], let name = report.string(credential) else { return nil }
    guard !name.utf8.contains(UInt8(ascii: "/")), name != ".", name != ".." else {
      report.error(
        "a credential is a name, not a path", at: credential.value, help: "systemd's LoadCredential= names it")
      return nil
    }
    return .credential(name)
  }

  /// nil after a mistake, nil inside for `auto`.
  private func loops(_ member: JSONMember) -> Int?? {
    if let text = member.value.string {
      if text == "auto" { return .some(nil) }
      report.error("\"loops\" is \"auto\" or a number", at: member.value)
      return nil
    }
    return report.integer(member, in: 1...256).map { .some($0) }
  }

  private func log(_ member: JSONMember) -> Configuration.Log? {
    guard var section = Section(member, title: "\"log\"", report) else { return nil }
    var log = Configuration.Log()
    if let level = section.optional("level").flatMap({ report.choice($0, Configuration.Log.Level.self) }) {
      log.level = level
    }
    if let format = section.optional("format").flatMap({ report.choice($0, Configuration.Log.Format.self) }) {
      log.format = format
    }
    section.finish()
    return log
  }

  private mutating func metrics(_ member: JSONMember) -> ListenAddress? {
    guard var section = Section(member, title: "\"metrics\"", report) else { return nil }
    let tcp = section.required("tcp", example: "\"127.0.0.1:7221\"")
    section.finish()
    guard let tcp, let address = ListenReader(report).tcp(tcp, isForPrograms: false) else { return nil }
    bound.append((address, tcp.value))
    return address
  }

  private func directories(_ member: JSONMember) -> [String] {
    guard let elements = report.array(member) else { return [] }
    return elements.compactMap { report.path(JSONMember("connectors", $0)) }
  }

  /// What a server said to one route's agent must not go out as another's secret, nor be overwritten by one.
  private func checkStoredNames(_ outcomes: [RouteReader.Outcome]) {
    for owner in outcomes {
      for name in owner.storedNames {
        for user in outcomes where user.route.secretNames.contains(name) {
          report.error(
            "a secret of route \"\(user.route.name)\" has the name under which \"\(owner.route.name)\" keeps what its agent is told",
            at: user.upstream, help: "give the secret another name")
        }
      }
    }
  }

  /// No two listeners may want one address.
  private func checkBound() {
    for (index, second) in bound.enumerated() {
      guard let first = bound[..<index].first(where: { $0.address.collides(with: second.address) }) else { continue }
      report.error(
        "\(second.address) is already listened on by \(first.value.position.lineAndColumn)", at: second.value)
    }
  }
}
