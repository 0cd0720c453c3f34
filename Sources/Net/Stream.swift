public import Bytes
import CLinux
import Glibc

/// What a read came to.
public enum ReadOutcome: Equatable {
  /// This many bytes were appended (1 or more).
  case bytes(Int)
  /// Nothing now; `ready` will tell of more.
  case wouldBlock
  /// The peer ended its side. Over TLS it is `clean` only with a close_notify; over TCP and Unix sockets always.
  case end(clean: Bool)
  /// Reset, or an error in TLS.
  case failed
}

/// What a write came to.
public enum WriteOutcome: Equatable {
  case bytes(Int)
  case wouldBlock
  case failed
}

/// A connected, non-blocking socket, plain or under TLS.
public struct Stream: ~Copyable {
  let descriptor: Descriptor
  var tls: TLSConnection?

  public init(_ descriptor: consuming Descriptor) {
    self.descriptor = descriptor
    tls = nil
  }

  /// The socket's number, for registration.
  public var number: Int32 { descriptor.number }

  /// Appends at most `limit` bytes to `buffer`.
  ///
  /// A plain read shorter than `limit` has emptied the socket, so `mayHaveMore` is false and the next read waits for
  /// events; whoever saw `readEnd` reads again nevertheless, since the end may be queued behind the bytes.
  public mutating func read(into buffer: inout Buffer, upTo limit: Int, mayHaveMore: inout Bool) -> ReadOutcome {
    if let tls { return tls.read(into: &buffer, upTo: limit, mayHaveMore: &mayHaveMore) }
    var outcome = ReadOutcome.wouldBlock
    unsafe buffer.write(upTo: limit) { room in
      do throws(SystemError) {
        switch try systemCall("recv", { unsafe chatelaine_recv(descriptor.number, room.baseAddress, room.count) }) {
        case .done(0): outcome = .end(clean: true)
        case .done(let count):
          outcome = .bytes(count)
          mayHaveMore = count == room.count
          return count
        case .wouldBlock: mayHaveMore = false
        }
      } catch {
        outcome = .failed
      }
      return 0
    }
    return outcome
  }

  /// Writes a prefix of `bytes`, which must not be empty.
  public mutating func write(_ bytes: Span<UInt8>) -> WriteOutcome {
    if let tls { return tls.write(bytes) }
    return unsafe bytes.withUnsafeBytes { raw in
      do throws(SystemError) {
        let result = try systemCall("send") {
          unsafe chatelaine_send(descriptor.number, raw.baseAddress, raw.count)
        }
        switch result {
        case .done(let count): return .bytes(count)
        case .wouldBlock: return .wouldBlock
        }
      } catch {
        return .failed
      }
    }
  }

  public var isTLS: Bool { tls != nil }

  /// Whether TLS has bytes that were taken from the socket and are still to be read.
  public var holdsBytes: Bool { tls?.holdsBytes ?? false }

  /// Puts TLS on a connected socket; `handshake` follows.
  mutating func startTLS(_ context: TLSContext, host: String, session: TLSSession) throws(TLSError) {
    tls = try TLSConnection(context, descriptor: descriptor.number, host: host, session: session)
  }

  /// Goes on with the handshake; a plain stream has none and is done.
  func handshake() -> TLSConnection.Progress { tls?.handshake() ?? .done }

  /// Why reading failed, where TLS itself says so.
  public var tlsFailure: String? { tls?.readFailure?.description }

  /// Whether TLS resumed an earlier session.
  var isResumed: Bool { tls?.isResumed ?? false }

  /// Says that we send no more: close_notify over TLS, then FIN.
  public mutating func endWriting() {
    tls?.shutdown()
    _ = shutdown(descriptor.number, Int32(SHUT_WR))
  }

  /// Has `close` send RST instead of FIN, so that a peer cannot take a truncated message for a whole one.
  public mutating func resetOnClose() {
    var linger = linger(l_onoff: 1, l_linger: 0)
    unsafe _ = setsockopt(
      descriptor.number, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
  }

  /// The pending error of the socket, cleared by asking; 0 when there is none.
  public func takeError() -> Int32 {
    var code: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    unsafe _ = getsockopt(descriptor.number, SOL_SOCKET, SO_ERROR, &code, &length)
    return code
  }
}
