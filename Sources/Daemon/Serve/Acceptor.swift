import Broker
import Bytes
import Glibc
import Net

/// What a listener is for.
enum Entrance: Sendable, Equatable {
  /// Requests to forward, health and numbers.
  case data(Door)
  /// The CLI's way in.
  case admin

  /// A TCP listener for all routes: there `/-/oauth/` is.
  var takesBrowsers: Bool {
    if case .data(.everyone(port: .some)) = self { return true }
    return false
  }
}

/// Who is at the other end, as far as the kernel vouches for it.
struct Peer: Sendable {
  var uid: UInt32?
}

/// Accepts on one listener and hands the connections to the loops in turn.
///
/// One thread accepts for all: with `SO_REUSEPORT` or `EPOLLEXCLUSIVE` connections pile up on one loop (DESIGN.md §10).
final class Acceptor: EventHandler, TimerOwner {
  private var listener: Listener?
  private var token: Registration?
  private var timer: Timer?
  /// Where it listens.
  let description: String
  let entrance: Entrance
  private let loop: Loop
  private let floor: Floor

  init(_ listener: consuming Listener, entrance: (UInt16?) -> Entrance, loop: Loop, floor: Floor) throws(SystemError) {
    let number = listener.number
    self.entrance = entrance(listener.address.port)
    description = "\(listener.address)"
    self.loop = loop
    self.floor = floor
    self.listener = consume listener
    token = try loop.add(number, self)
  }

  func ready(_ events: Events) {
    // A burst is spread over turns, so that connections that stand are served between.
    for _ in 0..<64 {
      guard listener != nil else { return }
      do throws(SystemError) {
        guard let connection = try listener?.accept() else { return }
        floor.admit(connection, entrance)
      } catch {
        switch error.code {
        case ECONNABORTED, EPROTO, EPERM, ENETDOWN, EHOSTUNREACH: continue
        case EMFILE, ENFILE, ENOBUFS, ENOMEM:
          // Linux says so even where nobody waits: whoever asks again at once asks for ever.
          if !floor.shed(&listener) { return wait() }
        default: return floor.failed(error)
        }
      }
    }
    if let token { loop.postpone(token) }
  }

  private func wait() {
    if timer == nil { timer = Timer(owner: self) }
    timer?.set(loop.now + 100, in: loop.timers)
  }

  func deadlinePassed(_ timer: Timer) { ready(.readable) }

  func close() {
    timer?.cancel(in: loop.timers)
    timer = nil
    if let token { loop.forget(token) }
    token = nil
    listener = nil
  }
}

/// What the acceptors share: who is asked for uids, which loops there are, and one descriptor in reserve.
final class Floor {
  private let identifier: PeerIdentifier
  private let crew: Crew
  private let log: Log
  private var reserve: Int32
  private var next = 0
  private var lastComplaint: UInt64 = 0

  init(crew: Crew, log: Log) throws(SystemError) {
    identifier = try PeerIdentifier()
    knowsTCPPeers = identifier.answersRightly()
    self.crew = crew
    self.log = log
    reserve = Floor.openReserve()
  }

  /// Whether the kernel here tells the uids of TCP clients (SECURITY.md T1.3).
  let knowsTCPPeers: Bool

  func admit(_ connection: consuming Listener.Connection, _ entrance: Entrance) {
    let told = identifier.uid(of: connection.descriptor, peer: connection.peer)
    let peer = Peer(uid: knowsTCPPeers || connection.isUnix ? told : nil)
    // The CLI gets in even where the programs have taken all places.
    guard entrance == .admin || crew.budget.take(for: peer.uid, limits: crew.connectionLimits) else {
      connection.send(Floor.full)
      return complain("too many connections")
    }
    let number = connection.release()
    // The CLI stays with the first loop: its connections are few.
    let index = if case .data = entrance { next } else { 0 }
    if index == next { next = (next + 1) % crew.workers.count }
    crew.workers[index].post { worker in worker.serve(number, entrance, peer) }
  }

  /// Out of descriptors: gives up the one in reserve to accept and close the client that waits, and takes it back.
  /// - Returns: whether there was one.
  func shed(_ listener: inout Listener?) -> Bool {
    if reserve >= 0 { Glibc.close(reserve) }
    let accepted = (try? listener?.accept()?.number) != nil
    reserve = Floor.openReserve()
    complain("out of file descriptors")
    return accepted
  }

  func failed(_ error: SystemError) { log.say(.error, "cannot accept connections", ("reason", error.description)) }

  private func complain(_ reason: StaticString) {
    let now = Clock.milliseconds()
    guard now > lastComplaint + 1000 else { return }
    lastComplaint = now
    log.say(.warning, "connections are turned away", ("reason", "\(reason)"))
  }

  /// The whole answer to a connection that has no place, sent before it is closed: its request is not waited for.
  private static let full: [UInt8] = {
    var answer = Buffer()
    Problem(.overloaded, "Too many connections are open.", closes: true).append(
      id: RequestID(), now: Clock.wallMilliseconds() / 1000, closes: true, to: &answer)
    return Array(answer.span)
  }()

  private static func openReserve() -> Int32 { unsafe open("/dev/null", O_RDONLY | O_CLOEXEC) }
}
