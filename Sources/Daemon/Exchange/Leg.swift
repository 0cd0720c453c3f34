import Bytes
import Net

/// One leg of an exchange: a socket, and what is known of its readiness. The bytes belong to the exchange: a quiet connection
/// holds no buffer.
struct Leg: ~Copyable {
  private var stream: Stream
  private var mayRead = true
  private var mayWrite = true
  /// The end may be queued behind bytes that were read: from here on a short read proves nothing, until one finds nothing.
  /// At first nobody knows: the event that told of the connection may have told of its end.
  private(set) var mayBeEnding = true
  /// Reset, or closed in both directions: nobody is there to read what we send.
  private(set) var isGone = false
  private(set) var input = Side.open
  private(set) var output = Side.open

  enum Side: Equatable {
    case open
    /// Ended in order: FIN, over TLS behind a close_notify.
    case ended
    /// TLS without a close_notify: whoever needs the end as a delimiter has been cut off.
    case cut
    case failed
  }

  init(_ stream: consuming Stream) { self.stream = stream }

  mutating func note(_ events: Events) {
    if events.contains(.hangUp) || events.contains(.failed) { isGone = true }
    if events.mayRead { mayRead = true }
    if events.mayWrite { mayWrite = true }
    if events.contains(.readEnd) || events.contains(.hangUp) { mayBeEnding = true }
  }

  /// Why TLS failed while reading, if it did.
  var tlsFailure: String? { stream.tlsFailure }

  /// Whether a read is worth a system call.
  var isReadable: Bool { mayRead && input == .open }

  /// Whether all that had come when it was last read has been read; if so, the next read waits for an event. Over TLS, which
  /// does not say whether the socket has more, that is so when nothing of it is held.
  mutating func rest() -> Bool {
    if stream.isTLS { mayRead = stream.holdsBytes }
    return !mayRead
  }

  /// The end may be behind what was read, or be among what TLS has taken from the socket and not opened yet, of which no event
  /// will tell.
  var mayHoldEnd: Bool { mayBeEnding || stream.holdsBytes }

  /// Makes the next read a system call, whatever events have told: some may be waiting behind the one being handled.
  mutating func lookAgain() { mayRead = true }

  /// Reads once, at most `limit` bytes. True when bytes came or the input ended.
  mutating func receive(into buffer: inout Buffer, upTo limit: Int) -> Bool {
    guard isReadable, limit > 0 else { return false }
    var more = true
    switch stream.read(into: &buffer, upTo: limit, mayHaveMore: &more) {
    case .bytes:
      mayRead = more || mayBeEnding
      return true
    case .wouldBlock:
      mayRead = false
      mayBeEnding = false
      return false
    case .end(let clean): input = clean ? .ended : .cut
    case .failed: input = .failed
    }
    return true
  }

  /// Writes once from the front of `buffer`. The number of bytes that the kernel took.
  mutating func send(from buffer: inout Buffer) -> Int {
    let count = send(buffer.span)
    buffer.consume(count)
    return count
  }

  /// Writes once. The number of bytes that the kernel took; on an error `output` says so and it is 0.
  mutating func send(_ bytes: Span<UInt8>) -> Int {
    guard mayWrite, output == .open, !bytes.isEmpty else { return 0 }
    switch stream.write(bytes) {
    case .bytes(let count):
      // Fewer than offered proves nothing: TLS takes a record at a time.
      return count
    case .wouldBlock:
      mayWrite = false
    case .failed:
      output = .failed
    }
    return 0
  }

  /// Says that no more will be sent.
  mutating func endOutput() {
    guard output == .open else { return }
    stream.endWriting()
    output = .ended
  }

  /// Has the close that follows be a reset: the peer must not take what it got for a whole message.
  mutating func resetOnClose() { stream.resetOnClose() }
}
