import Bytes
public import Crypto

/// How users log in: a connector's `oauth` block, checked (RFC 6749 §4.1). The answer is read by its `token` block.
public final class OAuthRecipe: Sendable {
  /// What a browser is sent to; only its query is ours.
  let authorize: TokenRequest
  /// The request that turns a code into a token.
  public let exchange: TokenRequest
  /// The programs of the next three, which are text and options; nil for one that the file does not have.
  private let settings: Connector
  private let nodes: Settings

  struct Settings: Sendable {
    var scope: Int?
    var issuer: Int?
    var redirectURI: Int?
  }

  init(authorize: TokenRequest, exchange: TokenRequest, settings: Connector, nodes: Settings) {
    self.authorize = authorize
    self.exchange = exchange
    self.settings = settings
    self.nodes = nodes
  }

  /// What is asked for when the login does not say.
  public func scope(options: [String: String]) -> String? { text(nodes.scope, options) }

  /// Who the provider is: the callback must then say the same, byte for byte (RFC 9207).
  public func issuer(options: [String: String]) -> String? { text(nodes.issuer, options) }

  /// Where the provider sends the browser back to; nil for the daemon's own callback.
  public func redirectURI(options: [String: String]) -> String? { text(nodes.redirectURI, options) }

  private func text(_ node: Int?, _ given: [String: String]) -> String? {
    guard let node else { return nil }
    let text = settings.text(of: node, given)
    return text.isEmpty ? nil : text
  }

  /// - Throws: `OptionError.invalid` for what no provider takes.
  func check(options given: [String: String]) throws(OptionError) {
    if let node = nodes.redirectURI, let uri = redirectURI(options: given), !OAuthRecipe.isRedirectURI(uri) {
      throw .invalid(
        settings.option(in: node),
        reason: "is no redirect URI: one is like https://app.example.com/back, without a fragment")
    }
    if let node = nodes.issuer, let issuer = issuer(options: given), !OAuthRecipe.isIssuer(issuer) {
      throw .invalid(settings.option(in: node), reason: "is no issuer: one is like https://login.example.com")
    }
  }

  /// Absolute, without a fragment (RFC 6749 §3.1.2); the scheme may be an app's own (RFC 8252 §7.1).
  public static func isRedirectURI(_ text: String) -> Bool {
    guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")), let first = text.utf8.first else { return false }
    let isLetter = { (byte: UInt8) in (byte | 0x20) &- UInt8(ascii: "a") < 26 }
    return isLetter(first)
      && text.utf8[..<colon].allSatisfy { isLetter($0) || $0 &- 0x30 < 10 || "+-.".utf8.contains($0) }
      && text.utf8.index(after: colon) < text.utf8.endIndex
      && text.utf8.allSatisfy { 0x21...0x7E ~= $0 && $0 != UInt8(ascii: "#") }
  }

  /// A URL without a query or fragment (RFC 8414 §2).
  private static func isIssuer(_ text: String) -> Bool {
    ["https://", "http://"].contains { text.hasPrefix($0) && text.utf8.count > $0.utf8.count }
      && text.utf8.allSatisfy { 0x21...0x7E ~= $0 && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
  }

  /// Where to send the user's browser: a whole URL, all of it visible ASCII.
  /// - Parameter upstream: `https://host[:port][/base]`, the base path without a slash at its end.
  public func authorizationURL(
    _ login: OAuthLogin, secrets: [String: Secret], options: [String: String], route: String, subject: String,
    upstream: String, time: RequestTime, entropy: RequestEntropy
  ) throws(TokenRequestError) -> String {
    let scheme = upstream.prefix { $0 != ":" } + "://"
    let rest = upstream.dropFirst(scheme.count)
    let authority = rest.prefix { $0 != "/" }
    let made = try authorize.prepare(
      secrets: secrets, options: options, route: route, subject: subject, token: nil, login: login,
      host: String(authority), basePath: String(rest.dropFirst(authority.count)), time: time, entropy: entropy)
    return (made.origin ?? String(scheme + authority)) + String(made.target.span)
  }
}

/// One login under way: what the names of an `oauth` block stand for.
public struct OAuthLogin: Sendable {
  /// What the browser carries there and back.
  public var state: String
  public var redirectURI: String
  /// With spaces between; nil asks for what the provider thinks fit.
  public var scope: String?
  /// Of PKCE: 43 to 128 unreserved characters (RFC 7636 §4.1).
  public var verifier: Secret
  /// What the browser brought back; nil before it does.
  public var code: Secret?

  public init(state: String, redirectURI: String, scope: String?, verifier: Secret, code: Secret? = nil) {
    self.state = state
    self.redirectURI = redirectURI
    self.scope = scope
    self.verifier = verifier
    self.code = code
  }

  /// In the order of `Operation`'s cases.
  static let names: [(text: String, operation: Operation)] = [
    ("state", .state), ("redirect_uri", .redirectURI), ("scope", .scope), ("code", .code),
    ("code_verifier", .codeVerifier),
  ]

  /// In the order of `names`.
  var fields: [Secret?] {
    let texts = [state, redirectURI, scope].map { $0.map { Secret(copying: Array($0.utf8).span) } }
    return texts + [code, verifier]
  }

  static let none = [Secret?](repeating: nil, count: names.count)
}

extension OAuthLogin: CustomStringConvertible, CustomReflectable {
  public var description: String { "•••" }
  public var customMirror: Mirror { Mirror(self, children: []) }
}
