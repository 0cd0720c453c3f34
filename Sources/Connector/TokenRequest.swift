import Bytes
public import Crypto

/// How a token endpoint is asked: a base line, and a connector of its own for the rest.
public final class TokenRequest: Sendable {
  /// Its `set` makes the headers, query and body; it has the secrets and options of the connector that it belongs to.
  let connector: Connector
  public let method: String
  /// Text and options only, in the connector's program.
  let location: Int
  /// Whether `location` is an absolute URL, or a path on the route's upstream.
  public let isAbsolute: Bool
  /// Cannot be made without an earlier token (its refresh token).
  public let needsToken: Bool
  public let recipient: Recipient

  /// Who is asked.
  public enum Recipient: String, Sendable {
    case tokenEndpoint = "token"
    /// By a browser.
    case authorizationEndpoint = "authorization"
  }

  init(
    connector: Connector, method: String, location: Int, isAbsolute: Bool, needsToken: Bool, recipient: Recipient
  ) {
    self.connector = connector
    self.recipient = recipient
    self.method = method
    self.location = location
    self.isAbsolute = isAbsolute
    self.needsToken = needsToken
  }

  /// An option that its address has; nil for one that no route changes.
  public var locationOption: String? {
    let option = connector.option(in: location)
    return option.isEmpty ? nil : option
  }

  /// Where a request goes.
  public struct Location: Sendable, Equatable {
    /// `https://login.example.com:8443`; nil for the route's upstream.
    public var origin: String?
    /// Path and query; under the upstream's base path when `origin` is nil.
    public var target: String
  }

  private var described: String { recipient == .tokenEndpoint ? "a token endpoint's" : "an authorization endpoint's" }

  /// Fills in the route's options.
  /// - Throws: `OptionError.invalid`. Whether the origin is one to trust with secrets is the configuration's check.
  public func location(options given: [String: String]) throws(OptionError) -> Location {
    let text = connector.text(of: location, given)
    let option = connector.option(in: location)
    guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "#") && $0 != UInt8(ascii: "\\") }) else {
      throw .invalid(option, reason: "makes \(described) address with a character that must be percent-encoded")
    }
    guard isAbsolute else {
      guard text.utf8.first == UInt8(ascii: "/") else {
        throw .invalid(option, reason: "makes \(described) path that does not begin with a slash")
      }
      return Location(origin: nil, target: text)
    }
    guard let scheme = ["https://", "http://"].first(where: { text.hasPrefix($0) }) else {
      throw .invalid(option, reason: "is no URL: one begins with https://")
    }
    let rest = text.dropFirst(scheme.utf8.count)
    let authority = rest.prefix { $0 != "/" && $0 != "?" }
    let target = rest.dropFirst(authority.count)
    if authority.isEmpty || authority.contains("@") {
      throw .invalid(option, reason: "is no URL with a host, and no user name or password before it")
    }
    return Location(origin: scheme + authority, target: target.hasPrefix("/") ? String(target) : "/" + target)
  }

  /// Makes the request.
  /// - Parameters:
  ///   - token: the last one, for `token.refresh_token`.
  ///   - login: for an exchange, the login that the code belongs to.
  ///   - host: the upstream's authority, as in `Host`; means nothing for an absolute URL.
  ///   - basePath: the upstream's, without a slash at its end; the same.
  public func prepare(
    secrets: [String: Secret], options: [String: String], route: String, subject: String, token: Token?,
    login: OAuthLogin? = nil, host: String, basePath: String, time: RequestTime, entropy: RequestEntropy
  ) throws(TokenRequestError) -> PreparedTokenRequest {
    let signer: Signer
    let place: Location
    do throws(SignerError) {
      signer = try Signer(connector: connector, secrets: secrets, options: options, route: route)
    } catch {
      throw .signer(error)
    }
    do throws(OptionError) {
      place = try location(options: options)
    } catch {
      throw .signer(.option(error))
    }
    if let login { signer.login = login.fields }
    var patch = Patch()
    defer { patch.forget() }
    let block = Array("\(method) \(place.origin == nil ? basePath : "")\(place.target)".utf8)
    let path = method.utf8.count + 1
    let mark = block.firstIndex(of: UInt8(ascii: "?"))
    let authority = Array((place.origin.map { String($0.drop { $0 != "/" }.dropFirst(2)) } ?? host).utf8)
    let subject = Array(subject.utf8)
    let nothing = Span<UInt8>()
    do throws(EvaluationError) {
      try signer.evaluate(
        ConnectorRequest(
          block: block.span, method: 0..<path - 1, path: path..<(mark ?? block.count),
          query: mark.map { $0 + 1..<block.count }, fields: nothing, headers: [], host: authority.span, body: nothing,
          subject: subject.span), token: token, time: time, entropy: entropy, into: &patch)
    } catch {
      throw .evaluation(error)
    }
    var target = Buffer()
    target.append(block.span.extracting(path..<(mark ?? block.count)))
    if patch.changesQuery {
      if let query = patch.query {
        target.append(UInt8(ascii: "?"))
        target.append(patch.bytes.extracting(query))
      }
    } else if let mark {
      target.append(block.span.extracting(mark...))
    }
    var contentType = patch.body == nil ? nil : connector.bodyKind.mediaType
    var headers: [(name: String, value: Secret)] = []
    for header in patch.headers {
      let name = signer.targets.headers[header.name].text
      headers.append((name, Secret(copying: patch.bytes.extracting(header.value))))
      if name.lowercased() == "content-type" { contentType = nil }
    }
    return PreparedTokenRequest(
      method: method, origin: place.origin, target: Secret(copying: target.span), headers: headers,
      body: patch.body.map { Secret(copying: patch.bytes.extracting($0)) } ?? Secret(copying: nothing),
      contentType: contentType)
  }
}

/// A request to a token endpoint, ready but for what the HTTP client adds (`Host`, `Content-Length`, `Accept`).
public struct PreparedTokenRequest: Sendable {
  public let method: String
  /// `https://login.example.com:8443`; nil for the route's upstream.
  public let origin: String?
  /// Path and query as they stand on the request line, the upstream's base path included.
  public let target: Secret
  public let headers: [(name: String, value: Secret)]
  /// May be empty.
  public let body: Secret
  /// To send with the body, when `headers` do not say it.
  public let contentType: String?
}

/// Why a token endpoint cannot be asked.
public enum TokenRequestError: Error, Equatable, Sendable {
  case signer(SignerError)
  case evaluation(EvaluationError)

  public var message: String {
    switch self {
    case .signer(let error): error.message
    case .evaluation(let error): error.message
    }
  }
}

extension Connector.BodyKind {
  var mediaType: String {
    switch self {
    case .json: "application/json"
    case .form: "application/x-www-form-urlencoded"
    }
  }
}
