import CLinux
import Glibc

/// Where an upstream is, and how it is talked to. One value feeds DNS, TCP, SNI and the certificate check (SECURITY.md T3.1).
public struct Destination {
  public let host: String
  public let port: UInt16
  /// Nil: plain TCP.
  public let tls: TLSContext?
  public let session: TLSSession

  public init(host: String, port: UInt16, tls: TLSContext?, session: TLSSession) {
    self.host = host
    self.port = port
    self.tls = tls
    self.session = session
  }
}

/// Why no connection came about.
public enum DialError: Error, Equatable {
  case unresolved(String)
  /// The name has only addresses that no upstream has (link-local, multicast, unspecified).
  case forbiddenAddress
  case unreachable(String)
  case tls(String)
  case timeout
}

/// Makes one connection: resolves, tries the addresses with both families taking turns (RFC 8305), shakes hands.
///
/// Invariant: `done` is called exactly once unless `cancel` came first, and never from within `start`.
public final class Dialer: EventHandler, TimerOwner {
  public typealias Done = (consuming Outcome) -> Void

  public enum Outcome: ~Copyable {
    /// The socket is registered under the token, which the owner takes over with `Loop.adopt`.
    case connected(Stream, Registration, resumed: Bool)
    case failed(DialError)
  }

  fileprivate let loop: Loop
  fileprivate let destination: Destination
  private var done: Done?
  private var timer: Timer?
  private var stagger: Timer?
  private var name: Registration?
  private var addresses: [Address] = []
  private var attempts: [Attempt] = []
  private var failure = DialError.unreachable("no address")

  /// How long an address has for itself before the next is tried beside it, in milliseconds (RFC 8305 §5).
  private static let staggerTime: UInt64 = 250

  public init(_ destination: Destination, loop: Loop, done: @escaping Done) {
    self.destination = destination
    self.loop = loop
    self.done = done
  }

  /// - Parameter timeout: milliseconds for everything: name, connection and handshake.
  public func start(_ resolver: Resolver, timeout: UInt64) {
    let timer = Timer(owner: self)
    timer.set(loop.now + timeout, in: loop.timers)
    self.timer = timer
    stagger = Timer(owner: self)
    let known = Dialer.known(destination.host)
    if !known.isEmpty {
      accept(known)
      return tryNext()
    }
    let name = loop.name(self)
    self.name = name
    let mailbox = loop.mailbox
    resolver.resolve(destination.host) { answer in
      mailbox.post { loop in (loop.handler(name) as? Dialer)?.resolved(answer) }
    }
  }

  /// The addresses of a host that nobody needs to be asked for: a literal's own, and loopback for `localhost`, whatever
  /// a resolver would say (RFC 6761 §6.3).
  private static func known(_ host: String) -> [Address] {
    if let address = Address(literal: host, port: 0) { return [address] }
    guard host == "localhost" || host.hasSuffix(".localhost") else { return [] }
    return [Address(literal: "127.0.0.1", port: 0), Address(literal: "::1", port: 0)].compactMap { $0 }
  }

  /// Gives up without telling.
  public func cancel() {
    done = nil
    cleanUp()
  }

  /// A dialer's own name has no descriptor: its attempts have.
  public func ready(_ events: Events) {}

  public func deadlinePassed(_ timer: Timer) {
    if timer === self.timer {
      // With nothing left under way, the deadline was only brought forward to tell of the failure.
      finish(.failed(attempts.isEmpty && addresses.isEmpty && name == nil ? failure : .timeout))
    } else {
      tryNext()
    }
  }

  // MARK: Steps

  private func resolved(_ answer: Resolver.Answer) {
    if let name { loop.forget(name) }
    name = nil
    switch answer {
    case .failure(let error):
      failure = .unresolved(error.description)
    case .success(let found):
      accept(found)
    }
    tryNext()
  }

  private func accept(_ found: [Address]) {
    addresses = found.filter { !$0.isNeverAnUpstream }.map { $0.with(port: destination.port) }
    if addresses.isEmpty { failure = .forbiddenAddress }
  }

  private func tryNext() {
    while !addresses.isEmpty {
      do throws(SystemError) {
        attempts.append(try Attempt(addresses.removeFirst(), of: self))
        if !addresses.isEmpty { stagger?.set(loop.now + Dialer.staggerTime, in: loop.timers) }
        return
      } catch {
        failure = .unreachable(error.reason)
      }
    }
    if attempts.isEmpty { timer?.set(loop.now, in: loop.timers) }
  }

  fileprivate func failed(_ attempt: Attempt, _ reason: String) {
    attempts.removeAll { $0 === attempt }
    attempt.close()
    failure = .unreachable(reason)
    stagger?.clear()
    tryNext()
  }

  /// TCP stands: the other addresses are given up, and what happens next happens here.
  fileprivate func won(_ attempt: Attempt) {
    addresses = []
    stagger?.clear()
    for other in attempts where other !== attempt { other.close() }
    attempts = [attempt]
  }

  fileprivate func finish(_ outcome: consuming Outcome) {
    let done = self.done
    self.done = nil
    cleanUp()
    done?(outcome)
  }

  private func cleanUp() {
    for attempt in attempts { attempt.close() }
    attempts = []
    addresses = []
    if let name { loop.forget(name) }
    name = nil
    timer?.cancel(in: loop.timers)
    stagger?.cancel(in: loop.timers)
  }
}

/// One address being tried.
private final class Attempt: EventHandler {
  private unowned let dialer: Dialer
  private var stream: Stream?
  private var token: Registration?
  private var isConnected = false

  init(_ address: Address, of dialer: Dialer) throws(SystemError) {
    self.dialer = dialer
    let socket = try Listener.socket(address)
    let number = socket.number
    let code = unsafe address.withSocketAddress { unsafe connect(number, $0, $1) == 0 ? 0 : errno } ?? EINVAL
    guard code == 0 || code == EINPROGRESS else { throw SystemError("connect", code) }
    setNoDelay(number)
    let stream = Stream(socket)
    // Registering a connected socket reports it writable: success is told in one place.
    token = try dialer.loop.add(number, self)
    self.stream = consume stream
  }

  func close() {
    if let token { dialer.loop.forget(token) }
    token = nil
    stream = nil
  }

  func ready(_ events: Events) {
    guard stream != nil else { return }
    if !isConnected {
      guard events.mayWrite else { return }
      let code = stream?.takeError() ?? 0
      guard code == 0 else { return dialer.failed(self, SystemError("connect", code).reason) }
      isConnected = true
      dialer.won(self)
      do throws(TLSError) {
        if let context = dialer.destination.tls {
          try stream?.startTLS(context, host: dialer.destination.host, session: dialer.destination.session)
        }
      } catch {
        return dialer.finish(.failed(.tls(error.description)))
      }
    }
    switch stream?.handshake() {
    case .done: succeed()
    case .failed(let error): dialer.finish(.failed(.tls(error.description)))
    case .wouldBlock, nil: break
    }
  }

  private func succeed() {
    guard let stream = stream.take(), let token else { return }
    let resumed = stream.isResumed
    self.token = nil
    dialer.finish(.connected(stream, token, resumed: resumed))
  }
}
