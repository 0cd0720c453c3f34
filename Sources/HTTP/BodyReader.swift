/// What one step over a body's bytes found.
public struct BodyPiece: Sendable, Equatable {
  /// Bytes of the input that are done with; the next step starts behind them.
  public var consumed: Int
  /// Bytes of the body, as offsets into the input. Empty when only framing was read, or nothing.
  public var payload: Range<Int>
  /// The body is complete; the rest of the input is not part of it.
  public var finished: Bool

  /// Nothing can be read from this input: more is needed.
  public var needsMore: Bool { consumed == 0 && !finished }
}

/// Finds a body in the bytes behind a head: section F of the rules (RFC 9112 §6.3, §7.1). Keeps no bytes.
public struct BodyReader: Sendable {
  /// The body's bytes found so far.
  public private(set) var received: UInt64 = 0
  /// Of a length that was announced: bytes still to come. 0 for other framings.
  public private(set) var remaining: UInt64
  private let framing: BodyFraming
  public private(set) var isFinished: Bool
  private var chunks: ChunkReader

  public init(_ framing: BodyFraming, _ limits: HTTPLimits = .request) {
    self.framing = framing
    chunks = ChunkReader(limits)
    remaining = 0
    isFinished = false
    switch framing {
    case .none: isFinished = true
    case .length(let length):
      remaining = length
      isFinished = length == 0
    case .chunked, .untilClose: break
    }
  }

  /// Reads as far as one run of the body's bytes. Call again with what is behind `consumed`.
  /// - Parameter input: what is behind everything that was consumed; it may have less than a whole line.
  public mutating func next(_ input: Span<UInt8>) throws(HTTPError) -> BodyPiece {
    guard !isFinished else { return BodyPiece(consumed: 0, payload: 0..<0, finished: true) }
    switch framing {
    case .none: return BodyPiece(consumed: 0, payload: 0..<0, finished: true)
    case .length:
      let count = Int(min(remaining, UInt64(input.count)))
      remaining -= UInt64(count)
      received += UInt64(count)
      isFinished = remaining == 0
      return BodyPiece(consumed: count, payload: 0..<count, finished: isFinished)
    case .chunked:
      let piece = try chunks.next(input)
      received += UInt64(piece.payload.count)
      isFinished = piece.finished
      return piece
    case .untilClose:
      received += UInt64(input.count)
      return BodyPiece(consumed: input.count, payload: 0..<input.count, finished: false)
    }
  }

  /// The peer has ended its side. For a body that ends with the connection that is its end.
  /// - Throws: `HTTPError.truncatedBody` where more was announced.
  public mutating func endOfInput() throws(HTTPError) {
    guard !isFinished else { return }
    guard framing == .untilClose else { throw .truncatedBody }
    isFinished = true
  }
}
