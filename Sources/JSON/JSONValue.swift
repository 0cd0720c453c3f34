/// A place in a text: where a reader looks, and where an editor jumps to.
public struct Position: Sendable, Hashable {
  /// Bytes from the start of the text.
  public var offset: Int
  /// From 1; a line ends with a line feed.
  public var line: Int
  /// From 1, in characters (Unicode scalars).
  public var column: Int

  public init(offset: Int = 0, line: Int = 1, column: Int = 1) {
    self.offset = offset
    self.line = line
    self.column = column
  }

  public var lineAndColumn: String { "\(line):\(column)" }
}

/// A JSON value that knows where it was read.
public struct JSONValue: Sendable {
  public enum Kind: Sendable {
    case null
    case bool(Bool)
    /// As written: nothing is rounded.
    case number(String)
    case string(String)
    case array([JSONValue])
    /// In the order written; a reader lets no key through twice.
    case object([JSONMember])
  }

  public var kind: Kind
  /// Of the value's first byte: a string's opening quote.
  public var position: Position
  /// Bytes of source text, from the first to the last of the value.
  public var sourceCount: Int

  public init(_ kind: Kind, position: Position = Position(), sourceCount: Int = 0) {
    self.kind = kind
    self.position = position
    self.sourceCount = sourceCount
  }

  /// The member's value; nil when there is none, or when this is no object. Keys are compared byte by byte.
  public subscript(key: String) -> JSONValue? {
    members?.first { $0.key.utf8.elementsEqual(key.utf8) }?.value
  }

  public var string: String? {
    if case .string(let text) = kind { text } else { nil }
  }

  /// A number written as an integer (no fraction, no exponent) that fits.
  public var int: Int? {
    if case .number(let text) = kind { Int(text) } else { nil }
  }

  public var bool: Bool? {
    if case .bool(let value) = kind { value } else { nil }
  }

  public var array: [JSONValue]? {
    if case .array(let elements) = kind { elements } else { nil }
  }

  public var members: [JSONMember]? {
    if case .object(let members) = kind { members } else { nil }
  }

  /// For messages: `expected a string, found an object`.
  public var kindName: String {
    switch kind {
    case .null: "null"
    case .bool: "true or false"
    case .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }
}

public struct JSONMember: Sendable {
  public var key: String
  /// Of the key's opening quote.
  public var keyPosition: Position
  /// Bytes of the key in the source text, quotes included.
  public var keySourceCount: Int
  public var value: JSONValue

  public init(_ key: String, _ value: JSONValue, keyPosition: Position = Position(), keySourceCount: Int = 0) {
    self.key = key
    self.keyPosition = keyPosition
    self.keySourceCount = keySourceCount
    self.value = value
  }
}
