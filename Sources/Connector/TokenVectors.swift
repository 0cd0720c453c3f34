import Bytes
import Crypto
import JSON

/// Vectors of the `token` block: `"fetch": true` and `"refresh": true` make that request, an `answer` is read.
extension VectorReader {
  mutating func run(_ vector: JSONValue, _ recipe: TokenRecipe, _ expect: JSONValue, called name: String) {
    if let answer = vector["answer"] { return read(answer, vector, recipe, expect, name) }
    let requests = [
      "fetch": recipe.fetch, "refresh": recipe.refresh, "authorize": connector.oauth?.authorize,
      "exchange": connector.oauth?.exchange,
    ]
    guard let asked = requests.first(where: { vector[$0.key]?.bool == true })?.value else {
      error(
        "a vector has a \"request\", an \"answer\", or one of the connector's requests: \"fetch\", \"refresh\", "
          + "\"authorize\" or \"exchange\": true", at: vector)
      return
    }
    let options = Dictionary(texts(vector["options"])) { first, _ in first }
    do {
      let place = try asked.location(options: options)
      var inner = VectorReader(source: source, connector: asked.connector)
      inner.login = login(vector["login"], options)
      inner.run(
        vector, Line(method: asked.method, target: place.target, origin: place.origin ?? ""), expect, called: name)
      diagnostics += inner.diagnostics
    } catch {
      self.error("vector \(name): \(error.message)", at: vector)
    }
  }

  /// What the vector says of its login, and what the daemon would add.
  private mutating func login(_ value: JSONValue?, _ options: [String: String]) -> [Secret?] {
    if let value { check(value, OAuthLogin.names.map(\.text)) }
    let standard = ["scope": connector.oauth?.scope, "redirect_uri": connector.oauth?.redirectURI]
    return OAuthLogin.names.map { name in
      let given = text(value?[name.text]) ?? standard[name.text]??(options)
      return given.map { Secret(copying: Array($0.utf8).span) }
    }
  }

  private mutating func read(
    _ answer: JSONValue, _ vector: JSONValue, _ recipe: TokenRecipe, _ expect: JSONValue, _ name: String
  ) {
    check(answer, ["status", "json", "body"])
    var body = Buffer()
    if let json = answer["json"] { body.appendJSON(json) } else { body.append(text(answer["body"]) ?? "") }
    guard let time = time(vector) else { return }
    let secrets = texts(vector["secrets"]).map { Secret(copying: Array($0.1.utf8).span) }
    let outcome = recipe.read(
      status: answer["status"]?.int ?? 200, body: body.span, previous: token(vector), generation: 1, now: time.seconds,
      hiding: secrets)
    switch outcome {
    case .granted(let token):
      guard let expected = expect["token"]?.members else {
        error("vector \(name): the answer gives a token", at: vector)
        return
      }
      for member in expected { compare(member, token, recipe, name) }
    case .refused(let message):
      guard let expected = expect["refused"] else { return fail(name, "a refusal", vector) }
      compare("refused", message, expected, name)
    case .unavailable(let reason):
      guard let expected = expect["unavailable"] else { return fail(name, "no token now: \(reason)", vector) }
      compare("unavailable", reason, expected, name)
    case .malformed(let reason): fail(name, "no token: \(reason)", vector)
    }
  }

  private mutating func fail(_ name: String, _ found: String, _ vector: JSONValue) {
    error("vector \(name): the answer is \(found)", at: vector)
  }

  private mutating func compare(_ expected: JSONMember, _ token: Token, _ recipe: TokenRecipe, _ name: String) {
    let times = ["expires_at": token.expiresAt, "refresh_expires_at": token.refreshExpiresAt]
    if let time = times[expected.key] {
      let found = time.map { String($0) } ?? "null"
      if found != written(expected.value) {
        differ(expected.key, found, written(expected.value), name, at: expected.value)
      }
    } else if let index = recipe.fieldNames.firstIndex(of: expected.key) {
      compare(expected.key, token.fields[index].map { String($0.span) }, expected.value, name)
    } else {
      unknown(expected, recipe.fieldNames + times.keys.sorted())
    }
  }
}
