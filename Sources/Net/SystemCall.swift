import CLinux
import Glibc

/// An `errno` and the call that set it.
public struct SystemError: Error, Equatable, CustomStringConvertible {
  public let call: StaticString
  public let code: Int32

  public init(_ call: StaticString, _ code: Int32) {
    self.call = call
    self.code = code
  }

  public static func == (left: SystemError, right: SystemError) -> Bool { left.code == right.code }

  /// The system's own text for the code, with the call in front.
  public var description: String { "\(call): \(reason)" }

  /// The system's own text for the code.
  public var reason: String { unsafe String(cString: strerror(code)) }
}

/// What a call that may not block came to.
enum CallResult {
  case done(Int)
  case wouldBlock
}

/// The one funnel for system calls: EINTR is tried again, would-block is a value, EBADF and EFAULT are our own bugs.
@inline(__always)
func systemCall(_ name: StaticString, _ body: () -> Int) throws(SystemError) -> CallResult {
  while true {
    let result = body()
    if result >= 0 { return .done(result) }
    let code = errno
    switch code {
    case EINTR: continue
    case EAGAIN: return .wouldBlock
    // The next such number may be somebody else's descriptor: nothing goes on.
    case EBADF, EFAULT: fatalError("\(name): \(code == EBADF ? "bad descriptor" : "bad address")")
    default: throw SystemError(name, code)
    }
  }
}

/// A call that cannot answer would-block, or for which that is an error like any other.
@discardableResult
func blockingCall(_ name: StaticString, _ body: () -> Int) throws(SystemError) -> Int {
  switch try systemCall(name, body) {
  case .done(let value): return value
  case .wouldBlock: throw SystemError(name, EAGAIN)
  }
}

/// An open file descriptor with one owner; closed when it goes.
public struct Descriptor: ~Copyable {
  public let number: Int32

  /// - Parameter number: an open descriptor that nobody else will close.
  public init(owning number: Int32) { self.number = number }

  deinit { Glibc.close(number) }

  /// Gives the descriptor up: from here on the caller closes it.
  public consuming func release() -> Int32 {
    let number = number
    discard self
    return number
  }
}
