/// What a connector sees of the request that is about to go upstream.
///
/// Method, path and query are ranges of `block`, the bytes as they will be on the wire. Nothing is copied.
public struct ConnectorRequest: ~Escapable {
  public let block: Span<UInt8>
  public let method: Range<Int>
  /// The upstream path exactly as sent, percent-encoding untouched, without the query.
  public let path: Range<Int>
  /// Without the `?`; nil when there is none.
  public let query: Range<Int>?
  /// What `headers` are ranges of: the bytes of the head as received.
  public let fields: Span<UInt8>
  /// The values of `Connector.readHeaders`, in that order; nil for one that is absent.
  public let headers: [Range<Int>?]
  /// The upstream's authority, as in `Host`.
  public let host: Span<UInt8>
  /// All of it when `Connector.readsBody`, otherwise empty.
  public let body: Span<UInt8>
  public let subject: Span<UInt8>

  @_lifetime(copy block, copy fields, copy host, copy body, copy subject)
  public init(
    block: Span<UInt8>, method: Range<Int>, path: Range<Int>, query: Range<Int>?, fields: Span<UInt8>,
    headers: [Range<Int>?], host: Span<UInt8>, body: Span<UInt8>, subject: Span<UInt8>
  ) {
    self.block = block
    self.method = method
    self.path = path
    self.query = query
    self.fields = fields
    self.headers = headers
    self.host = host
    self.body = body
    self.subject = subject
  }
}

/// The moment a request is signed for.
public struct RequestTime: Sendable, Equatable {
  /// Since 1970, UTC.
  public var seconds: Int64
  /// 0–999 past the second.
  public var milliseconds: Int

  public init(seconds: Int64, milliseconds: Int = 0) {
    self.seconds = seconds
    self.milliseconds = milliseconds
  }
}

/// Random bits for one request's `nonce` and `uuid`; fill them from a cryptographic source when `Connector.readsEntropy`.
public struct RequestEntropy: Sendable, Equatable {
  public var nonce: UInt128
  public var uuid: UInt128

  public init(nonce: UInt128 = 0, uuid: UInt128 = 0) {
    self.nonce = nonce
    self.uuid = uuid
  }
}
