/// What an expression is, known when the file is loaded.
enum ValueType: Equatable, Sendable {
  case bytes
  case number
  /// Names with values, as in a query or form.
  case pairs

  var described: String {
    switch self {
    case .bytes: "bytes"
    case .number: "a number"
    case .pairs: "pairs"
    }
  }
}

/// The closed table of functions: what each takes and gives.
///
/// Adding one takes a line here, a case in `Operation`, and its bytes in `Evaluator`; `docs/CONNECTORS.md` lists them.
struct Function: Sendable {
  /// What may stand in an argument's place.
  enum Argument: Equatable, Sendable {
    case bytes
    case number
    case pairs
    case bytesOrPairs
    /// Anything that has a text: pairs are `name=value` each.
    case any
    /// Quoted text, known when the file is loaded.
    case literal

    func accepts(_ type: ValueType) -> Bool {
      switch self {
      case .bytes, .literal: type == .bytes
      case .number: type == .number
      case .pairs: type == .pairs
      case .bytesOrPairs: type != .number
      case .any: true
      }
    }

    var described: String {
      switch self {
      case .bytes: "bytes"
      case .number: "a number"
      case .pairs: "pairs"
      case .bytesOrPairs: "bytes or pairs"
      case .any: "bytes, a number or pairs"
      case .literal: "'text'"
      }
    }
  }

  let operation: Operation
  /// For messages: `hmac_sha256(key, text)`.
  let usage: String
  let arguments: [Argument]
  /// How many must be there; the rest may be left out.
  let required: Int
  /// The last argument may be repeated.
  let isVariadic: Bool
  let result: ValueType
  /// Whether the result may be absent even when no argument is.
  let mayBeAbsent: Bool

  private init(
    _ operation: Operation, _ usage: String, _ arguments: [Argument], required: Int? = nil, variadic: Bool = false,
    result: ValueType = .bytes, mayBeAbsent: Bool = false
  ) {
    self.operation = operation
    self.usage = usage
    self.arguments = arguments
    self.required = required ?? arguments.count
    isVariadic = variadic
    self.result = result
    self.mayBeAbsent = mayBeAbsent
  }

  static let table: [String: Function] = [
    "md5": Function(.md5, "md5(bytes)", [.bytes]),
    "sha1": Function(.sha1, "sha1(bytes)", [.bytes]),
    "sha256": Function(.sha256, "sha256(bytes)", [.bytes]),
    "sha384": Function(.sha384, "sha384(bytes)", [.bytes]),
    "sha512": Function(.sha512, "sha512(bytes)", [.bytes]),
    "hmac_sha1": Function(.hmacSHA1, "hmac_sha1(key, bytes)", [.bytes, .bytes]),
    "hmac_sha256": Function(.hmacSHA256, "hmac_sha256(key, bytes)", [.bytes, .bytes]),
    "hmac_sha384": Function(.hmacSHA384, "hmac_sha384(key, bytes)", [.bytes, .bytes]),
    "hmac_sha512": Function(.hmacSHA512, "hmac_sha512(key, bytes)", [.bytes, .bytes]),
    "es256": Function(.es256, "es256(key, bytes)", [.bytes, .bytes]),
    "hex": Function(.hex, "hex(bytes)", [.bytes]),
    "base64": Function(.base64, "base64(bytes)", [.bytes]),
    "base64url": Function(.base64URL, "base64url(bytes)", [.bytes]),
    "lower": Function(.lower, "lower(bytes)", [.bytes]),
    "upper": Function(.upper, "upper(bytes)", [.bytes]),
    "percent_encode": Function(.percentEncode, "percent_encode(bytes or pairs)", [.bytesOrPairs]),
    "form_encode": Function(.formEncode, "form_encode(bytes or pairs)", [.bytesOrPairs]),
    "json_string": Function(.jsonString, "json_string(bytes)", [.bytes]),
    "sort": Function(.sort, "sort(pairs)", [.pairs], result: .pairs),
    "concat": Function(.concat, "concat(a, b, …)", [.any], variadic: true),
    "join": Function(.join, "join('separator', a, b, …)", [.bytes, .any], variadic: true),
    "json": Function(.json, "json(bytes, 'path.to.field')", [.bytes, .literal], mayBeAbsent: true),
    "jwt_claim": Function(.jwtClaim, "jwt_claim(token, 'path.to.claim')", [.bytes, .literal], mayBeAbsent: true),
    "time": Function(.time, "time('format', 'zone')", [.literal, .literal], required: 1),
    "add": Function(.add, "add(number, number)", [.number, .number], result: .number),
    "or": Function(.or, "or(a, b)", [.any, .any]),
    "when": Function(.when, "when(a, 'text', b)", [.bytes, .literal, .any], mayBeAbsent: true),
  ]
}
