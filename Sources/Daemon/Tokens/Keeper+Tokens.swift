import Broker
import Net

/// What loops ask of the keeper about tokens. Each returns at once; answers come through the loop's shelf.
extension Keeper {
  /// To be called once, when loops can reach the keeper.
  nonisolated func begin() { atDesk { $0.begin() } }

  nonisolated func wanted(_ key: TokenKey, loop: Int, refused: Int64) {
    let crew = self.crew
    atDesk { desk in
      desk.wanted(key, refused: refused) { problem in
        crew.post(shelf: key, to: loop) { $0.answer(key.subject, problem) }
      }
    }
  }

  nonisolated func used(_ key: TokenKey) { atDesk { $0.used(key) } }

  nonisolated func rejected(_ key: TokenKey, generation: Int64) { atDesk { $0.rejected(key, generation: generation) } }

  /// Something is due.
  nonisolated func tick() { atDesk { $0.tick() } }

  nonisolated private func atDesk(_ body: @escaping @Sendable (TokenDesk) -> Void) {
    Task(executorPreference: executor) { await self.run(body) }
  }

  private func run(_ body: @Sendable (TokenDesk) -> Void) { body(desk) }

  /// Makes a call for the desk.
  nonisolated func call(_ attempt: TokenDesk.Attempt, _ request: EndpointRequest) {
    Task(executorPreference: executor) { await self.make(attempt, request) }
  }

  private func make(_ attempt: TokenDesk.Attempt, _ request: EndpointRequest) async {
    desk.answered(attempt, await ask(request))
  }
}
