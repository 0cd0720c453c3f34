import Net

/// How many client connections there may be, in all and from one uid. Asked once a connection, from any loop.
final class ConnectionBudget: Sendable {
  private struct State {
    var total = 0
    var byUID: [UInt32: Int] = [:]
  }

  private let state = Lock(State())

  /// Takes a place. False when there is none.
  func take(for uid: UInt32?, limits: (total: Int, perCaller: Int)) -> Bool {
    state.withLock { state in
      let own = uid.map { state.byUID[$0, default: 0] } ?? 0
      guard state.total < limits.total, own < limits.perCaller else { return false }
      state.total += 1
      if let uid { state.byUID[uid] = own + 1 }
      return true
    }
  }

  func giveBack(for uid: UInt32?) {
    state.withLock { state in
      state.total -= 1
      guard let uid, let own = state.byUID[uid] else { return }
      state.byUID[uid] = own > 1 ? own - 1 : nil
    }
  }

  /// Connections open now.
  var total: Int { state.withLock { $0.total } }
}
