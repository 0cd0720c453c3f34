import Glibc

@testable import Net

/// A blocking TCP socket of a test, at either end. Nothing waits longer than `patience`.
final class Socket: Sendable {
  let number: Int32

  /// Seconds. Far more than anything takes that works; less than anybody's patience with what does not.
  static let patience = 5

  /// What came of a read.
  enum Received: Equatable {
    case bytes([UInt8])
    /// FIN.
    case end
    case reset
    /// Nothing within `patience`: whoever should have spoken hangs.
    case nothing
  }

  /// - Parameter number: a connected socket that nobody else closes.
  init(owning number: Int32) {
    self.number = number
    var limit = timeval(tv_sec: Socket.patience, tv_usec: 0)
    let size = socklen_t(MemoryLayout<timeval>.size)
    setsockopt(number, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
    setsockopt(number, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
    var one: Int32 = 1
    setsockopt(number, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
  }

  deinit { close(number) }

  /// - Parameter room: bytes of the receive buffer; 0 leaves it to the kernel.
  static func connect(port: UInt16, room: Int32 = 0) throws -> Socket {
    let number = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    let socket = Socket(owning: number)
    if room > 0 {
      var room = room
      setsockopt(number, SOL_SOCKET, SO_RCVBUF, &room, socklen_t(MemoryLayout<Int32>.size))
    }
    guard let address = Address(literal: "127.0.0.1", port: port) else { throw SystemError("connect", EINVAL) }
    let code = address.withSocketAddress { Glibc.connect(number, $0, $1) == 0 ? 0 : errno } ?? EINVAL
    guard code == 0 else { throw SystemError("connect", code) }
    return socket
  }

  func read(upTo limit: Int = 64 * 1024) -> Received {
    var bytes = [UInt8](repeating: 0, count: limit)
    while true {
      let count = recv(number, &bytes, limit, 0)
      if count > 0 { return .bytes(Array(bytes[..<count])) }
      if count == 0 { return .end }
      switch errno {
      case EINTR: continue
      case EAGAIN: return .nothing
      default: return .reset
      }
    }
  }

  /// All of the bytes, or as many as the peer takes. False when it did not take all.
  @discardableResult
  func write(_ bytes: [UInt8]) -> Bool {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        send(number, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
      }
      if count > 0 { sent += count } else if errno != EINTR { return false }
    }
    return true
  }

  @discardableResult
  func write(_ text: String) -> Bool { write(Array(text.utf8)) }

  /// One byte a segment.
  func drip(_ text: String) { for byte in text.utf8 { write([byte]) } }

  /// Sends FIN; what the peer says is still read.
  func finish() { shutdown(number, Int32(SHUT_WR)) }

  /// Has the peer see RST in place of FIN when this socket goes, which is to be next.
  func resetOnClose() {
    var linger = linger(l_onoff: 1, l_linger: 0)
    setsockopt(number, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
  }

  /// Whether the peer's kernel takes nothing more for a while.
  func isStuck(milliseconds: Int32) -> Bool {
    var interest = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
    return poll(&interest, 1, milliseconds) == 0
  }
}

/// A listener whose queue is full: whoever connects hears nothing.
final class FullListener {
  let port: UInt16
  private let listener: Socket
  private var waiting: [Socket] = []

  init() throws {
    guard let address = Address(literal: "127.0.0.1", port: 0) else { throw SystemError("bind", EINVAL) }
    let socket = try Net.Listener(tcp: address)
    port = socket.address.port ?? 0
    listener = Socket(owning: dup(socket.number))
    listen(listener.number, 0)
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    for _ in 0..<4 {
      let number = Glibc.socket(AF_INET, type, 0)
      _ = socket.address.withSocketAddress { Glibc.connect(number, $0, $1) }
      waiting.append(Socket(owning: number))
    }
  }
}
