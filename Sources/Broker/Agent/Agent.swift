internal import Bytes
public import Config
public import Connector
public import Crypto
internal import JSON

/// What a route with the Agent Trust Handshake knows: who its agent is, and what the other side has said so far.
public struct Agent: Sendable {
  public let identity: AgentIdentity
  /// Under which its key is stored.
  let keyName: String?
  /// Where the handshake's own calls go: the route's upstream as it is configured. Requests may go elsewhere.
  public let service: Route.Upstream
  /// Nil while there is none, or it is another agent's or another service's.
  public let registration: AgentRegistration?
  public let discovery: AgentDiscovery?
  /// Nil while none is stored, or none that signs ES256.
  public let key: ES256Key?
  /// What servers read at the agent's id; nil without a key.
  public let document: [UInt8]?

  /// - Parameters:
  ///   - name: what the agent is called.
  ///   - keyName: under which the key is stored.
  ///   - key: as it is stored, in PEM; nil if none is. The same of the others.
  public init(
    _ identity: AgentIdentity, service: Route.Upstream, name: String, keyName: String? = nil, key: Secret?,
    registration: Secret?, discovery: Secret?
  ) {
    self.identity = identity
    self.keyName = keyName
    self.service = service
    let registration = registration.flatMap { AgentRegistration($0.span, of: identity, at: service.url) }
    self.registration = registration
    self.discovery = discovery.flatMap { AgentDiscovery($0.span, of: identity.mode, at: service.url) }
    self.key = key.flatMap { try? ES256Key(pem: $0.span) }
    document = self.key.map { identity.document(name: name, key: $0.publicKey, registration: registration) }
  }

  /// - Throws: `secret_missing` with the command that makes a key.
  public func signingKey(route: String) throws(Problem) -> ES256Key {
    if let key { return key }
    throw .noKey(route)
  }

  /// Where an authorization becomes a token, under the service's address.
  public static let tokenPath = "/ath/token"

  /// What the handshake's own requests go to, with all that lies below: for nobody else.
  static let endpoints = ["/ath/agents", "/ath/authorize", tokenPath, "/ath/revoke"]

  /// Whom attestations to authorize and register are for.
  public var audience: String { service.url }

  public func url(_ path: String) -> String { service.url + path }

  /// The id by which authorizations name what is called: the gateway's provider, or the service itself.
  public func provider(route: String) throws(Problem) -> String {
    switch identity.mode {
    case .gateway: return identity.provider ?? ""
    case .native:
      guard let application = discovery?.document["app_id"]?.string else { throw .notDiscovered(route) }
      return application
    }
  }

  /// - Throws: `not_connected` with the command that registers.
  public func registered(route: String) throws(Problem) -> AgentRegistration {
    if let registration { return registration }
    throw Problem(
      .notConnected, "The agent of route \(route) is not registered with \(service.authority).",
      hint: "chatelaine ath register \(route)", route: route)
  }

  /// Where requests of the route go, and why none can, if so.
  /// - Parameter hosts: further authorities that the configuration gives to the route.
  public func upstream(hosts: [Route.Settings.Host], route: String) -> (upstream: Route.Upstream, obstacle: Problem?) {
    switch identity.mode {
    case .gateway:
      var upstream = service
      upstream.basePath += "/ath/proxy/\(identity.provider ?? "")"
      return (upstream, nil)
    case .native:
      guard let base = discovery?.document["api_base"]?.string else { return (service, .notDiscovered(route)) }
      guard let upstream = try? Upstream(base) else {
        return (
          service,
          refusal(route, "\"api_base\" is no address that requests can go to", "chatelaine ath discover \(route)")
        )
      }
      let found = Route.Upstream(upstream)
      guard found.host == service.host && found.port == service.port || Agent.lists(hosts, found) else {
        return (
          service,
          refusal(
            route,
            "\"api_base\" is at \(found.authority), which is neither the route's upstream nor one of its \"hosts\"",
            "add \"\(found.authority)\" to the route's \"hosts\" if that is right, then: chatelaine reload")
        )
      }
      guard found.isTLS || !service.isTLS && upstream.isLoopback || !service.isTLS && found.host == service.host else {
        return (
          service,
          refusal(
            route, "\"api_base\" is http://, which would send the token in the open",
            "chatelaine ath discover \(route), when the service has https://")
        )
      }
      return (found, nil)
    }
  }

  private static func lists(_ hosts: [Route.Settings.Host], _ upstream: Route.Upstream) -> Bool {
    let name = upstream.host.utf8.contains(0x3A) ? "[\(upstream.host)]" : upstream.host
    return hosts.contains { $0.name == name && $0.port ?? (upstream.isTLS ? 443 : 80) == upstream.port }
  }

  private func refusal(_ route: String, _ reason: String, _ hint: String) -> Problem {
    Problem(
      .notConnected, "Calls of route \(route) are not sent where its discovery document says: \(reason).", hint: hint,
      route: route)
  }
}

extension Problem {
  public static func noKey(_ route: String) -> Problem {
    Problem(
      .secretMissing, "Route \(route) has no private key that signs ES256.", hint: "chatelaine ath keygen \(route)",
      route: route)
  }

  static func notDiscovered(_ route: String) -> Problem {
    Problem(
      .notConnected, "The service of route \(route) has not been discovered: where its calls go is not known.",
      hint: "chatelaine ath discover \(route)", route: route)
  }
}

extension Route.Upstream {
  public init(_ upstream: Upstream) {
    self.init(
      isTLS: upstream.scheme == .https, host: upstream.host.plain, port: upstream.port, authority: upstream.authority,
      basePath: upstream.basePath)
  }
}
