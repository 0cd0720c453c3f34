import Broker
import Net
import Vault

/// Whether routes whose connectors fetch tokens get one. A token that is still good is enough; a new one is stored.
enum TokenCheck {
  /// Without a daemon: with the store that is open here, and the daemon's own desk.
  /// - Parameter names: of routes.
  /// - Returns: why there is no token, by route.
  static func failures(
    _ names: [String], _ deployment: Deployment, _ vault: Vault
  ) throws(CommandError) -> [String: String] {
    let crew = Crew(log: Log(level: .error, isJSON: false), deployment: deployment)
    let worker: Worker
    do throws(SystemError) {
      worker = try crew.start(1, deployment: deployment)
    } catch {
      throw CommandError(CommandError.Status.unavailable, error.description)
    }
    let results = Results()
    // A loop that was stopped before it ran does not run.
    func stopIfDone() {
      if results.runs, results.isDone { worker.loop.stop() }
    }
    let desk = TokenDesk(vault, crew) { attempt, request in
      results.calls += 1
      EndpointCall(request, worker: worker) { answer in
        results.calls -= 1
        results.desk?.answered(attempt, answer)
        stopIfDone()
      }.start()
    }
    results.desk = desk
    desk.adopt(deployment)
    results.waiting = names.count
    for name in names {
      desk.wanted(TokenKey(route: name, subject: TokenKey.standard), refused: 0) { problem in
        results.failures[name] = problem?.detail
        results.waiting -= 1
        stopIfDone()
      }
    }
    results.runs = true
    if !results.isDone { worker.loop.run() }
    desk.flush()
    results.desk = nil
    return results.failures
  }

  private final class Results {
    var desk: TokenDesk?
    var failures: [String: String] = [:]
    var waiting = 0
    var calls = 0
    var runs = false

    /// Every answer is in the store, also of renewals for which nobody waits: one that is thrown away may be the only good
    /// token.
    var isDone: Bool { waiting == 0 && calls == 0 }
  }
}
