/// How much of a message is read before it is refused. Sizes are bytes.
public struct HTTPLimits: Sendable, Equatable {
  /// A whole head: start line, fields and the empty line.
  public var head: Int
  /// Field lines of a head.
  public var fields: Int
  /// One field line, without its line end.
  public var field: Int
  /// A field's name.
  public let name = 128
  /// A request target; past it 414.
  public var target = 16 * 1024
  /// A method; past it 501.
  public var method = 32
  /// The options of one `Connection` field, or of several together.
  public var connectionOptions = 32
  /// Chunk extensions of one chunk.
  public var chunkExtension = 256
  /// Chunk extensions of one body.
  public var chunkExtensions = 4 * 1024
  /// Trailer fields of a body.
  public var trailerFields = 16
  /// A trailer section.
  public var trailers = 4 * 1024

  public init(head: Int = 32 * 1024, fields: Int = 100, field: Int = 8 * 1024) {
    self.head = head
    self.fields = fields
    self.field = field
  }

  /// What a caller may send.
  public static let request = HTTPLimits()
  /// What an upstream may answer. A long field (`Set-Cookie`, a policy) is the upstream's affair within the head.
  public static let response = HTTPLimits(head: 64 * 1024, field: 64 * 1024)
}
