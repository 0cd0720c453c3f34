public import JSON

/// A vendor's recipe, read from a file and checked: what it needs, what it signs and where it goes.
///
/// It holds no secret and never changes, so all threads share one. A `Signer` puts it to work.
public final class Connector: Sendable {
  public let name: String
  public let title: String
  /// A digest of the file that it was read from: with the same, all that it does is the same.
  public let definition: [UInt8]
  public let secrets: [Parameter]
  public let options: [Parameter]
  /// Bodies are buffered up to the route's limit when true, and stream when not.
  public let readsBody: Bool
  /// Whether `nonce` or `uuid` is used: `RequestEntropy` must then be random.
  public let readsEntropy: Bool
  public let readsSubject: Bool
  let readsTime: Bool
  /// Whether there are ECDSA signatures in it: the same request is then signed differently each time.
  public var signsAtRandom: Bool { !program.signatures.isEmpty }
  /// Requests are signed with a token: without one there is none to send.
  public let needsToken: Bool
  /// How tokens are got; nil for a connector without them.
  public let token: TokenRecipe?
  /// How users log in; nil for a connector whose tokens are got without. There is a token, and perhaps a different one, for
  /// each subject then.
  public let oauth: OAuthRecipe?
  /// The protocol in code that tokens come from; nil for a connector without one. Each subject has a token of its own then.
  public let handshake: Handshake?
  /// Of the tokens that expressions read; the recipe's `fieldNames`.
  let tokenFields: [String]
  /// Headers whose values expressions use, in lower case.
  public let readHeaders: [String]
  public let changesQuery: Bool
  public let changesBody: Bool

  let program: Program
  let values: [Definition]
  let headers: [Target]
  let query: [Target]
  let body: [Target]
  let bodyKind: BodyKind
  /// The query is written as a form is: a space is `+`.
  let queryIsForm: Bool
  let readsQuery: Bool

  enum BodyKind: Sendable {
    case json, form
  }

  /// A request is changed in this order, and what is read is as it stands then: headers sign the query and body as sent.
  enum Phase: UInt8, Comparable, Sendable {
    case body, query, headers

    static func < (a: Phase, b: Phase) -> Bool { a.rawValue < b.rawValue }
  }

  /// One of `values`, with the first phase that needs it.
  struct Definition: Sendable {
    var name: String
    var node: Int
    var phase = Phase.headers
  }

  /// One entry of `set`.
  struct Target: Sendable {
    /// Text and options only.
    var name: Int
    var node: Int
    /// Left out when its value is absent; written with a `?` after the name.
    var isOptional: Bool
  }

  /// Checked parts, as the reader found them.
  struct Parts {
    var name = ""
    var title = ""
    var definition: [UInt8] = []
    var secrets: [Parameter] = []
    var options: [Parameter] = []
    var token: TokenRecipe?
    var oauth: OAuthRecipe?
    var handshake: Handshake?
    var tokenFields: [String] = []
    var values: [Definition] = []
    var headers: [Target] = []
    var query: [Target] = []
    var body: [Target] = []
    var bodyKind = BodyKind.json
    var queryIsForm = false
  }

  init(_ parts: Parts, scope: Scope, program: Program) {
    name = parts.name
    title = parts.title
    definition = parts.definition
    secrets = parts.secrets
    options = parts.options
    headers = parts.headers
    query = parts.query
    body = parts.body
    bodyKind = parts.bodyKind
    queryIsForm = parts.queryIsForm
    changesQuery = !parts.query.isEmpty
    changesBody = !parts.body.isEmpty
    readsBody = scope.reads.body || !parts.body.isEmpty
    readsQuery = scope.reads.query
    readsEntropy = scope.reads.entropy
    readsSubject = scope.reads.subject || parts.oauth != nil || parts.handshake != nil
    readsTime = scope.reads.time
    token = parts.token
    oauth = parts.oauth
    handshake = parts.handshake
    tokenFields = parts.tokenFields
    needsToken = parts.token != nil && scope.reads.token
    readHeaders = scope.readHeaders
    var values = parts.values
    for target in parts.body { program.mark(target.node, .body, &values) }
    for target in parts.query { program.mark(target.node, .query, &values) }
    self.values = values
    var program = program
    program.deriveSecrecy(values, body: parts.body, query: parts.query)
    self.program = program
  }

  /// Reads, checks and tests a connector: its own vectors are run, and a wrong one is an error like any other.
  /// - Parameters:
  ///   - source: the file's bytes, JSON with comments.
  ///   - file: its name in messages.
  /// - Returns: nil in place of a connector that has an error; warnings come with one.
  public static func compile(source: [UInt8], file: String) -> (connector: Connector?, diagnostics: [Diagnostic]) {
    var reader = ConnectorReader(Source(file: file, bytes: source))
    let connector = reader.read()
    return (connector, Diagnostic.sorted(reader.diagnostics))
  }
}

/// A secret or option that a route gives to its connector.
public struct Parameter: Sendable, Equatable {
  public let name: String
  /// What it is, for people.
  public let about: String
  public let defaultValue: String?
  /// Whether the route must give it: false with a default, and for what may be absent.
  public let required: Bool
  /// Of an option: the only ones that it can have; empty for any.
  public let values: [String]
  /// Of an option: a route may give it as an object or an array, and it is the text of that.
  public let isJSON: Bool
  /// Of a secret: an option and the value with which there is no need of it. It is not `required` then.
  public let unless: Unless?

  public struct Unless: Sendable, Equatable {
    public let option: String
    public let value: String
  }

  public init(
    name: String, about: String, defaultValue: String? = nil, required: Bool, values: [String] = [],
    isJSON: Bool = false, unless: Unless? = nil
  ) {
    self.name = name
    self.about = about
    self.defaultValue = defaultValue
    self.required = required
    self.values = values
    self.isJSON = isJSON
    self.unless = unless
  }
}

extension Connector {
  /// Whatever is asked beside the upstream's own resources, by the daemon or by a user's browser.
  public var endpoints: [TokenRequest] { (token?.requests ?? []) + (oauth.map { [$0.authorize, $0.exchange] } ?? []) }

  /// The secrets that it cannot do without, given these options.
  public func requiredSecrets(options given: [String: String]) -> [String] {
    secrets.filter { secret in
      guard let unless = secret.unless else { return secret.required }
      let standard = options.first { $0.name == unless.option }?.defaultValue
      return given[unless.option] ?? standard != unless.value
    }.map(\.name)
  }
}

extension Program {
  /// Notes that everything under a node is needed in a phase already.
  func mark(_ node: Int, _ phase: Connector.Phase, _ values: inout [Connector.Definition]) {
    if nodes[node].operation == .value {
      let index = nodes[node].index
      guard phase < values[index].phase else { return }
      values[index].phase = phase
      mark(values[index].node, phase, &values)
    }
    for child in children(of: node) { mark(child, phase, &values) }
  }
}
