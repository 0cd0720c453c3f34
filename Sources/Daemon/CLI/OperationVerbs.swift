import Bytes
import Config
import JSON
import Net

extension Verb {
  static let serve = Verb(
    name: "serve", summary: "the daemon, in the foreground",
    details: """
      SIGHUP, or "chatelaine reload", reads the configuration again; a wrong one changes nothing. SIGTERM lets what is under way
      finish, and exits 0. Under systemd it takes its sockets over, says when it is ready, and reads LoadCredential= keys.
      """
  ) { invocation, _ throws(CommandError) in
    let setup = try invocation.setup()
    do throws(Serve.Failure) {
      try Serve.run(setup)
    } catch {
      throw CommandError(error)
    }
  }

  static let demo = Verb(
    name: "demo", summary: "everything at once, to try: a throw-away store, an echo upstream, curl lines",
    details: "Needs no account and no network. Ctrl-C ends it and leaves nothing behind."
  ) { _, _ throws(CommandError) in
    do throws(Serve.Failure) {
      try Demo.run()
    } catch {
      throw CommandError(error)
    }
  }

  static let status = Verb(
    name: "status", printsData: true, summary: "how the running daemon is doing",
    details: "Exit status 69 when no daemon runs on this configuration."
  ) { invocation, console throws(CommandError) in
    let setup = try invocation.setup()
    let answer = try StoreAccess.askDaemon(setup, "GET", "/status")
    if invocation.isJSON { return console.show(answer) }
    func text(_ key: String, of value: JSONValue) -> String {
      switch value[key]?.kind {
      case .string(let text), .number(let text): text
      case .array(let elements): elements.compactMap(\.string).joined(separator: " ")
      default: "-"
      }
    }
    var started = Buffer()
    started.appendISO8601(Int64(answer["started"]?.int ?? 0))
    console.table([
      ["version", text("version", of: answer)], ["pid", text("pid", of: answer)], ["since", String(started.span)],
      ["config", text("config", of: answer)], ["listen", text("listen", of: answer)],
      ["connections", text("connections", of: answer)], ["loops", text("loops", of: answer)],
    ])
    let routes = answer["routes"]?.array ?? []
    guard !routes.isEmpty else { return }
    console.show()
    let keys = ["name", "connector", "upstream", "exchanges", "problems", "idle_connections"]
    console.table(
      [["ROUTE", "CONNECTOR", "UPSTREAM", "EXCHANGES", "PROBLEMS", "IDLE"]]
        + routes.map { route in
          keys.map { text($0, of: route) }
        })
    showAgents(routes, console)
  }

  static let reload = Verb(
    name: "reload", summary: "have the daemon read its configuration again",
    details: "All of it or, when it is wrong, nothing: then the mistakes are printed and the old configuration stays."
  ) { invocation, console throws(CommandError) in
    // Wrong here is wrong there: it is told without asking.
    let setup = try invocation.setup()
    let answer = try StoreAccess.askDaemon(setup, "POST", "/reload")
    console.show("reloaded: \(Verb.count(answer["routes"]?.int ?? 0, "route"))")
  }

  static let healthcheck = Verb(
    name: "healthcheck", summary: "exit 0 if the daemon serves requests, 69 if not",
    details: "For containers and scripts: asks GET /-/readyz on the first listener, as a program would."
  ) { invocation, console throws(CommandError) in
    let setup = try invocation.setup()
    guard let address = setup.configuration.listen.first?.socketAddress,
      let client = try AdminClient.connect(address, store: nil)
    else { throw CommandError(CommandError.Status.unavailable, "no daemon listens") }
    let status = try client.ask("GET", "/-/readyz").status
    guard status == 200 else {
      throw CommandError(CommandError.Status.unavailable, "the daemon is not ready (status \(status))")
    }
    console.show("ready")
  }

  static let version = Verb(
    name: "version", printsData: true, summary: "print the version"
  ) { invocation, console throws(CommandError) in
    console.show(invocation.isJSON ? "{\"version\":\"\(Version.number)\"}" : "chatelaine \(Version.number)")
  }

  static let helpVerb = Verb(
    name: "help", operands: "[VERB]", operandCount: 0...2, summary: "say what a verb is about"
  ) { _, _ throws(CommandError) in }

  /// In the order of the help.
  static let all: [Verb] =
    [
      demo, initialise, secretSet, secretList, secretRemove, keyGenerate, keyRotate, tokenList, tokenDrop, login,
      logout,
    ] + agentVerbs + [check, explain, serve, status, reload, healthcheck, version, helpVerb]
}
