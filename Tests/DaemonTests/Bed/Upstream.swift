import Glibc

@testable import Net

/// An upstream in this process, over plain TCP, that records the exact bytes it gets and answers from a script.
final class Upstream: Sendable {
  let port: UInt16
  private let listener: Int32
  private let state = Lock(State())

  /// What it does about one request whose head has come.
  enum Step: Sendable {
    case send(String)
    case sendBytes([UInt8])
    /// One byte a segment.
    case drip(String)
    /// One byte at a time, with so many milliseconds behind each.
    case trickle(String, Int32)
    /// Many bytes, until all are taken.
    case fill(Int)
    /// Reads the request's body to its end.
    case body
    /// Waits for the peer to end.
    case hang
    /// Waits until it is true.
    case wait(Lock<Bool>)
    case close
    case reset
  }

  /// A request as far as its head.
  struct Request: Sendable {
    /// Of the connection that it came on, by age.
    var connection: Int
    /// On that connection, from 0.
    var number: Int
    var method: String
    var target: String
  }

  /// A connection as it was seen.
  struct Connection: Sendable {
    var requests: [Request] = []
    /// Everything that was received.
    var bytes: [UInt8] = []
    /// How the peer ended it; nil as long as it stands, and where the script ended it.
    var end: Socket.Received?
    var isOver = false

    var text: String { String(decoding: bytes, as: UTF8.self) }
  }

  private struct State {
    var connections: [Connection] = []
    var isClosed = false
  }

  init(_ script: @escaping @Sendable (Request) -> [Step]) throws {
    guard let address = Address(literal: "127.0.0.1", port: 0) else { throw SystemError("bind", EINVAL) }
    let socket = try Net.Listener(tcp: address)
    port = socket.address.port ?? 0
    listener = dup(socket.number)
    _ = fcntl(listener, F_SETFL, 0)
    let (state, listener) = (state, listener)
    try Thread.start("upstream") {
      while true {
        let number = accept(listener, nil, nil)
        guard number >= 0 else {
          if errno == EINTR || errno == ECONNABORTED { continue }
          close(listener)
          return
        }
        let socket = Socket(owning: number)
        let index = state.withLock { state in
          state.connections.append(Connection())
          return state.connections.count - 1
        }
        _ = try? Thread.start("scripted") {
          Line(socket, index, state).run(script)
          state.signal { $0.connections[index].isOver = true }
        }
      }
    }
  }

  deinit { closeListener() }

  /// From here on nobody can connect. The thread that accepts closes the descriptor, so it is told once.
  func closeListener() {
    let isFirst = state.withLock { state in
      defer { state.isClosed = true }
      return !state.isClosed
    }
    if isFirst { shutdown(listener, Int32(SHUT_RDWR)) }
  }

  /// Answers every request, once its body has come, with the same bytes.
  static func answering(_ response: String) throws -> Upstream { try Upstream { _ in [.body, .send(response)] } }

  /// What has happened so far, oldest connection first.
  var connections: [Connection] { state.withLock { $0.connections } }

  /// Requests that have arrived, in the order of their connections.
  var requests: [Request] { connections.flatMap(\.requests) }

  /// Requests with this target that have arrived.
  func count(_ target: String) -> Int { requests.count { $0.target == target } }

  /// Waits until so many requests have arrived.
  func awaitRequests(_ count: Int) { eventually("\(count) requests arrive") { requests.count >= count ? () : nil } }

  /// What has happened when all connections are over but for so many that are kept.
  func settled(except kept: Int = 0) -> [Connection] {
    eventually("all but \(kept) upstream connections end") {
      let connections = connections
      return connections.count { !$0.isOver } == kept ? connections : nil
    } ?? connections
  }

  /// One connection as its own thread has it.
  private final class Line {
    let socket: Socket
    let index: Int
    let state: Lock<State>
    /// Received and not yet part of a request that was answered.
    var input: [UInt8] = []

    init(_ socket: Socket, _ index: Int, _ state: Lock<State>) {
      self.socket = socket
      self.index = index
      self.state = state
    }

    func run(_ script: (Request) -> [Step]) {
      var number = 0
      while let head = receiveHead() {
        let words = (head.split(separator: "\r\n").first ?? "").split(separator: " ").map(String.init)
        let request = Request(
          connection: index, number: number, method: words.first ?? "", target: words.dropFirst().first ?? "")
        state.signal { $0.connections[index].requests.append(request) }
        number += 1
        for step in script(request) {
          switch step {
          case .send(let text): socket.write(text)
          case .sendBytes(let bytes): socket.write(bytes)
          case .drip(let text): socket.drip(text)
          case .trickle(let text, let pause):
            for byte in text.utf8 where socket.write([byte]) { poll(nil, 0, pause) }
          case .fill(let count):
            let block = [UInt8](repeating: UInt8(ascii: "x"), count: 64 * 1024)
            var rest = count
            while rest > 0, socket.write(Array(block[..<min(rest, block.count)])) { rest -= block.count }
          case .body: guard receiveBody(of: head) else { return }
          case .hang:
            while receive() {}
            return
          case .wait(let gate): gate.wait { $0 ? () : nil }
          case .close: return
          case .reset: return socket.resetOnClose()
          }
        }
      }
    }

    private func receive() -> Bool {
      let received = socket.read()
      guard case .bytes(let bytes) = received else {
        state.signal { $0.connections[index].end = received }
        return false
      }
      input += bytes
      state.signal { $0.connections[index].bytes += bytes }
      return true
    }

    private func receiveHead() -> String? {
      while true {
        if let end = input.firstIndex(ofSequence: "\r\n\r\n") {
          defer { input.removeFirst(end) }
          return String(decoding: input[..<end], as: UTF8.self)
        }
        guard receive() else { return nil }
      }
    }

    private func receiveBody(of head: String) -> Bool {
      let length = fieldValue("content-length", in: head).flatMap { Int($0) } ?? 0
      while true {
        if fieldValue("transfer-encoding", in: head) != nil {
          if let (_, end) = unchunked(input) {
            input.removeFirst(end)
            return true
          }
        } else if input.count >= length {
          input.removeFirst(length)
          return true
        }
        guard receive() else { return false }
      }
    }
  }
}
