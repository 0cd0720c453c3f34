import Bytes
import Crypto
import JSON

/// Reads a connector's file: its shape here, its strings by the `Checker`, its vectors at the end.
///
/// All mistakes are reported, each where it lies.
struct ConnectorReader {
  private(set) var source: Source
  var diagnostics: [Diagnostic] = []
  /// What the file calls its connector, and where.
  private(set) var name: (text: String, value: JSONValue)?
  var parts = Connector.Parts()
  var checker = Checker(scope: Scope())
  /// Whether somebody has to begin a session (a user logs in, an agent shakes hands), and what of the connector's parameters
  /// it is bound to then.
  var isLogin = false
  var loginIdentity: (secrets: [String], options: [String]) = ([], [])

  private static let keys = [
    "connector", "title", "about", "secrets", "options", "token", "oauth", "handshake", "values", "set", "vectors",
  ]
  /// Each is evaluated for every request.
  private static let mostValues = 100

  init(_ source: Source) {
    self.source = source
  }

  mutating func read() -> Connector? {
    let (value, problems) = JSONReader.read(source, limits: JSONLimits(bytes: 1 << 20, depth: 16))
    diagnostics = problems
    guard let value else { return nil }
    guard let members = object(value, "a connector") else { return nil }
    for member in members where !ConnectorReader.keys.contains(member.key) { unknown(member, ConnectorReader.keys) }
    readName(value)
    parts.title = text(value["title"]) ?? ""
    parts.definition = ConnectorReader.digest(source.bytes)
    _ = text(value["about"])
    readOptions(value["options"])
    readSecrets(value["secrets"])
    if let oauth = value["oauth"] { readOAuth(oauth, in: value) }
    if let handshake = value["handshake"] { readHandshake(handshake, in: value) }
    if let token = value["token"] { readToken(token) }
    declareTargets(value["set"])
    readValues(value["values"])
    if let set = value["set"] {
      readSet(object(set, "\"set\"") ?? [], keys: ConnectorReader.setKeys)
    } else {
      error("\"set\" is missing: the connector would do nothing", at: value)
    }
    if diagnostics.contains(where: { $0.severity == .error }) { return nil }
    reportUnused(value)
    let connector = Connector(parts, scope: checker.scope, program: checker.program)
    var vectors = VectorReader(source: source, connector: connector)
    vectors.read(value["vectors"])
    diagnostics += vectors.diagnostics
    return vectors.diagnostics.isEmpty ? connector : nil
  }

  private static func digest(_ bytes: [UInt8]) -> [UInt8] {
    let digest = Digest(.sha256)
    digest.update(bytes.span)
    var result = Buffer()
    digest.finish(into: &result)
    return Array(result.span)
  }

  // MARK: Declarations

  private mutating func readName(_ root: JSONValue) {
    guard let value = root["connector"] else {
      diagnostics.append(
        source.diagnostic("\"connector\" is missing", at: root, help: "name it: \"connector\": \"acme\""))
      return
    }
    guard let name = text(value) else { return }
    guard ConnectorReader.isName(name, dashes: true) else {
      error("a connector's name is made of lower-case letters, digits, - and _", at: value)
      return
    }
    parts.name = name
    self.name = (name, value)
  }

  private mutating func readSecrets(_ value: JSONValue?) {
    for member in object(value, "\"secrets\"") ?? [] {
      guard isDeclarable(member), let details = object(member.value, "a secret") else { continue }
      let keys = ["about", "required", "unless"]
      for detail in details where !keys.contains(detail.key) { unknown(detail, keys) }
      let unless = member.value["unless"].flatMap { readUnless($0) }
      let required = flag(member.value["required"]) ?? true
      parts.secrets.append(
        Parameter(
          name: member.key, about: text(member.value["about"]) ?? "", required: required && unless == nil,
          unless: unless))
    }
    checker.scope.secrets = parts.secrets
  }

  /// `{ "client_auth": "none" }`: an option's value with which the secret is not needed.
  private mutating func readUnless(_ value: JSONValue) -> Parameter.Unless? {
    guard let members = object(value, "\"unless\"") else { return nil }
    guard members.count == 1, let member = members.first else {
      error("\"unless\" names one option and its value", at: value)
      return nil
    }
    guard let option = parts.options.first(where: { $0.name == member.key }) else {
      let meant = closest(to: member.key, among: parts.options.map(\.name)).map { "did you mean \"\($0)\"?" }
      diagnostics.append(source.diagnostic("unknown option \"\(member.key)\"", atKey: member, help: meant))
      return nil
    }
    guard let wanted = text(member.value) else { return nil }
    if !option.values.isEmpty, !option.values.contains(wanted) {
      error("the option \"\(option.name)\" never has this value", at: member.value)
    }
    return Parameter.Unless(option: option.name, value: wanted)
  }

  private mutating func flag(_ value: JSONValue?) -> Bool? {
    guard let value else { return nil }
    if value.bool == nil { error("expected true or false, found \(value.kindName)", at: value) }
    return value.bool
  }

  private mutating func readOptions(_ value: JSONValue?) {
    for member in object(value, "\"options\"") ?? [] {
      guard isDeclarable(member), let details = object(member.value, "an option") else { continue }
      let keys = ["about", "default", "required", "values", "json"]
      for detail in details where !keys.contains(detail.key) { unknown(detail, keys) }
      let standard = text(member.value["default"])
      if let standard { refuseSecret(standard, at: member.value["default"] ?? member.value) }
      var required = standard == nil
      if let value = member.value["required"], let flag = flag(value) {
        required = flag
        if flag, standard != nil { error("an option with a default is never required", at: value) }
      }
      let values = texts(member.value["values"])
      if let standard, !values.isEmpty, !values.contains(standard) {
        error("the default is none of the option's \"values\"", at: member.value["default"] ?? member.value)
      }
      parts.options.append(
        Parameter(
          name: member.key, about: text(member.value["about"]) ?? "", defaultValue: standard, required: required,
          values: values, isJSON: flag(member.value["json"]) ?? false))
    }
    checker.scope.options = parts.options
  }

  /// An array of strings.
  mutating func texts(_ value: JSONValue?) -> [String] {
    guard let value else { return [] }
    guard let array = value.array else {
      error("expected an array of strings, found \(value.kindName)", at: value)
      return []
    }
    return array.compactMap { text($0) }
  }

  mutating func isDeclarable(_ member: JSONMember) -> Bool {
    if ConnectorReader.isName(member.key, dashes: false) { return true }
    error("a name is made of lower-case letters, digits and _, and begins with a letter", atKey: member)
    return false
  }

  static func isName(_ text: String, dashes: Bool) -> Bool {
    guard let first = text.utf8.first, first &- UInt8(ascii: "a") < 26 else { return false }
    return text.utf8.allSatisfy {
      $0 &- UInt8(ascii: "a") < 26 || $0 &- UInt8(ascii: "0") < 10 || $0 == UInt8(ascii: "_")
        || dashes && $0 == UInt8(ascii: "-")
    }
  }

  /// The headers that will be set cannot be read, wherever an expression stands: so they are collected first. Once a load.
  mutating func declareTargets(_ set: JSONValue?) {
    for member in set?["headers"]?.members ?? [] {
      checker.scope.setHeaders.insert(ConnectorReader.target(member.key).name.lowercased())
    }
  }

  static func target(_ key: String) -> (name: String, isOptional: Bool) {
    key.hasSuffix("?") ? (String(key.dropLast()), true) : (key, false)
  }

  // MARK: Values

  private mutating func readValues(_ value: JSONValue?) {
    let members = object(value, "\"values\"") ?? []
    if let value, members.count > ConnectorReader.mostValues {
      error("more than \(ConnectorReader.mostValues) values", at: value)
      return
    }
    checker.scope.values = members.map { member in
      Scope.Value(name: member.key, mentions: member.value.string.map(ExpressionParser.names(in:)) ?? [])
    }
    for (index, member) in members.enumerated() {
      let isFree =
        RequestName.table[member.key] == nil && !RequestName.families.contains(member.key)
      if isDeclarable(member), !isFree { error("\"\(member.key)\" is a name of the language already", atKey: member) }
      let node = compile(member.value)
      checker.scope.values[index].node = node
      checker.scope.values[index].isDefined = true
      parts.values.append(Connector.Definition(name: member.key, node: node ?? 0))
    }
  }

  /// Compiles a string and reports what is wrong with it.
  mutating func compile(_ value: JSONValue) -> Int? {
    guard let text = text(value) else { return nil }
    let before = checker.program.nodes.count
    let node = checker.compile(text)
    report(in: value)
    for literal in checker.program.nodes[before...] where literal.operation == .literal {
      // It is in the file's text anyhow: what looks like a secret there is refused, and masked in the message.
      refuseSecret(String(decoding: checker.program.literal(literal), as: UTF8.self), at: value)
    }
    return node
  }

  private mutating func refuseSecret(_ text: String, at value: JSONValue) {
    guard InlineSecret.looksLikeSecret(text) else { return }
    source.masked.append(value.position.offset..<value.position.offset + value.sourceCount)
    source.masked.sort { $0.lowerBound < $1.lowerBound }
    error(
      "text here looks like a secret, and this file is in the open", at: value,
      help: "declare it under \"secrets\", and store it with `chatelaine secret set`")
  }

  private mutating func report(in value: JSONValue) {
    for error in checker.errors {
      diagnostics.append(source.diagnostic(error.message, in: value, decoded: error.range, help: error.suggestion))
    }
  }

  // MARK: Targets

  static let setKeys = ["headers", "query", "json", "form"]

  /// - Parameter keys: those that may be there, with `setKeys` among them.
  mutating func readSet(_ members: [JSONMember], keys: [String]) {
    for member in members {
      switch member.key {
      case "headers": parts.headers = readTargets(member.value, .headers)
      case "query": parts.query = readTargets(member.value, .query)
      case "json", "form":
        if !parts.body.isEmpty { error("a body is either JSON or a form", atKey: member) }
        parts.bodyKind = member.key == "json" ? .json : .form
        parts.body = readTargets(member.value, .body)
      default: if !keys.contains(member.key) { unknown(member, keys) }
      }
    }
  }

  private mutating func readTargets(_ value: JSONValue, _ phase: Connector.Phase) -> [Connector.Target] {
    var targets: [Connector.Target] = []
    var seen: Set<String> = []
    for member in object(value, "this") ?? [] {
      let (name, isOptional) = ConnectorReader.target(member.key)
      let key = JSONValue(.string(member.key), position: member.keyPosition, sourceCount: member.keySourceCount)
      if !seen.insert(name.lowercased()).inserted {
        error("\"\(name)\" is set twice: case makes no difference", atKey: member)
      }
      let nameNode = compileName(name, key)
      if phase == .headers, let nameNode, checker.program.nodes[nameNode].operation == .literal {
        checkHeader(name, member)
      }
      guard let node = compileTarget(member.value), let nameNode else { continue }
      let traits = checker.program.nodes[node].traits
      if isOptional, !traits.contains(.optional) {
        diagnostics.append(
          source.diagnostic(
            "this is never absent, so the ? after the name says nothing", atKey: member, severity: .warning))
      }
      targets.append(Connector.Target(name: nameNode, node: node, isOptional: isOptional))
    }
    return targets
  }

  private mutating func compileName(_ name: String, _ key: JSONValue) -> Int? {
    let node = checker.compile(name)
    report(in: key)
    guard let node else { return nil }
    if name.isEmpty { error("an empty name", at: key) }
    let isPlain = isPlain(node)
    if !isPlain { error("a name is made of text and options that always have a value", at: key) }
    return isPlain ? node : nil
  }

  func isPlain(_ index: Int) -> Bool {
    let node = checker.program.nodes[index]
    return switch node.operation {
    case .literal: true
    case .option: !node.traits.contains(.optional)
    case .concat: checker.program.children(of: index).allSatisfy(isPlain)
    default: false
    }
  }

  private mutating func checkHeader(_ name: String, _ member: JSONMember) {
    if !HeaderName.isToken(name) {
      error("not a header name", atKey: member)
    } else if HeaderName.belongsToProxy(name) {
      error("the header \"\(name)\" is the proxy's own: no connector sets it", atKey: member)
    }
  }

  mutating func compileTarget(_ value: JSONValue) -> Int? {
    guard let node = compile(value) else { return nil }
    let found = checker.program.nodes[node]
    if found.type == .pairs {
      error("this is pairs, which have no one text", at: value, help: "form_encode(…) or join('&', …) writes them")
    } else if found.traits.contains(.binary) {
      error("this is raw binary", at: value, help: "wrap it in hex(…) or base64(…)")
    }
    return node
  }

  private mutating func reportUnused(_ root: JSONValue) {
    for member in root["secrets"]?.members ?? [] where !checker.scope.usedSecrets.contains(member.key) {
      diagnostics.append(
        source.diagnostic("the secret \"\(member.key)\" is never used", atKey: member, severity: .warning))
    }
    for member in root["options"]?.members ?? [] where !checker.scope.usedOptions.contains(member.key) {
      diagnostics.append(
        source.diagnostic("the option \"\(member.key)\" is never used", atKey: member, severity: .warning))
    }
    for member in root.members ?? [] where member.key == "token" && !checker.scope.reads.token {
      diagnostics.append(source.diagnostic("the token is never used", atKey: member, severity: .warning))
    }
  }

  // MARK: Shapes

  /// Members in their order; nil, reported, when the value is there and is no object.
  mutating func object(_ value: JSONValue?, _ what: String) -> [JSONMember]? {
    guard let value else { return nil }
    if let members = value.members { return members }
    error("\(what) is an object, found \(value.kindName)", at: value)
    return nil
  }

  mutating func text(_ value: JSONValue?) -> String? {
    guard let value else { return nil }
    if let text = value.string { return text }
    error("expected a string, found \(value.kindName)", at: value)
    return nil
  }

  mutating func unknown(_ member: JSONMember, _ keys: [String]) {
    let meant = closest(to: member.key, among: keys).map { "did you mean \"\($0)\"?" }
    let known = "known here: " + keys.map { "\"\($0)\"" }.joined(separator: ", ")
    diagnostics.append(source.diagnostic("unknown key \"\(member.key)\"", atKey: member, help: meant ?? known))
  }

  mutating func error(_ message: String, at value: JSONValue, help: String? = nil) {
    diagnostics.append(source.diagnostic(message, at: value, help: help))
  }

  mutating func error(_ message: String, atKey member: JSONMember) {
    diagnostics.append(source.diagnostic(message, atKey: member))
  }
}
