public import JSON

/// What the configuration file says, checked, with every default filled in.
public struct Configuration: Sendable {
  /// Where programs connect.
  public var listen: [ListenAddress]
  /// Path of the socket that the command line talks to; its mode is always 0600.
  public var admin: String
  public var store: Store
  /// In the order of the file.
  public var routes: [RouteConfiguration]
  /// Event loops; nil is one for each core that the cgroup grants.
  public var loops: Int?
  public var log: Log
  /// A listener for `/-/livez`, `/-/readyz` and `/-/metrics` alone.
  public var metrics: ListenAddress?
  /// Directories with further connectors.
  public var connectors: [String]
  public var limits: Limits

  public struct Store: Sendable, Equatable {
    /// Of the database.
    public var path: String
    public var key: KeySource
  }

  public enum KeySource: Sendable, Equatable {
    /// Path of a file with the key.
    case file(String)
    /// Name of a file in `$CREDENTIALS_DIRECTORY`.
    case credential(String)
    /// Path of a file with a passphrase.
    case passphraseFile(String)
  }

  public struct Log: Sendable, Equatable {
    public enum Level: String, Sendable, CaseIterable { case debug, info, warn, error }
    public enum Format: String, Sendable, CaseIterable { case auto, text, json }
    public var level = Level.info
    /// `auto`: text on a terminal, JSON otherwise.
    public var format = Format.auto
  }

  public struct Limits: Sendable, Equatable {
    /// Client connections at once.
    public var connections = 10_000
    public var connectionsPerCaller = 1_000
    /// Bytes of a request's head.
    public var head = 32 << 10
    /// Bytes of request bodies held for connectors that read them, over all exchanges.
    public var buffered = 256 << 20
    /// Field lines of a head.
    public var fields = 100
    /// Bytes of one field line.
    public var field = 8 << 10
    /// Bytes of a request target.
    public var target = 16 << 10
    /// Bytes of chunk extensions, of one chunk and of a whole body.
    public var chunkExtension = 256
    public var chunkExtensions = 4 << 10
    /// Trailer fields, and their bytes together.
    public var trailerFields = 16
    public var trailers = 4 << 10
    /// Milliseconds from a head's first byte to its last.
    public var headTime = 10_000
    /// Milliseconds that a body has before it needs `bodyRate` on average.
    public var bodyGrace = 10_000
    /// Bytes a second.
    public var bodyRate = 1 << 10
    /// Milliseconds of a client's connection without a request, and of an upstream's without an exchange.
    public var clientIdle = 60_000
    public var upstreamIdle = 60_000
    /// Requests that one upstream connection carries.
    public var upstreamRequests = 1_000
  }
}

/// One route: a name, an upstream and the recipe between them.
public struct RouteConfiguration: Sendable {
  public var name: String
  /// Of the name in the file.
  public var position: Position
  /// Name of the connector.
  public var connector: String
  public var upstream: Upstream
  /// The connector's secret parameters → names of stored secrets; complete.
  public var secrets: [String: String]
  /// Those of them that the connector can do without.
  public var optionalSecrets: Set<String> = []
  /// The connector's other parameters, as far as given.
  public var options: [String: String]
  public var headers: [HeaderConfiguration] = []
  public var tls = TLS()
  public var timeouts = Timeouts()
  /// Most bytes of a request body; nil is none for a body that streams, `defaultBufferedBody` for one that is held.
  public var bodyLimit: Int?
  /// Further tries of idempotent requests that got 502, 503 or 504.
  public var retries = 0
  /// Listeners that lead to this route alone.
  public var listen: [ListenAddress] = []
  /// Further authorities that mean this route, beside the upstream's own.
  public var hosts: [Authority] = []
  /// Origins that a login may send its user to in the end: scheme, host, and a port that is not the scheme's own.
  public var returnTo: [String] = []
  public var passesCookies = false
  public var upgradesWebSocket = false
  public var scrubs = false
  public var allowsEmptySegments = false
  /// Rules that do not match are only logged.
  public var onlyWarns = false

  /// Bytes of a body that a connector reads, where the route sets no limit.
  public static let defaultBufferedBody = 8 << 20

  public struct TLS: Sendable, Equatable {
    /// Path of a PEM bundle that is trusted in place of the system's.
    public var ca: String?
    /// Path of a PEM chain.
    public var clientCertificate: String?
    /// Name of the secret with the PEM key.
    public var clientKey: String?
    public var verify = true
  }

  /// Milliseconds.
  public struct Timeouts: Sendable, Equatable {
    /// To a connection with TLS, over all addresses.
    public var connect = 5_000
    /// From the request's last byte to the response's first.
    public var firstByte = 60_000
    /// Without a byte in either direction.
    public var idle = 90_000
  }

  /// Every stored secret that an exchange on this route may need, sorted.
  public var secretNames: [String] { names(with: secrets) }

  /// Those without which it has nothing to send, sorted.
  public var requiredSecretNames: [String] { names(with: secrets.filter { !optionalSecrets.contains($0.key) }) }

  private func names(with secrets: [String: String]) -> [String] {
    var names = Set(secrets.values)
    for case .secret(let name) in headers.map(\.value) { names.insert(name) }
    if let key = tls.clientKey { names.insert(key) }
    return names.sorted()
  }
}

/// A header that the route adds to every request.
public struct HeaderConfiguration: Sendable, Equatable {
  public enum Value: Sendable, Equatable {
    case literal(String)
    /// Name of a stored secret.
    case secret(String)
  }
  public var name: String
  public var value: Value
}
