import CLinux
import Glibc
import Synchronization

/// Asks the kernel who is at the other end of an accepted connection.
///
/// Unix sockets answer by `SO_PEERCRED`, as of `connect()`. For loopback TCP an exact `NETLINK_SOCK_DIAG` look-up names
/// the uid that made the client's socket (SECURITY.md T1.3). One per accepting thread.
public struct PeerIdentifier: ~Copyable {
  private let netlink: Descriptor
  private let sequence = Atomic<UInt32>(0)
  /// In a user namespace that maps only some users, the uid that the kernel gives for all the others. It may be anybody's.
  private let overflowUID: UInt32?

  public init() throws(SystemError) {
    let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let number = Int32(try blockingCall("socket") { Int(socket(AF_NETLINK, type, NETLINK_SOCK_DIAG)) })
    let netlink = Descriptor(owning: number)
    var patience = timeval(tv_sec: 1, tv_usec: 0)
    let size = socklen_t(MemoryLayout<timeval>.size)
    try blockingCall("setsockopt") { unsafe Int(setsockopt(number, SOL_SOCKET, SO_RCVTIMEO, &patience, size)) }
    self.netlink = netlink
    overflowUID =
      PeerIdentifier.mapsAllUsers ? nil : PeerIdentifier.number(in: "/proc/sys/kernel/overflowuid") ?? 65_534
  }

  /// The peer's uid, or nil when the kernel does not vouch for one.
  public func uid(of connection: borrowing Descriptor, peer: Address) -> UInt32? {
    guard let uid = told(of: connection, peer: peer), uid != overflowUID else { return nil }
    return uid
  }

  private func told(of connection: borrowing Descriptor, peer: Address) -> UInt32? {
    if case .unix = peer { return PeerIdentifier.credentials(connection)?.uid }
    guard peer.isLoopback, let own = unsafe Address.ask(connection.number, getsockname), own.isLoopback,
      let uid = lookUp(client: peer, server: own), isOpen(connection)
    else { return nil }
    return uid
  }

  /// Whether every uid of the host is itself here: the map is one line that takes 0 and all that follow to themselves.
  private static var mapsAllUsers: Bool {
    words(of: "/proc/self/uid_map") == ["0", "0", "4294967295"]
  }

  private static func number(in path: String) -> UInt32? { words(of: path).first.flatMap { UInt32($0) } }

  private static func words(of path: String) -> [String] {
    let number = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard number >= 0 else { return [] }
    let file = Descriptor(owning: number)
    var bytes = [UInt8](repeating: 0, count: 1024)
    let count = unsafe read(file.number, &bytes, bytes.count)
    return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self).split(whereSeparator: \.isWhitespace).map(
      String.init)
  }

  private static func credentials(_ connection: borrowing Descriptor) -> chatelaine_ucred? {
    var credentials = chatelaine_ucred()
    var length = socklen_t(MemoryLayout<chatelaine_ucred>.size)
    let option = Int32(chatelaine_so_peercred)
    guard unsafe getsockopt(connection.number, SOL_SOCKET, option, &credentials, &length) == 0 else { return nil }
    return credentials
  }

  /// Our own end still stands without error: otherwise the client's tuple may by now be somebody else's.
  private func isOpen(_ connection: borrowing Descriptor) -> Bool {
    var information = tcp_info()
    var length = socklen_t(MemoryLayout<tcp_info>.size)
    let level = Int32(IPPROTO_TCP)
    guard unsafe getsockopt(connection.number, level, TCP_INFO, &information, &length) == 0 else { return false }
    return Int32(information.tcpi_state) == PeerIdentifier.established
  }

  private static let established: Int32 = 1  // TCP_ESTABLISHED, which two headers spell differently

  private func lookUp(client: Address, server: Address) -> UInt32? {
    guard var request = PeerIdentifier.question(client: client, server: server) else { return nil }
    let size = MemoryLayout<chatelaine_diag_request>.size
    request.header.nlmsg_seq = sequence.add(1, ordering: .relaxed).newValue
    guard unsafe send(netlink.number, &request, size, 0) == size else { return nil }
    return unsafe withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { buffer -> UInt32? in
      var answer = chatelaine_diag_answer()
      repeat {
        // An answer that came too late for its question is still in the queue, and is passed over.
        let count = unsafe recv(netlink.number, buffer.baseAddress, buffer.count, 0)
        guard count >= MemoryLayout<nlmsghdr>.size else { return nil }
        answer = chatelaine_diag_answer()
        answer.header = unsafe buffer.load(as: nlmsghdr.self)
        if count >= MemoryLayout<chatelaine_diag_answer>.size {
          answer = unsafe buffer.load(as: chatelaine_diag_answer.self)
        }
      } while answer.header.nlmsg_seq != request.header.nlmsg_seq
      guard answer.header.nlmsg_type == UInt16(SOCK_DIAG_BY_FAMILY),
        Int32(answer.message.idiag_state) == PeerIdentifier.established, answer.message.idiag_inode != 0,
        answer.message.id.idiag_sport == request.request.id.idiag_sport,
        answer.message.id.idiag_dport == request.request.id.idiag_dport
      else { return nil }
      return answer.message.idiag_uid
    }
  }

  /// The question for exactly the client's socket: its source is the client, its destination is us.
  private static func question(client: Address, server: Address) -> chatelaine_diag_request? {
    var question = chatelaine_diag_request()
    question.header.nlmsg_len = UInt32(MemoryLayout<chatelaine_diag_request>.size)
    question.header.nlmsg_type = UInt16(SOCK_DIAG_BY_FAMILY)
    question.header.nlmsg_flags = UInt16(NLM_F_REQUEST)
    question.request.sdiag_protocol = UInt8(IPPROTO_TCP)
    question.request.idiag_states = .max
    question.request.id.idiag_cookie = (.max, .max)
    question.request.id.idiag_sport = (client.port ?? 0).bigEndian
    question.request.id.idiag_dport = (server.port ?? 0).bigEndian
    switch (client, server) {
    case (.ipv4(let source, _), .ipv4(let destination, _)):
      question.request.sdiag_family = UInt8(AF_INET)
      question.request.id.idiag_src.0 = source.bigEndian
      question.request.id.idiag_dst.0 = destination.bigEndian
    case (.ipv6(let high, let low, _, _), .ipv6(let ownHigh, let ownLow, _, _)):
      question.request.sdiag_family = UInt8(AF_INET6)
      question.request.id.idiag_src = words(high, low)
      question.request.id.idiag_dst = words(ownHigh, ownLow)
    default:
      return nil
    }
    return question
  }

  private static func words(_ high: UInt64, _ low: UInt64) -> (UInt32, UInt32, UInt32, UInt32) {
    (
      UInt32(truncatingIfNeeded: high >> 32).bigEndian, UInt32(truncatingIfNeeded: high).bigEndian,
      UInt32(truncatingIfNeeded: low >> 32).bigEndian, UInt32(truncatingIfNeeded: low).bigEndian
    )
  }

  /// Whether the kernel here names the right uid for a TCP client: asked of a connection from us to ourselves.
  public func answersRightly() -> Bool {
    do throws(SystemError) {
      guard let loopback = Address(literal: "127.0.0.1", port: 0) else { return false }
      let listener = try Listener(tcp: loopback)
      let client = try Listener.socket(listener.address)
      let number = client.number
      _ = unsafe listener.address.withSocketAddress { unsafe connect(number, $0, $1) }
      var interest = pollfd(fd: listener.number, events: Int16(POLLIN), revents: 0)
      unsafe _ = poll(&interest, 1, 1000)
      guard let connection = try listener.accept() else { return false }
      return uid(of: connection.descriptor, peer: connection.peer) == geteuid()
    } catch {
      return false
    }
  }
}
