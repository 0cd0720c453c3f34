import Broker
import Config
import Connector
import Crypto
import HTTP
import Net

/// One configuration in force: the routes as the planner reads them, and what each needs to be at work. Immutable: loops
/// read it, and a reload or a changed secret makes another.
final class Deployment: Sendable {
  let snapshot: Snapshot
  /// In the order of `snapshot.routes`.
  let tls: [TLS]
  let limits: Configuration.Limits
  /// What is read of a request whose caller the kernel vouches for.
  let requestLimits: HTTPLimits
  /// Of any other: with the room of one read at most 64 KiB a connection are held (HTTP.md I7).
  let strangerLimits: HTTPLimits
  let patience: Patience
  let pool: PoolState<UInt32, UpstreamConnection>.Limits
  /// Certificates and authorities may have changed on disk; after a secret was stored they have not.
  let readsFilesAnew: Bool

  /// What a route says of TLS.
  struct TLS: Sendable {
    var settings = TLSSettings()
    /// PEM, when there is a certificate of ours.
    var key: Secret?

    /// For a route's requests. Where a service says that they go elsewhere than the configuration, our certificate is not
    /// for whoever is there, and nor is leave to trust anybody.
    func meant(for route: Route) -> TLS {
      guard let service = route.agent?.service,
        service.host != route.upstream.host || service.port != route.upstream.port
      else { return self }
      var tls = self
      tls.settings.certificate = nil
      tls.settings.verifies = true
      tls.key = nil
      return tls
    }
  }

  /// - Parameter stored: a secret by its name in the store.
  /// - Throws: `OptionError`, which a configuration that was checked cannot cause.
  init(
    _ configuration: Configuration, catalog: Catalog, stored: [String: Secret], readsFilesAnew: Bool = true
  ) throws(OptionError) {
    self.readsFilesAnew = readsFilesAnew
    limits = configuration.limits
    requestLimits = HTTPLimits(limits)
    var strangerLimits = requestLimits
    strangerLimits.head = min(limits.head, 64 * 1024 - Exchange.headRoom)
    strangerLimits.fields = min(limits.fields, HTTPLimits.request.fields)
    self.strangerLimits = strangerLimits
    patience = Patience(limits)
    pool = .init(limits)
    var routes: [Route] = []
    for route in configuration.routes {
      guard let connector = catalog[route.connector] else { continue }
      routes.append(try Route(route, index: routes.count, connector: connector, stored: stored))
    }
    snapshot = Snapshot(routes: routes)
    tls = configuration.routes.filter { catalog[$0.connector] != nil }.map { route in
      var tls = TLS(key: route.tls.clientKey.flatMap { stored[$0] })
      tls.settings.authorities = route.tls.ca
      tls.settings.certificate = route.tls.clientCertificate
      tls.settings.verifies = route.tls.verify
      return tls
    }
  }
}

extension HTTPLimits {
  init(_ configured: Configuration.Limits) {
    self.init(head: configured.head, fields: configured.fields, field: configured.field)
    target = configured.target
    chunkExtension = configured.chunkExtension
    chunkExtensions = configured.chunkExtensions
    trailerFields = configured.trailerFields
    trailers = configured.trailers
  }
}

extension Patience {
  fileprivate init(_ configured: Configuration.Limits) {
    head = UInt64(configured.headTime)
    idle = UInt64(configured.clientIdle)
    bodyGrace = UInt64(configured.bodyGrace)
    slowestBody = UInt64(configured.bodyRate)
  }
}

extension PoolState.Limits {
  fileprivate init(_ configured: Configuration.Limits) {
    self.init()
    idleTime = UInt64(configured.upstreamIdle)
    requests = configured.upstreamRequests
  }
}

extension Route {
  convenience init(
    _ configured: RouteConfiguration, index: Int, connector: Connector, stored: [String: Secret]
  ) throws(OptionError) {
    var settings = Settings()
    settings.hosts = configured.hosts.map {
      Settings.Host(name: Authority(host: $0.host, port: nil).description, port: $0.port)
    }
    settings.timeouts.connect = UInt64(configured.timeouts.connect)
    settings.timeouts.firstByte = UInt64(configured.timeouts.firstByte)
    settings.timeouts.idle = UInt64(configured.timeouts.idle)
    let limit = configured.bodyLimit ?? (connector.readsBody ? RouteConfiguration.defaultBufferedBody : nil)
    settings.bodyLimit = limit.map { UInt64($0) }
    settings.passesCookies = configured.passesCookies
    settings.upgradesToWebSocket = configured.upgradesWebSocket
    settings.allowsEmptySegments = configured.allowsEmptySegments
    settings.retries = configured.retries
    settings.returnTo = configured.returnTo
    settings.missingSecrets = configured.requiredSecretNames.filter { stored[$0] == nil }
    for header in configured.headers {
      if case .secret(let name) = header.value, stored[name] == nil { settings.missingHeaders.append(name) }
    }
    settings.headers = configured.headers.compactMap { header in
      switch header.value {
      case .literal(let text): Header(name: header.name, value: .literal(Array(text.utf8)))
      case .secret(let name): stored[name].map { Header(name: header.name, value: .secret($0)) }
      }
    }
    var upstream = Upstream(configured.upstream)
    if connector.handshake == .ath {
      let agent = Agent(
        try AgentIdentity(configured.options, of: connector), service: upstream, name: configured.name,
        keyName: configured.secrets[AgentIdentity.keyName],
        key: configured.secrets[AgentIdentity.keyName].flatMap { stored[$0] },
        registration: stored[Handshake.registrationName(configured.name)],
        discovery: stored[Handshake.discoveryName(configured.name)])
      settings.agent = agent
      (upstream, settings.obstacle) = agent.upstream(hosts: settings.hosts, route: configured.name)
    }
    try self.init(
      name: configured.name, index: index, upstream: upstream, connector: connector,
      secrets: configured.secrets.compactMapValues { stored[$0] }, options: configured.options,
      settings)
  }
}
