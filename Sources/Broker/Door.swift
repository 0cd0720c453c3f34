/// Which listener a request came in by. `port` is the listener's, nil on a Unix socket.
public enum Door: Sendable, Equatable {
  /// Every route, by prefix, absolute form or Host.
  case everyone(port: UInt16?)
  /// One route's own listener, by the route's name.
  case route(String, port: UInt16?)
  /// Health and numbers only.
  case metrics(port: UInt16?)

  var port: UInt16? {
    switch self {
    case .everyone(let port), .route(_, let port), .metrics(let port): port
    }
  }
}

/// What is known of who is calling, before any rule is asked.
public enum Caller: Sendable, Equatable {
  /// A process of the daemon's own uid, by the kernel's word.
  case own
  case unknown
}
