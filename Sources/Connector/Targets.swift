import Bytes

/// The names that a connector sets on a route, its options filled in: what the caller sent under them is removed.
public struct Targets: Sendable, Equatable {
  public struct Name: Sendable, Equatable {
    public let text: String
    public let bytes: [UInt8]
    /// As it stands in a query or form.
    let encoded: [UInt8]

    init(_ text: String) {
      self.text = text
      let bytes = Array(text.utf8)
      self.bytes = bytes
      var encoded = Buffer()
      encoded.appendPercentEncoded(bytes.span)
      self.encoded = Array(encoded.span)
    }
  }

  public var headers: [Name] = []
  public var query: [Name] = []
  /// Members of the JSON object, or fields of the form.
  public var body: [Name] = []

  /// Case counts for nothing, as far as ASCII goes.
  static func contains(_ name: Span<UInt8>, _ names: [Name]) -> Bool {
    for candidate in names {
      let bytes = candidate.bytes
      if bytes.span.equalsIgnoringCase(name) { return true }
    }
    return false
  }
}

/// What is wrong with a route's options.
public enum OptionError: Error, Equatable, Sendable {
  case unknown(String)
  case missing(String)
  /// It has a control character, or makes a name that cannot be set.
  case invalid(String, reason: String)

  public var message: String {
    switch self {
    case .unknown(let name): "unknown option \"\(name)\""
    case .missing(let name): "the option \"\(name)\" is missing"
    case .invalid(let name, let reason): "the option \"\(name)\" \(reason)"
    }
  }
}

extension Connector {
  /// Checks a route's options and says what will be set with them.
  public func targets(options given: [String: String]) throws(OptionError) -> Targets {
    for (name, value) in given.sorted(by: { $0.key < $1.key }) {
      guard options.contains(where: { $0.name == name }) else { throw .unknown(name) }
      if value.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) {
        throw .invalid(name, reason: "contains a control character")
      }
    }
    for option in options where !option.values.isEmpty {
      if let value = given[option.name], !option.values.contains(value) {
        throw .invalid(option.name, reason: "is none of \(option.values.map { "\"\($0)\"" }.joined(separator: ", "))")
      }
    }
    for option in options where option.required && given[option.name] == nil { throw .missing(option.name) }
    var targets = Targets()
    for target in headers {
      let name = text(of: target.name, given)
      try check(header: name, target, targets.headers)
      targets.headers.append(Targets.Name(name))
    }
    for target in query { targets.query.append(try plain(target, given, targets.query)) }
    for target in body { targets.body.append(try plain(target, given, targets.body)) }
    for request in endpoints { _ = try request.location(options: given) }
    try oauth?.check(options: given)
    if handshake == .ath { _ = try AgentIdentity(given, of: self) }
    return targets
  }

  /// A name made of text and options.
  func text(of node: Int, _ given: [String: String]) -> String {
    let part = program.nodes[node]
    switch part.operation {
    case .literal: return String(decoding: program.literal(part), as: UTF8.self)
    case .option: return given[options[part.index].name] ?? options[part.index].defaultValue ?? ""
    default: return program.children(of: node).map { text(of: $0, given) }.joined()
    }
  }

  private func plain(
    _ target: Target, _ given: [String: String], _ others: [Targets.Name]
  ) throws(OptionError) -> Targets.Name {
    let name = text(of: target.name, given)
    if name.isEmpty { throw .invalid(option(in: target.name), reason: "makes an empty name") }
    try checkUnique(name, target, others)
    return Targets.Name(name)
  }

  private func check(header name: String, _ target: Target, _ others: [Targets.Name]) throws(OptionError) {
    if !HeaderName.isToken(name) {
      throw .invalid(option(in: target.name), reason: "makes a header name with other than letters, digits and -")
    }
    if HeaderName.belongsToProxy(name) {
      throw .invalid(option(in: target.name), reason: "makes the header \(name), which the proxy alone sets")
    }
    try checkUnique(name, target, others)
  }

  private func checkUnique(_ name: String, _ target: Target, _ others: [Targets.Name]) throws(OptionError) {
    if others.contains(where: { $0.text.lowercased() == name.lowercased() }) {
      throw .invalid(option(in: target.name), reason: "makes a name that is set twice: \(name)")
    }
  }

  func option(in node: Int) -> String {
    if program.nodes[node].operation == .option { return options[program.nodes[node].index].name }
    return program.children(of: node).map { option(in: $0) }.first { !$0.isEmpty } ?? ""
  }
}
