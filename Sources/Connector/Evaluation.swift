public import Crypto

/// Bytes that exist already, wherever they lie.
struct Slice {
  enum Origin: UInt8 {
    case arena, block, fields, host, body, subject, literals, settings
    /// `index` says which.
    case secret, token, login
  }

  var origin: Origin
  var range: Range<Int>
  var index = 0
}

/// What a node is for this request.
enum Value {
  /// With the node that is the reason.
  case absent(Int)
  case bytes(Slice)
  case number(Int64)
  /// A range of the patch's pairs.
  case pairs(Range<Int>)
}

/// What has been found out about the request being signed.
struct Evaluation {
  var time = RequestTime(seconds: 0)
  /// The query and body as they stand: the caller's, then ours once they are set.
  var query: Slice?
  var body = Slice(origin: .body, range: 0..<0)
  /// A row of pairs: made when the program reads `query`, and again when the query is changed.
  var decodedQuery = 0..<0
  /// The query, when it stands as the program would write it: then nothing is decoded.
  var canonicalQuery: Slice?
  /// In the arena.
  var nonce = 0..<0
  var uuid = 0..<0
  /// Of the connector's `values`, in their order.
  var values: [Value] = []
  /// The node that was absent when something last was.
  var missing = 0
  /// Most bytes that the patch may hold, and whether something had no room: then the request is refused.
  var limit = Evaluation.room
  var isTooLarge = false
  /// What else the request is refused for, the first of it. What it happened in is then absent.
  var failure: EvaluationError?

  /// Beside what the body takes.
  static let room = 16 << 20
}

/// Why a request cannot be signed. Messages name what the connector or the route names, never what the caller sent.
public enum EvaluationError: Error, Equatable, Sendable {
  /// What `needed` by `target` is not there: a header, a field of a JSON text, an option.
  case missing(needed: String, target: String)
  /// The connector needs a token, and there is none of its kind.
  case noToken
  /// A header's value would contain a control character; the usual reason is a secret stored with a line feed.
  case invalidHeaderValue(header: String)
  /// A body or query that is to be edited as a form, and is not one.
  case malformedForm
  /// `set.json` on a body that is not a JSON object.
  case bodyNotObject
  /// A member of the JSON body would have bytes that are no UTF-8.
  case notText(member: String)
  /// Values that grow beyond all reason.
  case tooLarge
  /// What `es256` is to sign with cannot do that.
  case key(found: String, ES256Error)
  /// What `json_string` is to quote has bytes that are no UTF-8.
  case notUTF8(found: String)
  /// `add` of numbers whose sum has more than 63 bits.
  case sumTooLarge

  public var message: String {
    switch self {
    case .missing(let needed, let target): "\(target) needs \(needed)"
    case .noToken: "there is no token yet"
    case .invalidHeaderValue(let header): "the value for the header \(header) contains a control character"
    case .malformedForm: "the form has a percent sign without two hexadecimal digits"
    case .bodyNotObject: "the body must be a JSON object, since the connector adds members to it"
    case .notText(let member): "the value for the body's member \(member) is not UTF-8"
    case .key(let found, let error): "\(found) cannot sign with ES256: \(error.message)"
    case .notUTF8(let found): "\(found) is not UTF-8, as json_string needs it"
    case .sumTooLarge: "a sum does not fit into 63 bits"
    case .tooLarge: "the connector makes more than \(Evaluation.room >> 20) MiB of it"
    }
  }
}
