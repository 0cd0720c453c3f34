import Bytes
import CLinux
import Crypto
import Glibc
import HTTP
import Net

/// Asks a running daemon, one question a connection: plain HTTP/1.1, blocking.
struct AdminClient {
  /// What was answered.
  struct Answer {
    var status: Int
    var body: [UInt8]
  }

  private let descriptor: Int32
  private let name: String
  private let host: String?

  /// Seconds that an answer may take: a rotation to a passphrase derives a key first.
  private static let patience = 60

  /// - Parameter store: the file of the store that is talked about. Who listens on a Unix socket must be its owner, this
  ///   user or root. Nil where nothing is told that is worth it.
  /// - Returns: nil if no daemon listens there.
  static func connect(_ address: Address, store: String?) throws(CommandError) -> AdminClient? {
    let descriptor = socket(address.family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw CommandError(CommandError.Status.inputOutput, "no socket: \(reason())") }
    var time = timeval(tv_sec: patience, tv_usec: 0)
    let size = socklen_t(MemoryLayout<timeval>.size)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] { unsafe setsockopt(descriptor, SOL_SOCKET, option, &time, size) }
    let code = unsafe address.withSocketAddress { unsafe Glibc.connect(descriptor, $0, $1) == 0 ? 0 : errno }
    if code == 0 {
      if let store, !isTrusted(descriptor, store: store) {
        close(descriptor)
        throw CommandError(
          CommandError.Status.permission, "who listens at \(address) is another user",
          hint: "nothing was sent; \"admin\" belongs in a directory that only the daemon's user can write to")
      }
      return AdminClient(
        descriptor: descriptor, name: address.description, host: address.port.map { "localhost:\($0)" })
    }
    close(descriptor)
    switch code {
    case ENOENT, ECONNREFUSED, ENOTDIR: return nil
    case EACCES, EPERM:
      throw CommandError(
        CommandError.Status.permission, "the daemon at \(address) is another user's",
        hint: "run the command as that user")
    default:
      throw CommandError(
        CommandError.Status.unavailable, "cannot connect to \(address): \(reason(code ?? ENAMETOOLONG))")
    }
  }

  private static func isTrusted(_ descriptor: Int32, store: String) -> Bool {
    var peer = chatelaine_ucred()
    var length = socklen_t(MemoryLayout<chatelaine_ucred>.size)
    let option = Int32(chatelaine_so_peercred)
    guard unsafe getsockopt(descriptor, SOL_SOCKET, option, &peer, &length) == 0 else { return false }
    if peer.uid == 0 || peer.uid == geteuid() { return true }
    var status = stat()
    return unsafe lstat(store, &status) == 0 && status.st_uid == peer.uid
  }

  /// Closes the connection without a question: somebody listens.
  func hangUp() { close(descriptor) }

  /// Asks, reads the answer, and closes the connection.
  func ask(_ method: String, _ path: String, _ body: Secret? = nil) throws(CommandError) -> Answer {
    defer { close(descriptor) }
    var head = Buffer()
    head.append("\(method) \(path) HTTP/1.1\r\nHost: \(host ?? "localhost")\r\nConnection: close\r\n")
    if method != "GET" { head.appendField(name: "Content-Length", number: UInt64(body?.count ?? 0)) }
    head.append("\r\n")
    try send(head.span)
    if let body { try send(body.span) }
    return try receive()
  }

  private func send(_ bytes: Span<UInt8>) throws(CommandError) {
    var sent = 0
    while sent < bytes.count {
      let rest = bytes.extracting(sent...)
      let count = unsafe rest.withUnsafeBytes {
        unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count < 0, errno != EINTR { throw lost(reason()) }
      sent += max(count, 0)
    }
  }

  private func receive() throws(CommandError) -> Answer {
    var input = Buffer()
    var reader = ResponseReader()
    do throws(HTTPError) {
      while try !reader.read(input.span, requestMethodIsHEAD: false) {
        guard receiveMore(&input) else { throw .notHTTP }
      }
      let head = reader.head
      input.consume(head.byteCount)
      var body = BodyReader(head.framing, .response)
      var bytes: [UInt8] = []
      while !body.isFinished {
        let piece = try body.next(input.span)
        bytes += Array(input.span.extracting(piece.payload))
        input.consume(piece.consumed)
        if piece.needsMore, !receiveMore(&input) { try body.endOfInput() }
      }
      return Answer(status: head.status, body: bytes)
    } catch {
      throw lost("its answer broke off")
    }
  }

  /// False at the end of the input, and when there is none in time.
  private func receiveMore(_ input: inout Buffer) -> Bool {
    var count = 0
    unsafe input.write(upTo: 16384) { room in
      repeat {
        count = unsafe recv(descriptor, room.baseAddress, room.count, 0)
      } while count < 0 && errno == EINTR
      return max(count, 0)
    }
    return count > 0
  }

  private func lost(_ reason: String) -> CommandError {
    CommandError(
      CommandError.Status.unavailable, "the daemon at \(name) did not answer: \(reason)",
      hint: "whether it did what it was asked is not known")
  }
}
