import Bytes
import JSON

/// The `token` block. Each request in it is a small connector of its own, with the names that mean something there.
extension ConnectorReader {
  private static let tokenKeys = [
    "fetch", "refresh", "accept_when", "retry_when", "read", "error_message", "renew_before", "reject_when",
    "revoked_when", "identity",
  ]
  private static let requestKeys = ["method", "path", "url"] + setKeys
  private static let browserKeys = ["path", "url", "query"]

  /// Without `read` an answer is read as RFC 6749 §5.1 has it.
  private static let standard = TokenRecipe.Reading(
    accessToken: JSONPath.known("access_token"), expiry: .in(JSONPath.known("expires_in")),
    refreshToken: JSONPath.known("refresh_token"), tokenType: JSONPath.known("token_type"))

  mutating func readToken(_ value: JSONValue) {
    guard let members = object(value, "\"token\"") else { return }
    for member in members where !ConnectorReader.tokenKeys.contains(member.key) {
      unknown(member, ConnectorReader.tokenKeys)
    }
    var recipe = TokenRecipe.Parts()
    let hasPlaces = value["read"].map { !($0.members ?? []).allSatisfy { $0.key == "fields" } } ?? false
    let reading = hasPlaces ? value["read"].flatMap { readReading($0) } : ConnectorReader.standard
    let fields = readFields(value["read"]?["fields"], into: &recipe)
    let names = Token.standardNames + recipe.fieldNames
    parts.tokenFields = names

    var used: (secrets: Set<String>, options: Set<String>) = ([], [])
    for (key, fieldsOfToken) in [("refresh", names), ("fetch", [])] {
      guard let member = value.members?.first(where: { $0.key == key }) else { continue }
      var scope = Scope()
      scope.token = fieldsOfToken.map { Scope.TokenField(name: $0, presence: .perhaps) }
      scope.tokenless = "a new one is fetched without an old one"
      scope.families = ["secret", "option", "token"]
      scope.meaning = "a request for a token is made of secrets and options: there is no caller's request"
      used = ([], [])
      let request = readRequest(member, scope, &used)
      if key == "fetch" { recipe.fetch = request } else { recipe.refresh = request }
    }
    if isLogin {
      checkLogin(recipe, value)
    } else if value["fetch"] == nil, value["refresh"] == nil {
      error("\"token\" has neither \"fetch\" nor \"refresh\": nothing would get one", at: value)
    }
    // The last one read is what makes a token out of nothing, where something does.
    recipe.identity = parts.secrets.map(\.name).filter { used.secrets.contains($0) }
    if value["fetch"] != nil { recipe.identityOptions = parts.options.map(\.name).filter { used.options.contains($0) } }
    if isLogin { (recipe.identity, recipe.identityOptions) = loginIdentity }
    readIdentity(value["identity"], into: &recipe)
    if let accept = value["accept_when"] { recipe.accept = conditions(accept, "accept_when", keys: ["json"]) }
    if let retry = value["retry_when"] { recipe.retry = conditions(retry, "retry_when", keys: ["json"]) }
    if let reject = value["reject_when"] { readSign(reject, "reject_when", into: &recipe.reject) }
    if let revoked = value["revoked_when"] { readSign(revoked, "revoked_when", into: &recipe.revoked) }
    recipe.errorMessage =
      value["error_message"].map { paths($0) } ?? [JSONPath.known("error_description"), JSONPath.known("error")]
    if let early = value["renew_before"] { recipe.renewBefore = seconds(early) ?? recipe.renewBefore }

    checker.scope.token = names.enumerated().map { index, name in
      if index == 1 {
        return Scope.TokenField(name: name, presence: .refused("the refresh token is for \"refresh\" alone"))
      }
      let isOptional = index >= 2 && recipe.isOptional[index - 2]
      return Scope.TokenField(name: name, presence: isOptional ? .perhaps : .always)
    }
    if let reading, let fields { parts.token = TokenRecipe(recipe, reading: reading, fields: fields) }
  }

  /// Has a body of strings compiled on their own: they see `scope` and leave the connector's own strings alone.
  mutating func apart<Result>(
    _ scope: Scope, _ used: inout (secrets: Set<String>, options: Set<String>),
    _ body: (inout ConnectorReader) -> Result
  ) -> Result {
    let (outerParts, outerChecker) = (parts, checker)
    parts = Connector.Parts()
    parts.tokenFields = outerParts.tokenFields
    checker = Checker(scope: scope)
    let result = body(&self)
    used.secrets.formUnion(checker.scope.usedSecrets)
    used.options.formUnion(checker.scope.usedOptions)
    let readsSubject = checker.scope.reads.subject
    (parts, checker) = (outerParts, outerChecker)
    // Each subject has a token of its own, then.
    if readsSubject { checker.scope.reads.subject = true }
    checker.scope.usedSecrets.formUnion(used.secrets)
    checker.scope.usedOptions.formUnion(used.options)
    return result
  }

  // MARK: Requests

  mutating func readRequest(
    _ member: JSONMember, _ scope: Scope, _ used: inout (secrets: Set<String>, options: Set<String>),
    to recipient: TokenRequest.Recipient = .tokenEndpoint
  ) -> TokenRequest? {
    guard let members = object(member.value, "\"\(member.key)\"") else { return nil }
    let (secrets, options) = (parts.secrets, parts.options)
    var scope = scope
    scope.secrets = secrets
    scope.options = options
    return apart(scope, &used) { reader in
      reader.parts.secrets = secrets
      reader.parts.options = options
      reader.declareTargets(member.value)
      let isBrowsers = recipient == .authorizationEndpoint
      reader.parts.queryIsForm = isBrowsers
      let keys = isBrowsers ? ConnectorReader.browserKeys : ConnectorReader.requestKeys
      for member in members where !keys.contains(member.key) { reader.unknown(member, keys) }
      let method = isBrowsers ? nil : member.value["method"]
      let name = method.map { reader.text($0) ?? "" } ?? (isBrowsers ? "GET" : "POST")
      if let method, !["GET", "POST", "PUT"].contains(name) {
        reader.error("a method is GET, POST or PUT", at: method)
      }
      reader.readSet(members.filter { keys.contains($0.key) }, keys: keys)
      if name == "GET", !reader.parts.body.isEmpty { reader.error("a GET has no body", at: method ?? member.value) }
      guard let place = member.value["url"] ?? member.value["path"] else {
        reader.error("where to? A \"path\" on the upstream or a whole \"url\" is missing", at: member.value)
        return nil
      }
      let isAbsolute = member.value["url"] != nil
      if isAbsolute, let path = member.value["path"] { reader.error("\"path\" beside \"url\"", at: path) }
      guard let location = reader.compile(place) else { return nil }
      guard reader.isPlain(location) else {
        reader.error("an address is made of text and options that always have a value", at: place)
        return nil
      }
      let program = reader.checker.program
      let targets = reader.parts.headers + reader.parts.query + reader.parts.body
      let request = TokenRequest(
        connector: Connector(reader.parts, scope: reader.checker.scope, program: program), method: name,
        location: location, isAbsolute: isAbsolute,
        needsToken: targets.contains { !$0.isOptional && program.isLeftToToken($0.node) }, recipient: recipient)
      reader.checkLocation(request, place)
      return request
    }
  }

  /// What no option can change is checked here.
  private mutating func checkLocation(_ request: TokenRequest, _ place: JSONValue) {
    guard request.connector.program.nodes[request.location].operation == .literal else { return }
    do {
      _ = try request.location(options: [:])
    } catch {
      if case .invalid(_, let reason) = error { self.error("this \(reason)", at: place) }
    }
  }

  // MARK: Answers

  private mutating func readReading(_ value: JSONValue) -> TokenRecipe.Reading? {
    let keys = [
      "access_token", "expires_in", "expires_at", "refresh_token", "refresh_expires_in", "refresh_expires_at", "fields",
    ]
    for member in object(value, "\"read\"") ?? [] where !keys.contains(member.key) { unknown(member, keys) }
    guard let access = path(value["access_token"]) else {
      if value["access_token"] == nil { error("\"access_token\" is missing: where is it in the answer?", at: value) }
      return nil
    }
    return TokenRecipe.Reading(
      accessToken: access, expiry: expiry(value, "expires_at", "expires_in"),
      refreshToken: path(value["refresh_token"]),
      refreshExpiry: expiry(value, "refresh_expires_at", "refresh_expires_in"))
  }

  private mutating func expiry(_ value: JSONValue, _ at: String, _ within: String) -> TokenRecipe.Reading.Expiry? {
    if let both = value[within], value[at] != nil { error("\"\(within)\" beside \"\(at)\"", at: both) }
    if let path = path(value[at]) { return .at(path) }
    return path(value[within]).map { .in($0) }
  }

  /// The further fields, as the values of a connector whose body is the answer.
  private mutating func readFields(_ value: JSONValue?, into recipe: inout TokenRecipe.Parts) -> Connector? {
    let members = value.map { object($0, "\"fields\"") ?? [] } ?? []
    var scope = Scope()
    scope.names = ["answer": (.body, .bytes, [])]
    scope.families = ["token"]
    scope.meaning = "fields are made of answer, token.access_token and token.refresh_token"
    scope.token = zip(Token.standardNames, [.always, .perhaps]).map { Scope.TokenField(name: $0, presence: $1) }
    var used: (secrets: Set<String>, options: Set<String>) = ([], [])
    var names: [String] = []
    var optional: [Bool] = []
    var values: [Connector.Definition] = []
    let (program, found) = apart(scope, &used) { reader in
      for member in members {
        let (name, isOptional) = ConnectorReader.target(member.key)
        if !ConnectorReader.isName(name, dashes: false) || name.utf8.count > 64 {
          reader.error("a name is made of lower-case letters, digits and _, and begins with a letter", atKey: member)
        } else if Token.standardNames.contains(name) || names.contains(name) {
          reader.error("the token has a field \"\(name)\" already", atKey: member)
        }
        names.append(name)
        optional.append(isOptional)
        values.append(Connector.Definition(name: name, node: reader.compileTarget(member.value) ?? 0))
      }
      return (reader.checker.program, reader.checker.scope)
    }
    if let value, members.count > 16 { error("more than 16 fields", at: value) }
    recipe.fieldNames = names
    recipe.isOptional = optional
    if program.nodes.isEmpty, !members.isEmpty { return nil }
    var fields = Connector.Parts()
    fields.values = values
    fields.tokenFields = Token.standardNames + names
    return Connector(fields, scope: found, program: program)
  }

  // MARK: Smaller things

  private mutating func readIdentity(_ value: JSONValue?, into recipe: inout TokenRecipe.Parts) {
    guard let value else { return }
    recipe.identity = []
    recipe.identityOptions = []
    for element in value.array ?? [] {
      guard let name = text(element) else { continue }
      if parts.secrets.contains(where: { $0.name == name }) {
        recipe.identity.append(name)
      } else if parts.options.contains(where: { $0.name == name }) {
        recipe.identityOptions.append(name)
      } else {
        let names = parts.secrets.map(\.name) + parts.options.map(\.name)
        error(
          "no secret and no option is called \"\(name)\"", at: element,
          help: closest(to: name, among: names).map { "did you mean \"\($0)\"?" })
      }
    }
    if value.array == nil { error("expected an array of strings, found \(value.kindName)", at: value) }
  }

  /// `{ "json": { path: value or values } }`.
  private mutating func conditions(_ value: JSONValue, _ what: String, keys: [String]) -> [JSONCondition] {
    for member in object(value, "\"\(what)\"") ?? [] where !keys.contains(member.key) { unknown(member, keys) }
    return (object(value["json"], "\"json\"") ?? []).compactMap { member in
      guard let path = JSONPath(member.key) else {
        error("not a path", atKey: member)
        return nil
      }
      let values = member.value.array ?? [member.value]
      for value in values {
        switch value.kind {
        case .string, .number, .bool: break
        default: error("a path is held against a string, a number, true or false", at: value)
        }
      }
      return JSONCondition(path: path, values: values)
    }
  }

  /// `{ "status": statuses, "json": { path: value or values }, "json_status": statuses }`.
  private mutating func readSign(_ value: JSONValue, _ what: String, into sign: inout TokenRecipe.Sign) {
    sign.json = conditions(value, what, keys: ["status", "json", "json_status"])
    if let statuses = value["status"] { sign.statuses = self.statuses(statuses) }
    guard let statuses = value["json_status"] else { return }
    sign.jsonStatuses = self.statuses(statuses)
    if sign.json.isEmpty { error("\"json_status\" without \"json\" says nothing", at: statuses) }
  }

  private mutating func statuses(_ value: JSONValue) -> [Int] {
    let found = value.array?.compactMap(\.int) ?? []
    if found.count != value.array?.count || !found.allSatisfy({ 200...599 ~= $0 }) {
      error("expected an array of statuses, like [401, 403]", at: value)
    }
    return found
  }

  private mutating func path(_ value: JSONValue?) -> JSONPath? {
    guard let value, let text = text(value) else { return nil }
    if let path = JSONPath(text) { return path }
    error("not a path", at: value, help: "write names and array indexes with dots: \"data.items.0.id\"")
    return nil
  }

  private mutating func paths(_ value: JSONValue) -> [JSONPath] {
    guard let array = value.array else {
      error("expected an array of paths, found \(value.kindName)", at: value)
      return []
    }
    return array.compactMap { path($0) }
  }

  /// `"90s"`, `"10m"`, `"1h"`: up to a day.
  private mutating func seconds(_ value: JSONValue) -> Int? {
    guard let text = text(value) else { return nil }
    let digits = text.utf8.prefix { $0.isASCIIDigit }
    let units = ["s": 1, "m": 60, "h": 3600]
    if digits.count <= 5, let number = Int(String(digits) ?? ""),
      let unit = units[String(text.dropFirst(digits.count))],
      number * unit <= 86_400
    {
      return number * unit
    }
    error("a time is a whole number with its unit, up to a day: \"90s\", \"10m\", \"1h\"", at: value)
    return nil
  }
}

extension JSONPath {
  /// One of our own.
  static func known(_ name: String) -> JSONPath { JSONPath(steps: [name]) }
}

extension Program {
  /// Whether a node is absent without a token, and nothing stands in for it.
  fileprivate func isLeftToToken(_ node: Int) -> Bool {
    guard nodes[node].traits.contains(.optional) else { return false }
    return nodes[node].operation == .token || children(of: node).contains { isLeftToToken($0) }
  }
}
