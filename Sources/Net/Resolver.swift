import CLinux
import Glibc

/// Why a name has no address.
public struct ResolveError: Error, Equatable, CustomStringConvertible, Sendable {
  /// The system's own text.
  public let description: String
}

/// Turns host names into addresses on threads of its own: `getaddrinfo` blocks.
///
/// Invariant: a name is asked for once at a time, whoever wants it, and at most `maximumThreads` names are.
public final class Resolver: Sendable {
  public typealias Answer = Result<[Address], ResolveError>

  private struct State {
    /// Who waits for a name that is being asked for, or will be: one question for all.
    var waiting: [String: [@Sendable (Answer) -> Void]] = [:]
    /// Names that no thread has taken yet.
    var queue: [String] = []
    var threads = 0
    /// Of the threads, those that ask.
    var busy = 0
  }

  private static let maximumThreads = 8
  private static let maximumWaiting = 4096
  private let state = Lock(State())

  public init() {}

  /// Resolves `host` and calls `reply` on a thread of the resolver's. Ports of the addresses are 0.
  func resolve(_ host: String, _ reply: @escaping @Sendable (Answer) -> Void) {
    enum Step { case none, start, full }
    var step = Step.none
    state.signal { state in
      if state.waiting[host] == nil {
        state.queue.append(host)
        // One name that hangs must not keep the others waiting: each has a thread, as far as there are any.
        if state.threads < min(state.busy + state.queue.count, Resolver.maximumThreads) {
          state.threads += 1
          step = .start
        }
      } else if state.waiting[host]?.count ?? 0 >= Resolver.maximumWaiting {
        step = .full
        return
      }
      state.waiting[host, default: []].append(reply)
    }
    switch step {
    case .none: break
    case .full: reply(.failure(ResolveError(description: "too many wait for this name")))
    case .start: start()
    }
  }

  private func start() {
    do throws(SystemError) {
      try Thread.start("resolver") { [self] in
        while true {
          let host = state.wait { state -> String? in
            guard !state.queue.isEmpty else { return nil }
            state.busy += 1
            return state.queue.removeFirst()
          }
          tell(host, Resolver.lookUp(host))
        }
      }
    } catch {
      // With other threads the question waits for one of them; without any, nobody would ever answer.
      let stranded = state.withLock { state in
        state.threads -= 1
        guard state.threads == 0 else { return [] as [String] }
        defer { state.queue = [] }
        return state.queue
      }
      for host in stranded { tell(host, .failure(ResolveError(description: error.description)), asked: false) }
    }
  }

  private func tell(_ host: String, _ answer: Answer, asked: Bool = true) {
    let replies = state.withLock { state in
      if asked { state.busy -= 1 }
      return state.waiting.removeValue(forKey: host) ?? []
    }
    for reply in replies { reply(answer) }
  }

  /// Asks the system, with its families alternated so that the second one tried is of the other kind.
  public static func lookUp(_ host: String) -> Answer {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = unsafe getaddrinfo(host, nil, &hints, &list)
    guard code == 0 else { return .failure(ResolveError(description: unsafe String(cString: gai_strerror(code)))) }
    defer { unsafe freeaddrinfo(list) }
    var addresses: [Address] = []
    var next = unsafe list
    while let entry = unsafe next {
      if let address = unsafe Address(entry.pointee.ai_addr, entry.pointee.ai_addrlen), !addresses.contains(address) {
        addresses.append(address)
      }
      unsafe next = entry.pointee.ai_next
    }
    return .success(alternate(addresses))
  }

  /// The system's order of preference, with the two families taking turns (RFC 8305 §4).
  static func alternate(_ addresses: [Address]) -> [Address] {
    guard let first = addresses.first else { return [] }
    var preferred = addresses.filter { $0.family == first.family }[...]
    var other = addresses.filter { $0.family != first.family }[...]
    var ordered: [Address] = []
    while !preferred.isEmpty || !other.isEmpty {
      if let address = preferred.popFirst() { ordered.append(address) }
      if let address = other.popFirst() { ordered.append(address) }
    }
    return ordered
  }
}
