import Bytes
public import Crypto

/// A connector at work for one route on one thread: holds its secrets and its keyed contexts.
///
/// Nothing is allocated for a request once the patch has grown to its size, except where JSON is read or written.
public final class Signer {
  public let connector: Connector
  /// The names that the patch's headers refer to, and those that its query replaces.
  public let targets: Targets
  let program: Program
  /// nil for one that the connector can do without.
  let secrets: [Secret?]
  /// The route's name, then the options' values.
  let settings: [UInt8]
  let route: Range<Int>
  /// In `settings`; nil for an option that is absent.
  let options: [Range<Int>?]
  /// The program reads the query only to sort and encode it: whether only as a form, with `+` for the space. nil: it does other
  /// things with it.
  let sortedQueryIsForm: Bool?
  let digests: [Digest]
  let macs: [HMAC]
  /// Of each MAC, whether its context has its key for good. A fixed key may be absent: then there is none to have.
  /// Changed while the signer is made, and never again.
  @safe @exclusivity(unchecked) private(set) var isKeyed: [Bool]
  /// Of each call of `es256`, what signs; nil where the key differs from request to request, or is absent.
  private(set) var signers: [ES256Signer?]
  /// The connector's lists, this signer's own.
  let values: [Connector.Definition]
  let headers: [Connector.Target]
  let query: [Connector.Target]
  let body: [Connector.Target]
  /// What `nonce` and `uuid` are instead of random: a vector says so.
  var fixedNonce: String?
  var fixedUUID: String?
  /// Of the request being signed.
  var token: Token?
  /// Of the login that is under way, in the order of `OAuthLogin.names`.
  var login = OAuthLogin.none
  /// Collects what `explain` shows; nil otherwise.
  @safe @exclusivity(unchecked) var trace: [ExplainStep]?

  /// - Parameters:
  ///   - secrets: by parameter, at least the connector's `requiredSecrets`.
  ///   - options: by parameter; defaults fill in.
  public init(
    connector: Connector, secrets: [String: Secret], options: [String: String], route: String
  ) throws(SignerError) {
    self.connector = connector
    do {
      targets = try connector.targets(options: options)
    } catch {
      throw .option(error)
    }
    for name in connector.requiredSecrets(options: options) where secrets[name] == nil { throw .secretMissing(name) }
    self.secrets = connector.secrets.map { secrets[$0.name] }
    var settings = Array(route.utf8)
    self.route = 0..<settings.count
    var ranges: [Range<Int>?] = []
    for parameter in connector.options {
      let value = options[parameter.name] ?? parameter.defaultValue
      let start = settings.count
      settings += Array((value ?? "").utf8)
      ranges.append(value == nil ? nil : start..<settings.count)
    }
    self.options = ranges
    self.settings = settings
    program = connector.program.detached()
    self.values = connector.values.map { $0 }
    headers = connector.headers.map { $0 }
    query = connector.query.map { $0 }
    body = connector.body.map { $0 }
    sortedQueryIsForm = program.sortedQueryIsForm
    digests = program.digests.map { Digest($0.hash) }
    macs = program.macs.map { HMAC($0.operation.hash, key: Span()) }
    isKeyed = program.macs.map { _ in false }
    signers = program.signatures.map { _ in nil }
    try keyFixed()
  }

  /// Keys the contexts of MACs whose key is the same for every request; `keyed` then leaves them alone. Reads such keys of
  /// signatures.
  private func keyFixed() throws(SignerError) {
    var patch = Patch()
    defer { patch.forget() }
    let nothing = Span<UInt8>()
    let request = ConnectorRequest(
      block: nothing, method: 0..<0, path: 0..<0, query: nil, fields: nothing, headers: [], host: nothing,
      body: nothing, subject: nothing)
    for value in values {
      let node = value.node
      let isFixed = program.nodes[node].traits.contains(.fixed)
      patch.state.values.append(isFixed ? self.value(of: node, request, &patch) : .absent(node))
    }
    for mac in program.nodes where mac.operation.isMac && program.macs[mac.index].isFixed {
      isKeyed[mac.index] = keyed(mac, request, &patch) != nil && !patch.state.isTooLarge
    }
    for (index, call) in program.signatures.enumerated() where call.isFixed {
      do throws(ES256Error) {
        let signer = try signingKey(call.key, request, &patch)
        // What has no room or is no text is refused with the request.
        signers[index] = patch.state.isTooLarge || patch.state.failure != nil ? nil : signer
      } catch {
        throw .key(found: described(call.key), error)
      }
    }
  }

  /// Fills `patch` for one request: the new body first, then the query, then the headers, so that what is signed is what is sent.
  /// If it throws, the patch is empty and wiped.
  /// - Parameter token: of the connector's recipe, when it `needsToken`.
  public func evaluate(
    _ request: borrowing ConnectorRequest, token: Token? = nil, time: RequestTime, entropy: RequestEntropy,
    into patch: inout Patch
  ) throws(EvaluationError) {
    self.token = token
    defer { self.token = nil }
    do throws(EvaluationError) {
      // A token of another recipe has its fields in another order.
      if let token {
        if token.names != connector.tokenFields { throw .noToken }
      } else if connector.needsToken {
        throw .noToken
      }
      try fill(&patch, request, time, entropy)
    } catch {
      let reason = patch.state.failure ?? error
      patch.forget()
      throw reason
    }
  }

  private func fill(
    _ patch: inout Patch, _ request: borrowing ConnectorRequest, _ time: RequestTime, _ entropy: RequestEntropy
  ) throws(EvaluationError) {
    patch.begin()
    patch.state.time = time
    patch.state.limit = Evaluation.room + 4 * request.body.count
    patch.state.isTooLarge = false
    patch.state.body = Slice(origin: .body, range: 0..<request.body.count)
    patch.state.query = request.query.map { Slice(origin: .block, range: $0) }
    for value in values { patch.state.values.append(.absent(value.node)) }
    if connector.readsEntropy { patch.appendEntropy(entropy, fixedNonce, fixedUUID) }

    if connector.changesQuery { try removeSetNames(request, &patch) }
    try decodeQuery(request, &patch)
    define(.body, request, &patch)
    if connector.changesBody { try setBody(request, &patch) }
    define(.query, request, &patch)
    if connector.changesQuery {
      try setQuery(request, &patch)
      try decodeQuery(request, &patch)
    }
    define(.headers, request, &patch)
    try setHeaders(request, &patch)
    if let failure = patch.state.failure { throw failure }
    if patch.state.isTooLarge { throw .tooLarge }
  }

  private func define(_ phase: Connector.Phase, _ request: borrowing ConnectorRequest, _ patch: inout Patch) {
    for index in values.indices where values[index].phase == phase {
      patch.state.values[index] = value(of: values[index].node, request, &patch)
      if trace != nil {
        explain(.value, values[index].name, values[index].node, made: patch.state.values[index], request, &patch)
      }
    }
  }

  private func decodeQuery(
    _ request: borrowing ConnectorRequest, _ patch: inout Patch
  ) throws(EvaluationError) {
    guard connector.readsQuery else { return }
    patch.state.decodedQuery = 0..<0
    patch.state.canonicalQuery = nil
    guard let query = patch.state.query else { return }
    // Clients often send it sorted and encoded. Who asks for an explanation is shown the steps all the same.
    if let isForm = sortedQueryIsForm, trace == nil,
      Pair.areCanonical(span(of: query, request, patch.arena), asForm: isForm)
    {
      patch.state.canonicalQuery = query
      return
    }
    patch.scratch.clear()
    append(query, request, patch.arena, to: &patch.scratch)
    guard let row = Pair.decode(patch.scratch, into: &patch.arena, &patch.pairs) else { throw .malformedForm }
    patch.state.decodedQuery = row
  }
}

/// Why a route's signer cannot be made.
public enum SignerError: Error, Equatable, Sendable {
  /// The connector's parameter for which there is no secret.
  case secretMissing(String)
  case option(OptionError)
  /// What is stored as a key cannot sign.
  case key(found: String, ES256Error)

  public var message: String {
    switch self {
    case .secretMissing(let name): "the secret \"\(name)\" is missing"
    case .option(let error): error.message
    case .key(let found, let error): EvaluationError.key(found: found, error).message
    }
  }
}
