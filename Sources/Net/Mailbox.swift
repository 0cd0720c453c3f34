import CLinux
import Glibc

/// The way into a loop from other threads: a list behind a lock, and an eventfd that wakes the loop.
public final class Mailbox: Sendable {
  public typealias Letter = @Sendable (Loop) -> Void

  let descriptor: Int32
  private let letters = Lock<[Letter]>([])

  init() throws(SystemError) {
    let flags = Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)
    descriptor = Int32(try blockingCall("eventfd") { Int(eventfd(0, flags)) })
  }

  deinit { Glibc.close(descriptor) }

  /// Has `letter` run on the loop's thread, in order with others from this thread.
  public func post(_ letter: @escaping Letter) {
    let wasEmpty = letters.withLock { letters in
      letters.append(letter)
      return letters.count == 1
    }
    guard wasEmpty else { return }
    var one: UInt64 = 1
    unsafe _ = Glibc.write(descriptor, &one, 8)
  }

  func deliver(to loop: Loop) {
    var count: UInt64 = 0
    unsafe _ = Glibc.read(descriptor, &count, 8)
    let arrived = letters.withLock { letters in
      let arrived = letters
      letters.removeAll(keepingCapacity: true)
      return arrived
    }
    for letter in arrived { letter(loop) }
  }
}
