import CLinux
import Glibc

/// Signals as events of a loop.
public final class Signals: EventHandler {
  private let descriptor: Descriptor
  private var token: Registration?
  private let body: (Int32) -> Void

  /// Keeps `signals` from interrupting any thread. Call it before the first other thread is started: they inherit it.
  public static func block(_ signals: [Int32]) {
    var set = Signals.set(of: signals)
    unsafe _ = pthread_sigmask(SIG_BLOCK, &set, nil)
  }

  /// Calls `body` on the loop's thread for each of the (blocked) signals that arrives.
  public init(_ signals: [Int32], loop: Loop, _ body: @escaping (Int32) -> Void) throws(SystemError) {
    var set = Signals.set(of: signals)
    let flags = Int32(SFD_NONBLOCK) | Int32(SFD_CLOEXEC)
    descriptor = Descriptor(owning: Int32(try blockingCall("signalfd") { unsafe Int(signalfd(-1, &set, flags)) }))
    self.body = body
    token = try loop.add(descriptor.number, self)
  }

  public func ready(_ events: Events) {
    var information = signalfd_siginfo()
    let size = MemoryLayout<signalfd_siginfo>.size
    while unsafe read(descriptor.number, &information, size) == size { body(Int32(information.ssi_signo)) }
  }

  private static func set(of signals: [Int32]) -> sigset_t {
    var set = sigset_t()
    unsafe sigemptyset(&set)
    for signal in signals { unsafe sigaddset(&set, signal) }
    return set
  }
}
