/// What a node does. The names first, then the functions.
enum Operation: UInt8, Sendable {
  case literal, number
  case method, path, query, rawQuery, target, host, body, now, nowMS, nonce, uuid, route, subject
  case header, secret, option, token, value
  /// Of a login, in the order of `OAuthLogin.names`.
  case state, redirectURI, scope, code, codeVerifier

  case md5, sha1, sha256, sha384, sha512
  case hmacSHA1, hmacSHA256, hmacSHA384, hmacSHA512
  case es256
  case hex, base64, base64URL, lower, upper, percentEncode, formEncode, jsonString
  case sort, concat, join, json, jwtClaim, time, add, or, when

  /// Of a login: which of its fields.
  var loginField: Int? {
    (Operation.state.rawValue...Operation.codeVerifier.rawValue).contains(rawValue)
      ? Int(rawValue - Operation.state.rawValue) : nil
  }

  var isDigest: Bool { rawValue >= Operation.md5.rawValue && rawValue <= Operation.sha512.rawValue }
  var isMac: Bool { rawValue >= Operation.hmacSHA1.rawValue && rawValue <= Operation.hmacSHA512.rawValue }
  /// Raw bytes that nothing can be read back from.
  var isOneWay: Bool { isDigest || isMac || self == .es256 }
}

/// One checked step of an expression: plain data, so that reading one costs a load.
struct Node: Sendable {
  struct Traits: OptionSet, Sendable {
    let rawValue: UInt8
    /// May turn out absent; only `or` and an optional target resolve that.
    static let optional = Traits(rawValue: 1)
    /// Raw bytes of a digest or signature, which no header can carry.
    static let binary = Traits(rawValue: 2)
    /// The same for every request of a route: made of literals, options and secrets only.
    static let fixed = Traits(rawValue: 4)
    /// A secret could be read back from it, or it is as good as one: `explain` masks it. See `deriveSecrecy`.
    static let secret = Traits(rawValue: 8)
    /// A digest, MAC or signature that a secret went into, with something of the request.
    static let derived = Traits(rawValue: 16)
    /// Nothing that differs from one request to the next but the time, the host and for whom it is.
    static let constant = Traits(rawValue: 32)
    /// Something of the token went into it: without one it is nothing.
    static let token = Traits(rawValue: 64)
  }

  var operation: Operation
  var type: ValueType
  var traits: Traits
  /// What the operation is about: the index of a header, secret, option, value, context or format; a literal's start; a number.
  var payload: Int64 = 0
  /// A literal's length.
  var length: Int = 0
  var firstChild = 0
  var childCount = 0

  var index: Int { Int(payload) }
}

/// A connector's expressions, flat: nodes name their children by index, so that walking them touches no reference count.
struct Program: Sendable {
  /// A call of a MAC: its context is kept with its key when the key is fixed.
  struct Mac: Sendable {
    var operation: Operation
    var key: Int
    var isFixed: Bool
  }

  /// A call of `es256`: its key is read once when it is fixed.
  struct Signature: Sendable {
    var key: Int
    var isFixed: Bool
  }

  var nodes: [Node] = []
  /// The children of all nodes, each node's in a row.
  private(set) var edges: [Int] = []
  /// All literal text, one piece after another.
  private(set) var literals: [UInt8] = []
  /// One reusable context for each call of a digest.
  private(set) var digests: [Operation] = []
  private(set) var macs: [Mac] = []
  private(set) var signatures: [Signature] = []
  private(set) var formats: [TimeFormat] = []
  private(set) var paths: [JSONPath] = []

  /// - Returns: the node's index.
  mutating func add(_ node: Node, children: [Int] = []) -> Int {
    var node = node
    if node.operation.isDigest {
      node.payload = Int64(digests.count)
      digests.append(node.operation)
    }
    if node.operation.isMac {
      node.payload = Int64(macs.count)
      macs.append(Mac(operation: node.operation, key: children[0], isFixed: nodes[children[0]].traits.contains(.fixed)))
    }
    if node.operation == .es256 {
      node.payload = Int64(signatures.count)
      signatures.append(Signature(key: children[0], isFixed: nodes[children[0]].traits.contains(.fixed)))
    }
    node.firstChild = edges.count
    node.childCount = children.count
    edges += children
    nodes.append(node)
    return nodes.count - 1
  }

  mutating func addLiteral(_ bytes: [UInt8]) -> Int {
    literals += bytes
    return add(
      Node(
        operation: .literal, type: .bytes, traits: .fixed, payload: Int64(literals.count - bytes.count),
        length: bytes.count))
  }

  mutating func add(_ format: TimeFormat) -> Int64 {
    formats.append(format)
    return Int64(formats.count - 1)
  }

  mutating func add(_ path: JSONPath) -> Int64 {
    paths.append(path)
    return Int64(paths.count - 1)
  }

  /// The node encodes the sorted query, and nothing else.
  func isOfSortedQuery(_ node: Node) -> Bool {
    guard node.operation == .formEncode || node.operation == .percentEncode else { return false }
    let sorted = nodes[edges[node.firstChild]]
    return sorted.operation == .sort && nodes[edges[sorted.firstChild]].operation == .query
  }

  /// Whether the query is read only by nodes that encode it sorted; if so, whether all of them write a form.
  var sortedQueryIsForm: Bool? {
    let encoders = nodes.filter(isOfSortedQuery)
    let sorts = Set(encoders.map { edges[$0.firstChild] })
    let queries = Set(sorts.map { edges[nodes[$0].firstChild] })
    for index in nodes.indices {
      if nodes[index].operation == .query, !queries.contains(index) { return nil }
      for child in children(of: index) {
        if sorts.contains(child), !isOfSortedQuery(nodes[index]) { return nil }
        if queries.contains(child), !sorts.contains(index) { return nil }
      }
    }
    return encoders.isEmpty ? nil : encoders.allSatisfy { $0.operation == .formEncode }
  }

  func children(of node: Int) -> ArraySlice<Int> {
    edges[nodes[node].firstChild..<nodes[node].firstChild + nodes[node].childCount]
  }

  func literal(_ node: Node) -> [UInt8] {
    Array(literals[node.index..<node.index + node.length])
  }

  /// A copy that shares no memory, so that one loop's walk never touches another's cache lines.
  func detached() -> Program {
    var copy = Program()
    copy.nodes = nodes.map { $0 }
    copy.edges = edges.map { $0 }
    copy.literals = literals.map { $0 }
    copy.digests = digests.map { $0 }
    copy.macs = macs.map { $0 }
    copy.signatures = signatures.map { $0 }
    copy.formats = formats.map { $0 }
    copy.paths = paths.map { $0 }
    return copy
  }
}
