import Broker
import Bytes
import Crypto
import JSON

/// Logins by the command line, over the admin socket.
extension Keeper {
  /// - `POST /logins/<route>`: `{"subject"?, "scope"?}` → as `authorize` answers.
  /// - `POST /logins/<route>/state`, the state: `{"pending": true}`, or how it ended.
  /// - `POST /logins/<route>/return`: the query of the address that the browser ended at.
  /// - `DELETE /logins/<route>/<subject>`: ends a session.
  func login(_ method: String, _ path: String, _ body: Secret) async -> Answer {
    let parts = path.split(separator: "/").dropFirst().map(AdminService.decoded)
    guard let route = parts.first, parts.count <= 2 else { return Keeper.refusal(.noLogins("")) }
    let second = parts.count == 2 ? parts[1] : nil
    do throws(Problem) {
      switch (method, second) {
      case ("POST", nil):
        guard let office = desk.office(of: route) else { throw .noLogins(route) }
        return Answer(
          status: 200, body: try logins.authorize(office, LoginDesk.Wish(body.span), caller: crew.ownUID))
      case ("POST", "return"):
        let back = try LoginReturn(query: body.span, route: route)
        return Answer(status: 200, body: try await redeem(back, route, caller: crew.ownUID).json)
      case ("POST", "state"):
        switch logins.outcome(of: String(body.span)) {
        case .session(let session): return Answer(status: 200, body: session.json)
        case .failed(let problem): throw problem
        case nil: return Answer(status: 200, body: Array("{\"pending\":true}".utf8))
        }
      case ("DELETE", let subject?):
        try end(TokenKey(route: route, subject: subject))
        return Answer(status: 200, body: Array("{}".utf8))
      default: throw .noLogins(route)
      }
    } catch {
      return Keeper.refusal(error)
    }
  }

  static func refusal(_ problem: Problem) -> Answer {
    let status =
      [.authorizationFailed, .stateUnknown, .tokenUnavailable, .storeLocked, .overloaded].contains(problem.code)
      ? CommandError.Status.unavailable : CommandError.Status.data
    return Answer(status: 503, body: AdminService.problem(CommandError(status, problem.detail, hint: problem.hint)))
  }
}
