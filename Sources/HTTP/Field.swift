/// One field line of a head, as places in the head's bytes: offsets count from the head's first byte.
public struct Field: Sendable, Equatable {
  public var nameStart: UInt32
  public var valueStart: UInt32
  public var valueCount: UInt32
  public var nameCount: UInt8
  public var id: FieldID
  public var marks: Marks

  public struct Marks: OptionSet, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// The value has bytes 0x80–0xFF.
    public static let obsoleteText = Marks(rawValue: 1)
    /// The name has a `_`; for the route to compare with the names it sets (row 54).
    public static let underscore = Marks(rawValue: 2)
    /// `Connection` names it: it ends at this hop.
    public static let nominated = Marks(rawValue: 4)
  }

  /// The name as it came.
  @inlinable public var name: Range<Int> { Int(nameStart)..<Int(nameStart) &+ Int(nameCount) }

  /// The value without the whitespace around it.
  @inlinable public var value: Range<Int> { Int(valueStart)..<Int(valueStart) &+ Int(valueCount) }

  /// Ends at this hop, by its name or because `Connection` says so.
  public var isHopByHop: Bool { id.isHopByHop || marks.contains(.nominated) }
}

/// How the end of a body is found (RFC 9112 §6.3).
public enum BodyFraming: Sendable, Equatable {
  case none
  /// Content-Length; at most Int64.max.
  case length(UInt64)
  case chunked
  /// A response without either: it ends with the connection.
  case untilClose
}

/// A request method, case-sensitive. `other` is any other token.
public enum Method: UInt8, Sendable {
  case get, head, post, put, patch, delete, options, connect, trace, other

  public init(_ bytes: Span<UInt8>) {
    self = Method(bytes, 0..<bytes.count)
  }

  init(_ bytes: Span<UInt8>, _ range: Range<Int>) {
    self =
      switch range.count {
      case 3: bytes.equals("GET", in: range) ? .get : bytes.equals("PUT", in: range) ? .put : .other
      case 4: bytes.equals("POST", in: range) ? .post : bytes.equals("HEAD", in: range) ? .head : .other
      case 5: bytes.equals("PATCH", in: range) ? .patch : bytes.equals("TRACE", in: range) ? .trace : .other
      case 6: bytes.equals("DELETE", in: range) ? .delete : .other
      case 7: bytes.equals("OPTIONS", in: range) ? .options : bytes.equals("CONNECT", in: range) ? .connect : .other
      default: .other
      }
  }

  /// RFC 9110 §9.2.2: twice is once.
  public var isIdempotent: Bool {
    switch self {
    case .get, .head, .put, .delete, .options, .trace: true
    case .post, .patch, .connect, .other: false
    }
  }

  /// A request that usually has a body says so even when it is empty (RFC 9110 §8.6).
  public var expectsBody: Bool { self == .post || self == .put || self == .patch }
}
