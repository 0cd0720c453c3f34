import Bytes
import Glibc
import Testing

@testable import Net

@Test func `a late event for a descriptor that was reused reaches nobody`() throws {
  final class Handler: EventHandler {
    var calls = 0
    func ready(_ events: Events) { calls += 1 }
  }
  let loop = try Loop()
  let first = Handler()
  let second = Handler()
  let old = loop.name(first)
  loop.forget(old)
  let new = loop.name(second)
  #expect(loop.handler(old) == nil)
  #expect(loop.handler(new) === second)
  loop.forget(old)
  #expect(loop.handler(new) === second, "an old token must not end a new registration")
}

@Test func `letters arrive in order on the loop's thread`() throws {
  let turns = try Turns()
  let log = Lock<[Int]>([])
  let mailbox = turns.loop.mailbox
  try Thread.start("poster") {
    for number in 0..<1000 { mailbox.post { _ in log.withLock { $0.append(number) } } }
    mailbox.post { $0.stop() }
  }
  turns.run { _ in }
  #expect(log.withLock { $0 } == Array(0..<1000))
}

@Test func `a Unix socket gets its mode, replaces a dead one, and leaves a live one and a file alone`() throws {
  let directory = Directory()
  let path = directory.path + "/test.sock"
  var status = stat()
  do {
    let listener = try Listener(unix: path, mode: 0o660)
    #expect(lstat(path, &status) == 0)
    #expect(status.st_mode & 0o777 == 0o660)
    #expect(throws: SystemError("bind", EADDRINUSE)) { _ = try Listener(unix: path, mode: 0o600) }
    _ = consume listener
  }
  #expect(lstat(path, &status) == -1, "the socket goes with its listener")

  // One that nobody listens on any more, as a crash leaves it behind.
  let dead = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
  _ = Address.unix(path).withSocketAddress { bind(dead, $0, $1) }
  close(dead)
  do { _ = try Listener(unix: path, mode: 0o600) }

  let file = open(path, O_CREAT | O_WRONLY, 0o600)
  close(file)
  defer { unlink(path) }
  #expect(throws: SystemError("bind", EEXIST)) { _ = try Listener(unix: path, mode: 0o600) }
  #expect(lstat(path, &status) == 0)
}

@Test func `the kernel names the uid of a client, over IPv4, IPv6 and a Unix socket`() throws {
  let identifier = try PeerIdentifier()
  let answersRightly = identifier.answersRightly()
  #expect(answersRightly)
  let directory = Directory()
  let path = directory.path + "/test.sock"
  let v4 = try #require(Address(literal: "127.0.0.1", port: 0))
  let v6 = try #require(Address(literal: "::1", port: 0))
  for listener in [Box(try Listener(tcp: v4)), Box(try Listener(tcp: v6)), Box(try Listener(unix: path, mode: 0o600))] {
    let client = try Listener.socket(listener.value.address)
    let number = client.number
    _ = listener.value.address.withSocketAddress { connect(number, $0, $1) }
    guard let connection = try listener.value.accept() else { throw SystemError("accept", EAGAIN) }
    let uid = identifier.uid(of: connection.descriptor, peer: connection.peer)
    #expect(uid == geteuid())
  }
}

@Test func `a client that has gone has no uid`() throws {
  let identifier = try PeerIdentifier()
  let listener = try Listener(tcp: try #require(Address(literal: "127.0.0.1", port: 0)))
  do {
    let client = try Listener.socket(listener.address)
    let number = client.number
    _ = listener.address.withSocketAddress { connect(number, $0, $1) }
    var linger = linger(l_onoff: 1, l_linger: 0)
    setsockopt(number, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
  }
  guard let connection = try listener.accept() else { throw SystemError("accept", EAGAIN) }
  let uid = identifier.uid(of: connection.descriptor, peer: connection.peer)
  #expect(uid == nil)
}

/// A directory of our own: sockets are not made where others can write.
final class Directory {
  let path: String

  init() {
    var template = Array("/tmp/chatelaine-net.XXXXXX".utf8CString)
    path =
      mkdtemp(&template) == nil
      ? "/nowhere" : String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit { rmdir(path) }
}

@Test func `a socket is not made where others can write, nor behind a symbolic link`() throws {
  let directory = Directory()
  chmod(directory.path, 0o777)
  #expect(throws: SystemError("bind", EPERM)) { _ = try Listener(unix: directory.path + "/test.sock", mode: 0o600) }
  chmod(directory.path, 0o700)
  let link = directory.path + "-link"
  symlink(directory.path, link)
  defer { unlink(link) }
  #expect(throws: SystemError("bind", EPERM)) { _ = try Listener(unix: link + "/test.sock", mode: 0o600) }
}

private final class Box {
  let value: Listener
  init(_ value: consuming Listener) { self.value = value }
}
