import CLinux
import Glibc

/// A listening socket, TCP or Unix.
public struct Listener: ~Copyable {
  let descriptor: Descriptor
  /// Where it listens; the port that the kernel chose when 0 was asked for.
  public let address: Address
  /// The path to unlink when it goes, and the device and inode it had, so that a successor's socket is left alone.
  private let path: (String, dev_t, ino_t)?

  public var number: Int32 { descriptor.number }

  /// Binds and listens on TCP.
  public init(tcp address: Address) throws(SystemError) {
    precondition(address.port != nil)
    let socket = try Listener.socket(address)
    var one: Int32 = 1
    let size = socklen_t(MemoryLayout<Int32>.size)
    try blockingCall("setsockopt") { unsafe Int(setsockopt(socket.number, SOL_SOCKET, SO_REUSEADDR, &one, size)) }
    if case .ipv6 = address {
      let level = Int32(IPPROTO_IPV6)
      try blockingCall("setsockopt") { unsafe Int(setsockopt(socket.number, level, IPV6_V6ONLY, &one, size)) }
    }
    try Listener.bind(socket, address)
    try Listener.listen(socket)
    self.address = unsafe Address.ask(socket.number, getsockname) ?? address
    descriptor = socket
    path = nil
  }

  /// Binds and listens on a Unix socket with a mode.
  ///
  /// A socket left by a daemon that died is replaced; one that still answers, and anything that is not a socket, is not.
  /// The umask is tight while it is made: the mode is only ever widened.
  public init(unix path: String, mode: UInt32) throws(SystemError) {
    let address = Address.unix(path)
    try Listener.checkDirectory(of: path)
    try Listener.makeWay(for: path)
    let socket = try Listener.socket(address)
    let mask = umask(0o177)
    defer { umask(mask) }
    try Listener.bind(socket, address)
    try blockingCall("chmod") { unsafe Int(chmod(path, mode)) }
    try Listener.listen(socket)
    var status = stat()
    try blockingCall("lstat") { unsafe Int(lstat(path, &status)) }
    self.address = address
    self.path = (path, status.st_dev, status.st_ino)
    descriptor = socket
  }

  /// Takes over a listening socket that the service manager opened. Its path, if it has one, stays the manager's.
  public init(inherited number: Int32) throws(SystemError) {
    var listening: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    guard unsafe getsockopt(number, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0, listening == 1 else {
      throw SystemError("inherited socket", EINVAL)
    }
    _ = fcntl(number, F_SETFD, FD_CLOEXEC)
    _ = chatelaine_set_nonblocking(number)
    address = unsafe Address.ask(number, getsockname) ?? .unix("")
    descriptor = Descriptor(owning: number)
    path = nil
  }

  /// Whether an open descriptor is a socket that is bound to this address.
  public static func isInherited(_ number: Int32, _ address: Address) -> Bool {
    guard let bound = unsafe Address.ask(number, getsockname) else { return false }
    return bound == address
  }

  deinit {
    guard let (path, device, inode) = path else { return }
    var status = stat()
    guard unsafe lstat(path, &status) == 0, status.st_dev == device, status.st_ino == inode else { return }
    unsafe unlink(path)
  }

  /// A connection that waits, or nil when there is none (left).
  public func accept() throws(SystemError) -> Connection? {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let flags = Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    let result = try unsafe withUnsafeMutablePointer(to: &storage) { storage throws(SystemError) in
      try unsafe storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { address throws(SystemError) in
        let result = try systemCall("accept4") { unsafe Int(accept4(descriptor.number, address, &length, flags)) }
        guard case .done(let number) = result else { return nil as (Int32, Address)? }
        return (Int32(number), unsafe Address(address, length) ?? .unix(""))
      }
    }
    guard let (number, peer) = result else { return nil }
    if case .unix = peer {} else { setNoDelay(number) }
    return Connection(descriptor: Descriptor(owning: number), peer: peer)
  }

  /// An accepted connection and where it comes from.
  public struct Connection: ~Copyable {
    public let descriptor: Descriptor
    public let peer: Address

    public var number: Int32 { descriptor.number }
    public var isUnix: Bool { if case .unix = peer { true } else { false } }

    /// Sends what the kernel takes at once, for a connection that is closed next.
    public func send(_ bytes: [UInt8]) {
      unsafe _ = Glibc.send(descriptor.number, bytes, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
    }

    /// Gives the descriptor up to whoever calls.
    public consuming func release() -> Int32 { descriptor.release() }
  }

  // MARK: The steps

  static func socket(_ address: Address) throws(SystemError) -> Descriptor {
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    return Descriptor(owning: Int32(try blockingCall("socket") { Int(Glibc.socket(address.family, type, 0)) }))
  }

  private static func bind(_ socket: borrowing Descriptor, _ address: Address) throws(SystemError) {
    let number = socket.number
    let code = unsafe address.withSocketAddress { unsafe Glibc.bind(number, $0, $1) == 0 ? 0 : errno }
    guard code == 0 else { throw SystemError("bind", code ?? ENAMETOOLONG) }
  }

  private static func listen(_ socket: borrowing Descriptor) throws(SystemError) {
    let number = socket.number
    try blockingCall("listen") { Int(Glibc.listen(number, 1024)) }
  }

  /// Whoever may write to a directory may put a socket of their own in our socket's place (SECURITY.md T1.1).
  /// - Throws: `EPERM`.
  private static func checkDirectory(of path: String) throws(SystemError) {
    let directory = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    var status = stat()
    try blockingCall("lstat") { unsafe Int(lstat(directory, &status)) }
    let isOwn = status.st_uid == 0 || status.st_uid == geteuid()
    guard status.st_mode & S_IFMT == S_IFDIR, isOwn, status.st_mode & 0o022 == 0 else {
      throw SystemError("bind in a directory that others can write to", EPERM)
    }
  }

  private static func makeWay(for path: String) throws(SystemError) {
    var status = stat()
    guard unsafe lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else { throw SystemError("bind", EEXIST) }
    let probe = try socket(.unix(path))
    let number = probe.number
    let code = unsafe Address.unix(path).withSocketAddress { unsafe connect(number, $0, $1) == 0 ? 0 : errno }
    guard code == ECONNREFUSED else { throw SystemError("bind", EADDRINUSE) }
    unsafe unlink(path)
  }
}

/// Sends small writes at once: a request is one write, and waiting for more only delays it.
func setNoDelay(_ number: Int32) {
  var one: Int32 = 1
  unsafe _ = setsockopt(number, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
}
