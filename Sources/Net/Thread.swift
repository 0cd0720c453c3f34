import CLinux
import Glibc

/// A thread of our own, named for `top -H` and the journal.
public enum Thread {
  /// Starts a detached thread that runs `body`.
  /// - Parameter name: at most 15 bytes are kept.
  public static func start(_ name: StaticString, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
    let box = unsafe Unmanaged.passRetained(Start(name, body))
    var thread = pthread_t()
    let code = unsafe pthread_create(
      &thread, nil,
      { argument in
        let start = unsafe Unmanaged<Start>.fromOpaque(argument.unsafelyUnwrapped).takeRetainedValue()
        unsafe chatelaine_prctl(PR_SET_NAME, UInt(bitPattern: start.name.utf8Start))
        start.body()
        return nil
      }, unsafe box.toOpaque())
    guard code == 0 else {
      unsafe box.release()
      throw SystemError("pthread_create", code)
    }
    pthread_detach(thread)
  }

  private final class Start: Sendable {
    let name: StaticString
    let body: @Sendable () -> Void

    init(_ name: StaticString, _ body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }
}
