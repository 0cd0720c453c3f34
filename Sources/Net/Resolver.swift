import CLinux
import Glibc

/// Why a name has no address.
public struct ResolveError: Error, Equatable, CustomStringConvertible, Sendable {
  /// The system's own text.
  public let description: String
}

/// Turns host names into addresses on threads of its own: `getaddrinfo` blocks.
///
/// Invariant: at most `maximumThreads` run and `maximumQueue` questions wait; past that a question fails at once.
public final class Resolver: Sendable {
  public typealias Answer = Result<[Address], ResolveError>

  private struct State {
    var questions: [Question] = []
    /// Questions asked and not yet answered: with none to spare of these, another thread would only sleep.
    var unanswered = 0
    var threads = 0
  }

  private struct Question: Sendable {
    let host: String
    let reply: @Sendable (Answer) -> Void
  }

  private static let maximumThreads = 4
  private static let maximumQueue = 256
  private let state = Lock(State())

  public init() {}

  /// Resolves `host` and calls `reply` on a thread of the resolver's. Ports of the addresses are 0.
  func resolve(_ host: String, _ reply: @escaping @Sendable (Answer) -> Void) {
    enum Step { case queued, start, full }
    var step = Step.queued
    state.signal { state in
      guard state.questions.count < Resolver.maximumQueue else {
        step = .full
        return
      }
      state.questions.append(Question(host: host, reply: reply))
      state.unanswered += 1
      if state.threads < min(state.unanswered, Resolver.maximumThreads) {
        state.threads += 1
        step = .start
      }
    }
    switch step {
    case .queued: break
    case .full: reply(.failure(ResolveError(description: "too many names are being resolved")))
    case .start: start()
    }
  }

  private func start() {
    do throws(SystemError) {
      try Thread.start("resolver") { [self] in
        while true {
          let question = state.wait { state -> Question? in
            guard state.questions.isEmpty else { return state.questions.removeFirst() }
            return nil
          }
          question.reply(Resolver.lookUp(question.host))
          state.withLock { $0.unanswered -= 1 }
        }
      }
    } catch {
      let stranded = state.withLock { state in
        state.threads -= 1
        guard state.threads == 0 else { return [] as [Question] }
        defer {
          state.questions = []
          state.unanswered = 0
        }
        return state.questions
      }
      for question in stranded { question.reply(.failure(ResolveError(description: error.description))) }
    }
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
