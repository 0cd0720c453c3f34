/// A request's head as places in its bytes: every range counts from the head's first byte.
///
/// All of it is valid by RFC 9112 and the rules A–G that need no configuration.
public struct RequestHead: Sendable {
  public internal(set) var method = Method.other
  public internal(set) var methodName = 0..<0
  public internal(set) var form = TargetForm.origin
  /// The whole target as it came.
  public internal(set) var target = 0..<0
  /// The target's authority, in absolute and authority form.
  public internal(set) var authority: HostPort?
  /// An absolute target's scheme is `https`.
  public internal(set) var isHTTPS = false
  /// Starts with `/`; empty in the other forms and for an absolute target that ends with its authority.
  public internal(set) var path = 0..<0
  /// Behind the `?`, possibly empty.
  public internal(set) var query: Range<Int>?
  /// `//` stands in the path (row 41).
  public internal(set) var hasEmptySegments = false
  /// 1 or 0.
  public internal(set) var minorVersion = 1
  /// The value of the one `Host` field.
  public internal(set) var host = HostPort()
  /// In the order they came. Reused from one request to the next: do not keep a copy beyond `RequestReader.reset`.
  public internal(set) var fields: [Field] = []
  public internal(set) var framing = BodyFraming.none
  /// `Expect: 100-continue` from an HTTP/1.1 client.
  public internal(set) var expectsContinue = false
  /// The client wants no further exchange on this connection, or speaks HTTP/1.0.
  public internal(set) var wantsClose = false
  /// `Connection: upgrade` with `Upgrade: websocket`.
  public internal(set) var asksForWebSocket = false
  /// `Connection` names fields that mean nothing here; the route may have set one of them (row 101).
  public internal(set) var nominatesOthers = false
  /// Which of our fields were seen.
  var seen: UInt64 = 0
  /// Bytes of the head, with an empty line before it and the empty line behind it.
  public internal(set) var byteCount = 0

  /// A field of this kind is present.
  public func has(_ id: FieldID) -> Bool { seen & (1 << UInt64(id.rawValue)) != 0 }

  /// The first field of this kind.
  public func first(_ id: FieldID) -> Field? {
    guard has(id) else { return nil }
    return fields.first { $0.id == id }
  }

  /// Whether one of the options of `Connection` satisfies `condition`.
  public func connectionNames(_ bytes: Span<UInt8>, where condition: (Span<UInt8>) -> Bool) -> Bool {
    for field in fields where field.id == .connection {
      var list = ListReader(field.value)
      while let option = try? list.next(bytes, orThrow: .badConnection) {
        if condition(bytes.extracting(option)) { return true }
      }
    }
    return false
  }

  mutating func reset() {
    var fields: [Field] = []
    swap(&fields, &self.fields)
    fields.removeAll(keepingCapacity: true)
    self = RequestHead()
    self.fields = fields
  }
}
