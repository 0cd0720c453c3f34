public import Bytes
public import Connector
public import Crypto
internal import HTTP

/// A name → an upstream, a connector and rules: what the planner and the writers need of it, as bytes that are ready.
///
/// The upstream's authority is the one value that DNS, TLS, `Host` and signatures are to use (T3.1).
public final class Route: Sendable {
  public let name: String
  /// Its place in the snapshot.
  public let index: Int
  public let upstream: Upstream
  public let connector: Connector
  /// By the connector's parameters; what is missing is in `missingSecrets`.
  public let secrets: [String: Secret]
  /// By the connector's parameters.
  public let options: [String: String]
  public let timeouts: Timeouts
  /// Most bytes of a request body; nil: none.
  public let bodyLimit: UInt64?
  public let passesCookies: Bool
  public let upgradesToWebSocket: Bool
  public let allowsEmptySegments: Bool
  /// Further tries of idempotent requests that got 502, 503 or 504.
  public let retries: Int
  /// Stored secrets that the route needs and that do not exist: every request is refused until they do.
  public let missingSecrets: [String]
  private let returnTo: [String]
  /// Of a route with the Agent Trust Handshake. What its own calls need is here: `upstream` is for requests alone.
  public let agent: Agent?
  /// Why no request can be sent yet, where that is so.
  public let obstacle: Problem?

  /// A header of the route whose stored value cannot be sent; every request is refused until it can.
  private let unsendable: String?
  private let missingHeaders: [String]
  let hosts: [Settings.Host]
  /// Sent with every request, in this order.
  let headers: [Header]
  /// The names that the connector sets, in the order that its patch refers to.
  let connectorHeaders: [[UInt8]]
  /// Headers that the connector reads, in its order.
  let readHeaders: [[UInt8]]
  /// Answers are looked at for what they say of the token.
  let readsAnswers: Bool
  /// What a caller may not say: the connector's names and the route's.
  let setNames: NameSet

  /// Where a route leads.
  public struct Upstream: Sendable, Equatable {
    public let isTLS: Bool
    /// As it is resolved and checked against the certificate: lower case, an IPv6 address without brackets.
    public let host: String
    public let port: UInt16
    /// As in `Host`: without the scheme's own port.
    public let authority: String
    /// Empty, or starts with `/` and does not end with one.
    public internal(set) var basePath: String

    /// `https://api.example.com/base`.
    public var url: String { "\(isTLS ? "https" : "http")://\(authority)\(basePath)" }

    public init(isTLS: Bool, host: String, port: UInt16, authority: String, basePath: String) {
      self.isTLS = isTLS
      self.host = host
      self.port = port
      self.authority = authority
      self.basePath = basePath
    }
  }

  /// A header that the route adds to every request.
  public struct Header: Sendable {
    public enum Value: Sendable {
      case literal([UInt8])
      case secret(Secret)
    }
    let name: [UInt8]
    let value: Value

    /// - Parameters:
    ///   - name: a token.
    ///   - value: a stored one that is no field value (a line end at the end of a file) makes the route refuse requests.
    public init(name: String, value: Value) {
      self.name = Array(name.utf8)
      self.value = value
    }

    var isSendable: Bool {
      switch value {
      case .literal(let bytes): isFieldValue(bytes.span)
      case .secret(let secret): isFieldValue(secret.span)
      }
    }
  }

  /// What a route is made of, in plain values.
  public struct Settings: Sendable {
    /// A further authority that means the route.
    public struct Host: Sendable {
      /// Lower case; an IPv6 address with its brackets.
      public var name: String
      public var port: UInt16?

      public init(name: String, port: UInt16?) {
        self.name = name
        self.port = port
      }
    }
    public var hosts: [Host] = []
    public var headers: [Header] = []
    public var timeouts = Timeouts()
    public var bodyLimit: UInt64?
    public var passesCookies = false
    public var upgradesToWebSocket = false
    public var allowsEmptySegments = false
    public var retries = 0
    /// Names of stored secrets.
    public var missingSecrets: [String] = []
    /// Those of them that are headers.
    public var missingHeaders: [String] = []
    /// Origins that a login may send its user to: `https://app.example.com`.
    public var returnTo: [String] = []
    public var agent: Agent?
    public var obstacle: Problem?

    public init() {}
  }

  /// Milliseconds.
  public struct Timeouts: Sendable, Equatable {
    /// To a connection with TLS, over all addresses.
    public var connect: UInt64 = 5_000
    /// From the request's last byte to the response's first.
    public var firstByte: UInt64 = 60_000
    /// Without a byte in either direction.
    public var idle: UInt64 = 90_000

    public init() {}
  }

  public let authority: [UInt8]
  let basePath: [UInt8]
  let nameBytes: [UInt8]

  /// - Parameters:
  ///   - secrets: by the connector's parameters, as far as they are stored.
  ///   - options: by the connector's parameters.
  public init(
    name: String, index: Int, upstream: Upstream, connector: Connector, secrets: [String: Secret],
    options: [String: String], _ settings: Settings = Settings()
  ) throws(OptionError) {
    self.name = name
    self.index = index
    self.upstream = upstream
    self.connector = connector
    self.secrets = secrets
    self.options = options
    timeouts = settings.timeouts
    nameBytes = Array(name.utf8)
    authority = Array(upstream.authority.utf8)
    basePath = Array(upstream.basePath.utf8)
    hosts = settings.hosts
    headers = settings.headers
    unsendable = settings.headers.first { !$0.isSendable }.map { String($0.name.span) }
    connectorHeaders = try connector.targets(options: options).headers.map(\.bytes)
    readHeaders = connector.readHeaders.map { Array($0.utf8) }
    setNames = NameSet(connectorHeaders + headers.map(\.name))
    bodyLimit = settings.bodyLimit
    passesCookies = settings.passesCookies
    upgradesToWebSocket = settings.upgradesToWebSocket
    allowsEmptySegments = settings.allowsEmptySegments
    retries = settings.retries
    missingSecrets = settings.missingSecrets
    missingHeaders = settings.missingHeaders
    returnTo = settings.returnTo
    agent = settings.agent
    obstacle = settings.obstacle
    readsAnswers = connector.token?.readsAnswers == true && !setNames.contains(Array("accept-encoding".utf8).span)
  }

  /// - Throws: `secret_missing`, for headers that are not stored or cannot be sent.
  public func checkHeaders() throws(Problem) {
    if let missing = missingHeaders.first { throw .secretMissing(missing, route: self) }
    if let unsendable {
      throw Problem(
        .secretMissing,
        "What is stored for the header \"\(unsendable)\" has a control character, or white space at an end.",
        hint: "chatelaine secret set", route: name)
    }
  }

  /// Appends the route's own headers, as every request has them, but for one whose name is `except`.
  public func appendHeaders(to buffer: inout Buffer, except: StaticString) {
    for header in headers where !header.name.span.equalsIgnoringCase(except) { header.append(to: &buffer) }
  }

  /// What no other may learn of its headers.
  public var secretHeaders: [Secret] {
    headers.compactMap { header in
      if case .secret(let secret) = header.value { secret } else { nil }
    }
  }

  public func setsHeader(_ name: StaticString) -> Bool {
    headers.contains { $0.name.span.equalsIgnoringCase(name) }
  }

  /// Whether a login may send its user to this URL: its origin is one that the route lists, byte for byte.
  public func mayReturn(to url: String) -> Bool {
    let bytes = Array(url.utf8)
    guard bytes.allSatisfy({ 0x21...0x7E ~= $0 && $0 != UInt8(ascii: "\\") }) else { return false }
    return returnTo.contains { origin in
      bytes.starts(with: origin.utf8)
        && (bytes.count == origin.utf8.count || [0x2F, 0x3F].contains(bytes[origin.utf8.count]))
    }
  }
}

/// A few header names, compared in any case. Most names of a request are dismissed by their length.
struct NameSet: Sendable {
  private let names: [[UInt8]]
  private let lengths: UInt64

  init(_ names: [[UInt8]]) {
    self.names = names
    lengths = names.reduce(0) { $0 | 1 << UInt64($1.count & 63) }
  }

  /// - Parameter underscores: `_` in the name counts as `-`.
  func contains(_ name: Span<UInt8>, underscores: Bool = false) -> Bool {
    guard lengths & 1 << UInt64(name.count & 63) != 0 else { return false }
    return names.contains { known in
      guard known.count == name.count else { return false }
      for i in name.indices {
        let byte = underscores && name[i] == 0x5F ? 0x2D : name[i].asciiLowercased
        let own = underscores && known[i] == 0x5F ? 0x2D : known[i].asciiLowercased
        if byte != own { return false }
      }
      return true
    }
  }
}
