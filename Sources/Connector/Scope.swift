/// What a string of the connector may name, and what it was found to name.
struct Scope {
  /// A field of the token, and whether a string may use it.
  struct TokenField {
    enum Presence {
      case always, perhaps
      /// With the reason.
      case refused(String)
    }

    let name: String
    var presence: Presence
  }

  struct Value {
    let name: String
    /// Names that its text uses, for telling a cycle from a wrong order.
    let mentions: [String]
    /// nil while it is being defined, and for good when it could not be compiled.
    var node: Int?
    /// Already compiled, or found to be wrong.
    var isDefined = false
  }

  var names = RequestName.table
  var families = RequestName.families
  /// What is there to be named, where some families are not.
  var meaning: String?
  var secrets: [Parameter] = []
  var options: [Parameter] = []
  var token: [TokenField] = []
  /// Why there is no token to read a field of.
  var tokenless = "this connector has no \"token\" block to get one"
  /// All of them, in the file's order: only defined ones may be used.
  var values: [Value] = []
  /// Names of headers that the connector sets, in lower case: the caller's are removed, so they cannot be read.
  var setHeaders: Set<String> = []

  /// Headers that expressions read, in lower case, each once.
  var readHeaders: [String] = []
  var usedSecrets: Set<String> = []
  var usedOptions: Set<String> = []
  var reads = Reads()

  /// What of a request the connector depends on.
  struct Reads: Sendable {
    var body = false
    var query = false
    var entropy = false
    var subject = false
    var time = false
    var token = false
  }
}

/// The names that need no declaration.
enum RequestName {
  static let table: [String: (operation: Operation, type: ValueType, traits: Node.Traits)] = [
    "method": (.method, .bytes, []),
    "path": (.path, .bytes, []),
    "query": (.query, .pairs, []),
    "raw_query": (.rawQuery, .bytes, []),
    "target": (.target, .bytes, []),
    "host": (.host, .bytes, []),
    "body": (.body, .bytes, []),
    "now": (.now, .number, []),
    "now_ms": (.nowMS, .number, []),
    "nonce": (.nonce, .bytes, []),
    "uuid": (.uuid, .bytes, []),
    "route": (.route, .bytes, .fixed),
    "subject": (.subject, .bytes, []),
  ]

  /// Families of names, each with a field after the dot.
  static let families = ["header", "secret", "option", "token"]
}
