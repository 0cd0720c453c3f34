import Bytes
import JSON

/// How a connector's tokens are got, read and given up: its `token` block, checked.
public final class TokenRecipe: Sendable {
  /// A token from the secrets alone; nil when only a refresh or a login makes one.
  public let fetch: TokenRequest?
  /// A token from an earlier one.
  public let refresh: TokenRequest?
  /// Seconds before its end at which a token is due.
  public let renewBefore: Int
  /// What of an upstream's answer means that the token is dead.
  let reject: Sign
  /// The same, where no other token would do either: the answer is passed on, and the request not repeated.
  let revoked: Sign
  /// Parameters whose change voids tokens got with them: secrets, and options.
  public let identity: [String]
  public let identityOptions: [String]
  /// `access_token`, `refresh_token`, and the further ones of `read`.
  public let fieldNames: [String]
  let isOptional: [Bool]
  let accept: [JSONCondition]
  /// An answer in which one of them holds is neither a token nor a refusal: the endpoint is to be asked later.
  let retry: [JSONCondition]
  let reading: Reading
  /// Makes the further fields from the answer, as `values`.
  let fields: Connector
  /// Where an endpoint's own words are, the first that is there.
  let errorMessage: [JSONPath]

  /// Where what is in an answer; nil for what is not read.
  struct Reading: Sendable {
    enum Expiry: Sendable {
      /// Unix seconds.
      case at(JSONPath)
      /// Seconds from now.
      case `in`(JSONPath)
    }

    var accessToken: JSONPath
    var expiry: Expiry?
    var refreshToken: JSONPath?
    var refreshExpiry: Expiry?
    /// If there, it must be Bearer (RFC 6750).
    var tokenType: JSONPath?
  }

  /// What is looked for in an upstream's answer: a status by itself, or something in its body.
  struct Sign: Sendable {
    var statuses: [Int] = []
    var json: [JSONCondition] = []
    /// The statuses with which a body is looked at; empty for all.
    var jsonStatuses: [Int] = []

    func readsBody(status: Int) -> Bool {
      !json.isEmpty && (jsonStatuses.isEmpty || jsonStatuses.contains(status))
    }
  }

  /// What an upstream's answer means for the token that its request carried.
  public enum Verdict: Sendable {
    case accepted
    /// Dead; another may do.
    case rejected
    /// Dead, and nothing but a new session will do.
    case revoked
  }

  /// Checked parts, as the reader found them.
  struct Parts {
    var fetch: TokenRequest?
    var refresh: TokenRequest?
    var renewBefore = 60
    var reject = Sign(statuses: [401])
    var revoked = Sign()
    var accept: [JSONCondition] = []
    var retry: [JSONCondition] = []
    var identity: [String] = []
    var identityOptions: [String] = []
    /// The further ones.
    var fieldNames: [String] = []
    var isOptional: [Bool] = []
    var errorMessage: [JSONPath] = []
  }

  init(_ parts: Parts, reading: Reading, fields: Connector) {
    fetch = parts.fetch
    refresh = parts.refresh
    renewBefore = parts.renewBefore
    reject = parts.reject
    revoked = parts.revoked
    accept = parts.accept
    retry = parts.retry
    identity = parts.identity
    identityOptions = parts.identityOptions
    fieldNames = Token.standardNames + parts.fieldNames
    isOptional = [false, true] + parts.isOptional
    errorMessage = parts.errorMessage
    self.reading = reading
    self.fields = fields
  }

  public var requests: [TokenRequest] { [fetch, refresh].compactMap { $0 } }

  /// Whether some answers' bodies are looked at: they must come as they are, and not compressed.
  public var readsAnswers: Bool { !reject.json.isEmpty || !revoked.json.isEmpty }

  /// What an upstream's answer means by its status alone; nil: its body must be seen.
  public func judge(status: Int) -> Verdict? {
    if revoked.statuses.contains(status) { return .revoked }
    if reject.statuses.contains(status), !revoked.readsBody(status: status) { return .rejected }
    return revoked.readsBody(status: status) || reject.readsBody(status: status) ? nil : .accepted
  }

  /// What an upstream's answer means.
  public func judge(status: Int, body: Span<UInt8>) -> Verdict {
    if let verdict = judge(status: status) { return verdict }
    let root = try? JSONReader.parse(body)
    func holds(_ sign: Sign) -> Bool {
      guard sign.readsBody(status: status), let root else { return false }
      return sign.json.contains { $0.holds(in: root) }
    }
    if holds(revoked) { return .revoked }
    return reject.statuses.contains(status) || holds(reject) ? .rejected : .accepted
  }
}

/// A path of a JSON text and the values that count.
struct JSONCondition: Sendable {
  let path: JSONPath
  /// Strings, numbers, true or false.
  let values: [JSONValue]

  func holds(in root: JSONValue) -> Bool {
    guard let found = path.value(in: root) else { return false }
    return values.contains { value in
      switch (value.kind, found.kind) {
      case (.string(let one), .string(let other)), (.number(let one), .number(let other)):
        one.utf8.elementsEqual(other.utf8)
      case (.bool(let one), .bool(let other)): one == other
      default: false
      }
    }
  }
}
