import Bytes
import Crypto
import JSON

/// Reads a connector's own vectors and runs each: a file that does not do what it says is refused.
struct VectorReader {
  let source: Source
  let connector: Connector
  var diagnostics: [Diagnostic] = []
  /// Of the login whose request is made.
  var login = OAuthLogin.none
  /// Of the vector that is run.
  var secrets: [(String, String)] = []

  /// Up to the last second of the year 9999.
  private static let times = 0...253_402_300_799
  private static let keys = [
    "name", "request", "fetch", "refresh", "authorize", "exchange", "answer", "secrets", "options", "token", "login",
    "route", "subject", "now", "now_ms", "nonce", "uuid", "expect",
  ]
  private static let requestKeys = ["method", "target", "host", "headers", "body", "body_base64"]
  private static let expectKeys = [
    "values", "headers", "query", "json", "form", "method", "target", "url", "body", "token", "refused", "unavailable",
  ]

  init(source: Source, connector: Connector) {
    self.source = source
    self.connector = connector
  }

  mutating func read(_ vectors: JSONValue?) {
    guard let vectors else { return }
    guard let all = vectors.array else {
      error("\"vectors\" is an array, found \(vectors.kindName)", at: vectors)
      return
    }
    for (index, vector) in all.enumerated() {
      let before = diagnostics.count
      check(vector, VectorReader.keys)
      if let request = vector["request"] { check(request, VectorReader.requestKeys) }
      let name = text(vector["name"]) ?? "\(index + 1)"
      if let expect = vector["expect"] { check(expect, VectorReader.expectKeys) }
      guard diagnostics.count == before else { continue }
      if let expect = vector["expect"], let target = text(vector["request"]?["target"]) {
        let line = Line(method: text(vector["request"]?["method"]) ?? "GET", target: target)
        run(vector, line, expect, called: name)
      } else if let expect = vector["expect"], let recipe = connector.token, vector["request"] == nil {
        run(vector, recipe, expect, called: name)
      } else {
        error("a vector has a \"request\" with a \"target\", and what to \"expect\"", at: vector)
      }
    }
  }

  /// A request's first line before the connector is at work; `origin` stands before the target of an absolute URL.
  struct Line {
    var method: String
    var target: String
    var origin = ""
  }

  mutating func run(_ vector: JSONValue, _ line: Line, _ expect: JSONValue, called name: String) {
    guard let signer = signer(vector) else { return }
    let token = token(vector)
    let request = vector["request"]
    let (method, target) = (line.method, line.target)
    let block = Array("\(method) \(target)".utf8)
    let path = method.utf8.count + 1
    let mark = block[path...].firstIndex(of: UInt8(ascii: "?"))
    var fields: [UInt8] = []
    var headers = [Range<Int>?](repeating: nil, count: connector.readHeaders.count)
    for (key, value) in texts(request?["headers"]) {
      fields += Array(value.utf8)
      guard let index = connector.readHeaders.firstIndex(of: key.lowercased()) else { continue }
      headers[index] = fields.count - value.utf8.count..<fields.count
    }
    guard let body = body(request) else { return }
    let host = Array((text(request?["host"]) ?? "api.example.com").utf8)
    let subject = Array((text(vector["subject"]) ?? "default").utf8)
    signer.login = login
    signer.fixedNonce = text(vector["nonce"])
    signer.fixedUUID = text(vector["uuid"])
    guard let time = time(vector) else { return }
    var patch = Patch()
    let connectorRequest = ConnectorRequest(
      block: block.span, method: 0..<method.utf8.count, path: path..<(mark ?? block.count),
      query: mark.map { $0 + 1..<block.count }, fields: fields.span, headers: headers, host: host.span,
      body: body.span, subject: subject.span)
    do {
      try signer.evaluate(connectorRequest, token: token, time: time, entropy: RequestEntropy(), into: &patch)
    } catch {
      self.error("vector \(name): \(error.message)", at: vector)
      return
    }
    let sentQuery =
      patch.changesQuery
      ? patch.query.map { Array(patch.bytes.extracting($0)) } : mark.map { Array(block[($0 + 1)...]) }
    let sentBody = patch.body.map { Array(patch.bytes.extracting($0)) } ?? body
    signer.token = token
    compareValues(expect["values"], name, signer, connectorRequest, &patch)
    compareHeaders(expect["headers"], name, signer, patch)
    compareFields(expect["query"], "query", name, sentQuery ?? [])
    compareFields(expect["form"], "form", name, sentBody)
    compareMembers(expect["json"], name, sentBody)
    let sent = block[path..<(mark ?? block.count)] + (sentQuery.map { [UInt8(ascii: "?")] + $0 } ?? [])
    let sentTarget = String(decoding: sent, as: UTF8.self)
    if let expected = expect["method"] { compare("method", method, expected, name) }
    if let expected = expect["target"] { compare("target", sentTarget, expected, name) }
    if let expected = expect["url"] { compare("url", line.origin + sentTarget, expected, name) }
    if let expected = expect["body"] { compare("body", String(decoding: sentBody, as: UTF8.self), expected, name) }
  }

  // MARK: Inputs

  /// nil when the vector has none.
  mutating func token(_ vector: JSONValue) -> Token? {
    guard let given = vector["token"] else { return nil }
    let names = connector.tokenFields
    var fields = [Secret?](repeating: nil, count: names.count)
    for member in given.members ?? [] {
      if let index = names.firstIndex(of: member.key) {
        fields[index] = text(member.value).map { Secret(copying: Array($0.utf8).span) }
      } else {
        unknown(member, names)
      }
    }
    return Token(generation: 1, names: names, fields: fields, obtainedAt: 0, expiresAt: nil, refreshExpiresAt: nil)
  }

  private mutating func signer(_ vector: JSONValue) -> Signer? {
    var secrets: [String: Secret] = [:]
    self.secrets = texts(vector["secrets"])
    for (name, value) in self.secrets { secrets[name] = Secret(copying: Array(value.utf8).span) }
    for member in vector["secrets"]?.members ?? [] where !connector.secrets.contains(where: { $0.name == member.key }) {
      unknown(member, connector.secrets.map(\.name))
    }
    var options: [String: String] = [:]
    for (name, value) in texts(vector["options"]) { options[name] = value }
    do {
      return try Signer(
        connector: connector, secrets: secrets, options: options, route: text(vector["route"]) ?? connector.name)
    } catch {
      self.error(error.message, at: vector)
      return nil
    }
  }

  private mutating func body(_ request: JSONValue?) -> [UInt8]? {
    if let value = request?["body_base64"], let encoded = text(value) {
      var decoded = Buffer()
      guard decoded.appendDecodedBase64(Array(encoded.utf8).span) else {
        error("not base64", at: value)
        return nil
      }
      return Array(decoded.span)
    }
    return Array((text(request?["body"]) ?? "").utf8)
  }

  /// `now` in seconds, or `now_ms`; a connector that reads the clock is given one or the other.
  mutating func time(_ vector: JSONValue) -> RequestTime? {
    if let milliseconds = vector["now_ms"]?.int, VectorReader.times.contains(milliseconds / 1000), milliseconds >= 0 {
      return RequestTime(seconds: Int64(milliseconds / 1000), milliseconds: milliseconds % 1000)
    }
    if vector["now_ms"] == nil {
      if let seconds = vector["now"]?.int, VectorReader.times.contains(seconds) {
        return RequestTime(seconds: Int64(seconds))
      }
      if vector["now"] == nil, !connector.readsTime, vector["answer"] == nil { return RequestTime(seconds: 0) }
    }
    let key = vector["now_ms"] == nil ? "now" : "now_ms"
    error(
      "\"\(key)\" is a number of \(key == "now" ? "" : "milli")seconds since 1970, before the year 10000",
      at: vector[key] ?? vector)
    return nil
  }

  mutating func texts(_ value: JSONValue?) -> [(String, String)] {
    (value?.members ?? []).compactMap { member in text(member.value).map { (member.key, $0) } }
  }

  mutating func text(_ value: JSONValue?) -> String? {
    guard let value else { return nil }
    if value.string == nil { error("expected a string, found \(value.kindName)", at: value) }
    return value.string
  }

  mutating func check(_ value: JSONValue, _ keys: [String]) {
    for member in value.members ?? [] where !keys.contains(member.key) { unknown(member, keys) }
  }

  mutating func unknown(_ member: JSONMember, _ names: [String]) {
    let meant = closest(to: member.key, among: names).map { "did you mean \"\($0)\"?" }
    diagnostics.append(source.diagnostic("unknown \"\(member.key)\"", atKey: member, help: meant))
  }

  mutating func error(_ message: String, at value: JSONValue) {
    diagnostics.append(source.diagnostic(message, at: value))
  }
}
