/// Where a listener is bound.
public enum ListenAddress: Sendable, Hashable, CustomStringConvertible {
  /// Port 0: the kernel chooses.
  case tcp(IPAddress, port: UInt16)
  /// The mode is that of the socket file.
  case unix(path: String, mode: UInt32)

  public var description: String {
    switch self {
    case .tcp(let address, let port): Authority(host: .address(address), port: port).description
    case .unix(let path, _): path
    }
  }

  /// Whether both cannot be bound at once.
  func collides(with other: ListenAddress) -> Bool {
    switch (self, other) {
    case (.tcp(let a, let x), .tcp(let b, let y)): a == b && x == y && x != 0
    case (.unix(let a, _), .unix(let b, _)): a == b
    default: false
    }
  }
}
