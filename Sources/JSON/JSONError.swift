/// Why a text is not JSON.
public struct JSONError: Error, Sendable {
  public enum Code: Sendable {
    case tooLarge, tooDeep, invalidUTF8, byteOrderMark, syntax, duplicateKey
  }

  public var code: Code
  public var position: Position
  /// Bytes of source text that are at fault, from `position`.
  public var sourceCount: Int
  /// May quote the text: only for whoever wrote it. Others get the code.
  public var message: String
  public var help: String?

  init(_ code: Code, _ message: String, at position: Position, count: Int = 1, help: String? = nil) {
    self.code = code
    self.message = message
    self.position = position
    self.sourceCount = count
    self.help = help
  }
}

public enum JSONDialect: Sendable {
  /// RFC 8259.
  case strict
  /// With `//` and `/* */` comments and trailing commas.
  case jsonc
}

public struct JSONLimits: Sendable {
  /// Bytes of text.
  public var bytes: Int
  /// Arrays and objects inside each other.
  public var depth: Int

  public init(bytes: Int = 16 << 20, depth: Int = 64) {
    self.bytes = bytes
    self.depth = depth
  }
}
