import COpenSSL
import Glibc
import Testing

@testable import Net

/// Two ends of a connection, one of them in a BIO.
private final class Ends {
  let bio: OpaquePointer
  private(set) var peer: Int32
  private let own: Int32

  init() throws {
    var numbers: [Int32] = [-1, -1]
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    try #require(socketpair(AF_UNIX, type, 0, &numbers) == 0)
    (own, peer) = (numbers[0], numbers[1])
    bio = try #require(TLSSocket.bio(over: numbers[0]))
  }

  deinit {
    BIO_free(bio)
    // The BIO has not closed it.
    #expect(fcntl(own, F_GETFD) >= 0)
    close(own)
    hangUp()
  }

  func hangUp() {
    if peer >= 0 { close(peer) }
    peer = -1
  }

  /// What a read or a write came to: how many bytes, and what OpenSSL may ask behind it.
  struct Outcome: Equatable {
    var count = 0
    var retries: Int32 = 0
    var isEnd = false
  }

  func read(_ limit: Int) -> (Outcome, [UInt8]) {
    var bytes = [UInt8](repeating: 0, count: limit)
    var count = 0
    let result = BIO_read_ex(bio, &bytes, limit, &count)
    #expect((result == 1) == (count > 0))
    return (outcome(count), Array(bytes.prefix(count)))
  }

  func write(_ bytes: [UInt8]) -> Outcome {
    var count = 0
    let result = BIO_write_ex(bio, bytes, bytes.count, &count)
    #expect((result == 1) == (count > 0))
    return outcome(count)
  }

  private func outcome(_ count: Int) -> Outcome {
    let flags = BIO_FLAGS_READ | BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY
    return Outcome(count: count, retries: BIO_test_flags(bio, flags), isEnd: BIO_ctrl(bio, BIO_CTRL_EOF, 0, nil) == 1)
  }
}

@Suite struct TLSSocketTests {
  @Test func `bytes pass in both directions, as many as there are`() throws {
    let ends = try Ends()
    #expect(ends.write([1, 2, 3]) == .init(count: 3))
    var received = [UInt8](repeating: 0, count: 8)
    #expect(recv(ends.peer, &received, 8, 0) == 3)
    #expect(send(ends.peer, [4, 5, 6] as [UInt8], 3, 0) == 3)
    let (first, some) = ends.read(2)
    let (second, rest) = ends.read(8)
    #expect(first == .init(count: 2) && second == .init(count: 1))
    #expect(some + rest == [4, 5, 6])
  }

  @Test func `nothing yet is no end, and to be tried again`() throws {
    let ends = try Ends()
    #expect(ends.read(8).0 == .init(retries: BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY))
    #expect(send(ends.peer, [7] as [UInt8], 1, 0) == 1)
    #expect(ends.read(8).0 == .init(count: 1))
  }

  @Test func `the end is told, and is not to be tried again`() throws {
    let ends = try Ends()
    #expect(send(ends.peer, [7] as [UInt8], 1, 0) == 1)
    ends.hangUp()
    #expect(ends.read(8).0 == .init(count: 1))
    #expect(ends.read(8).0 == .init(isEnd: true))
  }

  @Test func `a full socket is to be tried again, and goes on when there is room`() throws {
    let ends = try Ends()
    let block = [UInt8](repeating: 9, count: 64 * 1024)
    var sent = 0
    var outcome = ends.write(block)
    while outcome.count > 0, sent < 1 << 30 {
      sent += outcome.count
      outcome = ends.write(block)
    }
    #expect(outcome == .init(retries: BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY))
    var room = [UInt8](repeating: 0, count: sent)
    var received = 0
    while received < sent {
      let count = recv(ends.peer, &room, sent, 0)
      try #require(count > 0)
      received += count
    }
    #expect(ends.write([1]) == .init(count: 1))
  }

  @Test func `a peer that is gone is an error and no signal`() throws {
    let ends = try Ends()
    ends.hangUp()
    #expect(ends.write([1]) == .init())
  }
}
