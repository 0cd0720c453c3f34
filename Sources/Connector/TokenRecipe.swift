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
  /// Statuses of an upstream's answer that mean that the token is dead.
  public let rejectStatuses: [Int]
  /// Parameters whose change voids tokens got with them: secrets, and options.
  public let identity: [String]
  public let identityOptions: [String]
  /// `access_token`, `refresh_token`, and the further ones of `read`.
  public let fieldNames: [String]
  let isOptional: [Bool]
  let rejectJSON: [JSONCondition]
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

  /// Checked parts, as the reader found them.
  struct Parts {
    var fetch: TokenRequest?
    var refresh: TokenRequest?
    var renewBefore = 60
    var rejectStatuses = [401]
    var rejectJSON: [JSONCondition] = []
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
    rejectStatuses = parts.rejectStatuses
    rejectJSON = parts.rejectJSON
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

  /// Whether an upstream's body must be seen to know a dead token.
  public var needsBody: Bool { !rejectJSON.isEmpty }

  /// Whether an upstream's answer means that the token is dead.
  /// - Parameter body: empty, or what is there of it, when `needsBody` is false.
  public func rejects(status: Int, body: Span<UInt8>) -> Bool {
    if rejectStatuses.contains(status) { return true }
    guard needsBody, let root = try? JSONReader.parse(body) else { return false }
    return rejectJSON.contains { $0.holds(in: root) }
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
