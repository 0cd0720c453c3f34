import Connector
import JSON

/// Reads one route.
struct RouteReader {
  /// A route and where in the text its parts are that must fit with other routes.
  struct Outcome {
    var route: RouteConfiguration
    var upstream: JSONValue
    var listen: [ListenReader.Bound]
    /// Of `route.hosts`, in their order.
    var hosts: [JSONValue]
    /// Names in the store that are the route's, and no secrets for anybody to use.
    var storedNames: [String] = []
  }

  let report: Report
  let connectors: Catalog
  let callers: [String]

  init(_ report: Report, _ connectors: Catalog, _ callers: [String]) {
    self.report = report
    self.connectors = connectors
    self.callers = callers
  }

  func read(_ member: JSONMember) -> Outcome? {
    let name = member.key
    let hasGoodName = check(name: member)
    guard var section = Section(member, title: "route \"\(name)\"", report) else { return nil }
    let connectorMember = section.required("connector", example: "\"bearer\"")
    let upstreamMember = section.required("upstream", example: "\"https://api.example.com\"")
    let isInsecure = section.optional("insecure_upstream").flatMap { report.bool($0) } ?? false
    let connector = connectorMember.flatMap { self.connector($0) }
    let upstream = upstreamMember.flatMap { self.upstream($0, isInsecure: isInsecure) }

    let parameters = ParameterReader(report: report, route: name)
    let secrets = section.optional("secrets")
    let options = section.optional("options")
    let optionValues = parameters.options(options, of: connector, at: connectorMember)
    let secretNames = parameters.secrets(secrets, of: connector)
    let effect = parameters.effect(of: connector, optionValues, options, connectorMember)

    var route = RouteConfiguration(
      name: name, position: member.keyPosition, connector: connector?.name ?? "",
      upstream: upstream ?? Upstream.none, secrets: secretNames, options: optionValues ?? [:])
    if let connector, let optionValues {
      route.optionalSecrets = Set(secretNames.keys).subtracting(connector.requiredSecrets(options: optionValues))
    }
    if let headers = section.optional("headers") {
      route.headers = HeaderReader(report: report, route: name, effect: effect).headers(headers)
    }
    if let tls = section.optional("tls") { readTLS(tls, into: &route) }
    if let timeouts = section.optional("timeouts") { readTimeouts(timeouts, into: &route.timeouts) }
    if let limits = section.optional("limits"), var limitSection = Section(limits, title: "\"limits\"", report) {
      route.bodyLimit = limitSection.optional("body").flatMap { report.size($0, in: 0...1 << 40) }
      limitSection.finish()
    }
    if let retry = section.optional("retry"), var retrySection = Section(retry, title: "\"retry\"", report) {
      route.retries = retrySection.required("attempts", example: "2").flatMap { report.integer($0, in: 0...10) } ?? 0
      retrySection.finish()
    }
    let listen = section.optional("listen").map { ListenReader(report).listeners($0) } ?? []
    let hosts = section.optional("hosts").map { self.hosts($0) } ?? []
    if let member = section.optional("return_to") { route.returnTo = origins(member, of: connector) }
    route.listen = listen.map(\.address)
    route.hosts = hosts.map(\.authority)
    readSwitches(&section, into: &route)
    if let allow = section.optional("allow") { CallerRules.allow(allow, callers, report) }
    section.finish()
    guard hasGoodName, connector != nil, upstream != nil, let upstreamMember else { return nil }
    return Outcome(
      route: route, upstream: upstreamMember.value, listen: listen, hosts: hosts.map(\.value),
      storedNames: connector?.handshake == nil ? [] : Handshake.storedNames(name))
  }

  /// A name is a path segment and the first label of a host: `codegate.localhost`.
  private func check(name member: JSONMember) -> Bool {
    let name = member.key
    let isValid =
      (1...63).contains(name.utf8.count)
      && name.utf8.allSatisfy { $0.isLowerLetterOrDigit || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
      && name.utf8.first?.isLowerLetterOrDigit == true && name.utf8.last != UInt8(ascii: "-")
    if isValid { return true }
    let help = "1 to 63 lower-case letters, digits, \"-\" and \"_\"; the first a letter or digit, the last no \"-\""
    report.error(
      name == "-" ? "no route can be called \"-\": /-/ is the daemon's own" : "\"\(name)\" cannot be a route's name",
      atKey: member, help: help)
    return false
  }

  private func connector(_ member: JSONMember) -> Connector? {
    guard let name = report.string(member) else { return nil }
    if let connector = connectors[name] { return connector }
    let isPerhapsBroken = closest(to: name, among: connectors.names) == nil && !connectors.diagnostics.isEmpty
    report.error(
      "unknown connector \"\(name)\"", at: member.value,
      help: isPerhapsBroken
        ? "perhaps it is in a connector file with a mistake" : report.suggestion(for: name, among: connectors.names))
    return nil
  }

  private func upstream(_ member: JSONMember, isInsecure: Bool) -> Upstream? {
    guard let text = report.string(member) else { return nil }
    let upstream: Upstream
    do {
      upstream = try Upstream(text)
    } catch {
      report.error(error.message, in: member.value, decoded: error.range, help: error.help)
      return nil
    }
    if upstream.basePath.split(separator: "/").contains(where: { InlineSecret.looksLikeSecret(String($0)) }) {
      report.error(
        "this looks like a secret, and an upstream is in the open", at: member.value,
        help: "if it is one, store it with `chatelaine secret set` and use a connector that sends it")
      return nil
    }
    if upstream.scheme == .http, !upstream.isLoopback, !isInsecure {
      report.error(
        "http:// would send requests, and what is signed into them, in the open", at: member.value,
        help: "write https://, or say \"insecure_upstream\": true in this route")
      return nil
    }
    return upstream
  }

  private func readTLS(_ member: JSONMember, into route: inout RouteConfiguration) {
    guard var section = Section(member, title: "\"tls\"", report) else { return }
    route.tls.ca = section.optional("ca").flatMap { report.path($0) }
    let certificate = section.optional("client_certificate")
    let key = section.optional("client_key")
    route.tls.clientCertificate = certificate.flatMap { report.path($0) }
    route.tls.clientKey = key.flatMap { ParameterReader(report: report, route: route.name).secretName($0) }
    if let alone = certificate ?? key, (certificate == nil) != (key == nil) {
      let other = certificate == nil ? "client_certificate" : "client_key"
      report.error("\"\(alone.key)\" needs \"\(other)\" beside it", atKey: alone)
    }
    if let verify = section.optional("verify"), let value = report.bool(verify) {
      route.tls.verify = value
      if !value {
        report.warning(
          "anyone on the way to the upstream of route \"\(route.name)\" can read and change what is sent",
          at: verify.value,
          help: "name the authority that signed the certificate: \"tls\": { \"ca\": … }")
      }
    }
    section.finish()
  }

  private func readTimeouts(_ member: JSONMember, into timeouts: inout RouteConfiguration.Timeouts) {
    guard var section = Section(member, title: "\"timeouts\"", report) else { return }
    if let value = section.optional("connect").flatMap({ report.duration($0) }) { timeouts.connect = value }
    if let value = section.optional("first_byte").flatMap({ report.duration($0) }) { timeouts.firstByte = value }
    if let value = section.optional("idle").flatMap({ report.duration($0) }) { timeouts.idle = value }
    section.finish()
  }

  private func hosts(_ member: JSONMember) -> [(authority: Authority, value: JSONValue)] {
    var hosts: [(authority: Authority, value: JSONValue)] = []
    for element in report.array(member) ?? [] {
      guard let text = report.string(JSONMember("hosts", element)) else { continue }
      do throws(Authority.Mistake) {
        let authority = try Authority(text)
        // With a port of its own a name of this machine is another server's; `AuthorityCheck` holds it against the listeners.
        if authority.isLoopback, authority.port == nil || authority.host.isOwnSuffix {
          report.error("\(authority) is the daemon's own name", at: element, help: "a route has \"listen\" for that")
        } else {
          hosts.append((authority, element))
        }
      } catch {
        report.error("this is no host, with a port or without: \(error.message)", at: element)
      }
    }
    return hosts
  }

  /// Origins (RFC 6454 §4): a scheme, a host, and a port where it is not the scheme's own.
  private func origins(_ member: JSONMember, of connector: Connector?) -> [String] {
    if let connector, connector.oauth == nil {
      report.error(
        "nobody logs in to this route", atKey: member,
        help: "the connector \"\(connector.name)\" has no \"oauth\"; remove \"return_to\"")
    }
    var origins: [String] = []
    for element in report.array(member) ?? [] {
      guard let text = report.string(JSONMember("return_to", element)) else { continue }
      guard let url = try? Upstream(text), url.basePath.isEmpty, !text.hasSuffix("/") else {
        report.error("this is no origin", at: element, help: "for example \"https://app.example.com\", without a path")
        continue
      }
      if url.scheme == .http, !url.isLoopback {
        report.error("http:// would send users away in the open", at: element, help: "write https://")
      }
      origins.append("\(url)")
    }
    return origins
  }

  private enum CookieRule: String, CaseIterable { case pass }
  private enum Enforcement: String, CaseIterable { case warn }
  private enum Protocols: String, CaseIterable { case websocket }

  private func readSwitches(_ section: inout Section, into route: inout RouteConfiguration) {
    if let member = section.optional("cookies") { route.passesCookies = report.choice(member, CookieRule.self) != nil }
    if let member = section.optional("empty_segments") { route.allowsEmptySegments = report.bool(member) ?? false }
    if let member = section.optional("scrub") {
      route.scrubs = report.bool(member) ?? false
      if route.scrubs { notYet(member, "scrubbing what an upstream echoes is") }
    }
    if let member = section.optional("enforce") {
      route.onlyWarns = report.choice(member, Enforcement.self) != nil
      if route.onlyWarns { notYet(member, "\(CallerRules.feature) are") }
    }
    if let member = section.optional("upgrade") {
      for element in report.array(member) ?? [] {
        guard report.choice(JSONMember("upgrade", element), Protocols.self) != nil else { continue }
        route.upgradesWebSocket = true
        notYet(member, "upgrading to another protocol is")
      }
    }
  }

  private func notYet(_ member: JSONMember, _ feature: String) {
    report.error("\(feature) not in this version yet", atKey: member, help: "remove \"\(member.key)\"")
  }
}

extension UInt8 {
  fileprivate var isLowerLetterOrDigit: Bool { self &- 0x61 < 26 || self &- 0x30 < 10 }
}
