import Broker
import Bytes
import Config
import Connector
import Crypto
import JSON
import Net
import Vault

extension Verb {
  static let check = Verb(
    name: "check",
    options: [
      Option(
        name: "--connect", about: "also connect to each upstream (name, TCP, TLS) and get its token; calls nothing else"
      )
    ],
    printsData: true, summary: "validate everything that start-up validates",
    details: """
      Reads the configuration and the connectors and runs their vectors, opens the store, and says which secrets are missing.
      All mistakes are told at once, each with its line and column. Exit status 0: "chatelaine serve" would start.
      """
  ) { invocation, console throws(CommandError) in
    let setup = try invocation.setup()
    for warning in setup.warnings { console.tell(warning.rendered) }
    let access = try StoreAccess(setup)
    let stored = try (access.ask("GET", "/secrets").array ?? []).compactMap { $0["name"]?.string }
    let routes = setup.configuration.routes
    var failures: [String: String] = [:]
    let deployment = try deployment(setup, access)
    if let deployment { failures = tlsFailures(setup, deployment) }
    if invocation.has("--connect"), let deployment {
      let tried = routes.filter { failures[$0.name] == nil }.map(\.name)
      failures.merge(try Connectivity.check(tried, deployment)) { first, _ in first }
      let asking = deployment.snapshot.routes.filter { route in
        // Sessions are their users': that nobody is logged in is no mistake.
        route.connector.oauth == nil && route.connector.handshake == nil && route.connector.token != nil
          && failures[route.name] == nil && isComplete(route.name, setup, stored)
      }
      failures.merge(try tokenFailures(asking.map(\.name), deployment, access)) { first, _ in first }
    }
    if invocation.isJSON {
      show(setup, stored, failures, connected: invocation.has("--connect"), console)
    } else {
      console.show("\(setup.path): \(count(routes.count, "route")), \(count(stored.count, "secret")) stored")
      for route in routes {
        let missing = route.requiredSecretNames.filter { !stored.contains($0) }
        var state = invocation.has("--connect") ? "connects" : "fine"
        if !missing.isEmpty { state = "needs " + missing.joined(separator: ", ") }
        if let failure = failures[route.name] { state = failure }
        console.show("  \(route.name): \(route.upstream): \(state)")
        let isAgent = setup.catalog[route.connector]?.handshake != nil
        for name in missing {
          let isKey = isAgent && name == route.secrets[AgentIdentity.keyName]
          console.tell("missing: chatelaine \(isKey ? "ath keygen \(route.name)" : "secret set \(name)")")
        }
      }
    }
    guard let failed = routes.first(where: { failures[$0.name] != nil }) else { return }
    try console.finish()
    throw CommandError(
      invocation.has("--connect") ? CommandError.Status.unavailable : CommandError.Status.configuration,
      "route \(failed.name): \(failures[failed.name] ?? "")",
      hint: failures.count > 1 ? "and \(count(failures.count - 1, "other route"))" : nil)
  }

  /// All the secrets that the route needs are stored.
  private static func isComplete(_ route: String, _ setup: Setup, _ stored: [String]) -> Bool {
    setup.configuration.routes.first { $0.name == route }?.secretNames.allSatisfy(stored.contains) ?? false
  }

  /// Why there is no token, by route. A running daemon is asked to get one.
  private static func tokenFailures(
    _ names: [String], _ deployment: Deployment, _ access: StoreAccess
  ) throws(CommandError) -> [String: String] {
    if case .here(let service) = access { return try TokenCheck.failures(names, deployment, service.vault) }
    var failures: [String: String] = [:]
    for name in names {
      do throws(CommandError) {
        _ = try access.ask("POST", Verb.tokenPath(name, TokenKey.standard))
      } catch {
        failures[name] = error.message
      }
    }
    return failures
  }

  /// `1 route`, `2 routes`.
  static func count(_ count: Int, _ what: String) -> String { "\(count) \(what)\(count == 1 ? "" : "s")" }

  /// With what is stored, if the store is open here. A daemon gives no values away, so without them nothing is known of
  /// client certificates.
  private static func deployment(_ setup: Setup, _ access: StoreAccess) throws(CommandError) -> Deployment? {
    do throws(DeploymentError) {
      switch access {
      case .here(let service): return try Keeper.deployment(of: setup, from: service.vault)
      case .daemon:
        do throws(OptionError) {
          return try Deployment(setup.configuration, catalog: setup.catalog, stored: [:])
        } catch {
          throw .option(error)
        }
      }
    } catch {
      throw CommandError(error.exitStatus, error.message)
    }
  }

  /// What is wrong with the files that routes name for TLS, by route.
  private static func tlsFailures(_ setup: Setup, _ deployment: Deployment) -> [String: String] {
    var failures: [String: String] = [:]
    for (route, tls) in zip(deployment.snapshot.routes, deployment.tls) {
      do throws(TLSError) {
        if let key = tls.key {
          _ = try TLSContext(tls.settings, key: key.span)
        } else {
          var settings = tls.settings
          settings.certificate = nil
          _ = try TLSContext(settings)
        }
      } catch {
        failures[route.name] = error.description
      }
    }
    return failures
  }

  private static func show(
    _ setup: Setup, _ stored: [String], _ failures: [String: String], connected: Bool, _ console: Console
  ) {
    var text = Buffer()
    text.appendObjectStart()
    text.appendMember("config", setup.path)
    text.appendMember("warnings", setup.warnings.count)
    text.appendMember("secrets", stored.count)
    text.appendKey("routes")
    text.appendArrayStart()
    for route in setup.configuration.routes {
      text.appendObjectStart()
      text.appendMember("name", route.name)
      text.appendMember("connector", route.connector)
      text.appendMember("upstream", "\(route.upstream)")
      text.appendKey("missing_secrets")
      text.appendArrayStart()
      for name in route.requiredSecretNames where !stored.contains(name) { text.appendJSON(name) }
      text.appendArrayEnd()
      if let failure = failures[route.name] {
        text.appendMember("error", failure)
      } else if connected {
        text.appendMember("connects", true)
      }
      text.appendObjectEnd()
    }
    text.appendArrayEnd()
    text.appendObjectEnd()
    console.show(text.span)
  }
}
