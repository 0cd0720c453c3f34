import Bytes
import Config
import Connector
import Crypto
import JSON
import Vault

extension Verb {
  static let secretSet = Verb(
    name: "secret set", operands: "NAME", operandCount: 1...1,
    options: [Option(name: "--from-file", value: "FILE", about: "read the value from a file")],
    summary: "store a secret, or its next version",
    details: """
      The value comes from a prompt that shows nothing, from a pipe, or from a file; never from an argument, where ps and the
      shell's history would have it. One line end behind it is dropped. A running daemon uses it from the next request on.

      A route looks for <route>/<parameter> unless its "secrets" say otherwise. The first secret makes the store, if there
      is no trace of an earlier one.

        chatelaine secret set codegate/api_key
        pass show codegate | chatelaine secret set codegate/secret
        chatelaine secret set vendor/client_key --from-file client.pem
      """
  ) { invocation, console throws(CommandError) in
    let name = invocation.operands[0]
    guard Vault.isSecretName(name) else {
      throw CommandError.usage(
        "that cannot be a secret's name: it has letters, digits and . _ - in parts joined by /", invocation.verb)
    }
    let setup = try invocation.setup()
    let value = try SecretSource.read(file: invocation.options["--from-file"], name: name, console)
    guard !value.isEmpty else {
      throw CommandError(CommandError.Status.data, "the value for \(name) is empty", hint: "nothing was stored")
    }
    let access = try StoreAccess(setup) { console.tell("made \(setup.configuration.store.path): the store") }
    let answer = try access.ask("PUT", StoreAccess.path(of: name), value)
    console.show("stored \(name), version \(answer["version"]?.int ?? 0)")
    let routes = setup.configuration.routes.filter { $0.secretNames.contains(name) }.map(\.name)
    if routes.isEmpty { console.tell("no route uses it yet") }
  }

  static let secretList = Verb(
    name: "secret list", printsData: true, summary: "name the secrets, their versions and when they were stored",
    details: """
      Nothing prints a value; the sizes are rounded up to blocks. A name that a route needs and that is not stored is listed too.
      """
  ) { invocation, console throws(CommandError) in
    let setup = try invocation.setup()
    let answer = try StoreAccess(setup).ask("GET", "/secrets")
    if invocation.isJSON { return console.show(answer) }
    var users: [String: [String]] = [:]
    for route in setup.configuration.routes {
      for name in route.secretNames { users[name, default: []].append(route.name) }
    }
    var rows = [["NAME", "VERSION", "STORED", "ROUTES"]]
    for secret in answer.array ?? [] {
      let name = secret["name"]?.string ?? ""
      rows.append([
        name, "\(secret["version"]?.int ?? 0)", timeText(secret["updated"]?.int ?? 0),
        users.removeValue(forKey: name)?.joined(separator: ", ")
          ?? setup.agentRoute(keeping: name) ?? "-",
      ])
    }
    for (name, routes) in users.sorted(by: { $0.key < $1.key }) {
      rows.append([name, "-", "missing", routes.joined(separator: ", ")])
    }
    if rows.count == 1 { return console.tell("no secret is stored, and no route needs one") }
    console.table(rows)
  }

  static let secretRemove = Verb(
    name: "secret rm", operands: "NAME", operandCount: 1...1, summary: "remove a secret, all of its versions",
    details: "A route that needs it answers 424 from then on. What the file held is overwritten with zeroes."
  ) { invocation, console throws(CommandError) in
    let name = invocation.operands[0]
    let setup = try invocation.setup()
    _ = try StoreAccess(setup).ask("DELETE", StoreAccess.path(of: name))
    console.show("removed \(name)")
    let routes = setup.configuration.routes.filter { $0.secretNames.contains(name) }.map(\.name)
    if !routes.isEmpty { console.tell("missing now for: \(routes.joined(separator: ", "))") }
    if let route = setup.agentRoute(keeping: name), name == Handshake.registrationName(route) {
      console.tell(
        "route \(route)'s agent is not registered any more, as far as is known here; its sessions have ended")
    }
  }

  /// Seconds since 1970 as people read them.
  static func timeText(_ seconds: Int) -> String {
    var text = Buffer()
    text.appendISO8601(Int64(seconds))
    return String(text.span)
  }
}
