import Broker
import Bytes
import Crypto
import JSON

/// The handshake by the command line, over the admin socket: `POST /ath/<route>/<step>[/<subject>]`, with the body of the
/// endpoint of that name. Here a discovery is always made anew.
extension Keeper {
  func agent(_ path: String, _ body: Secret) async -> Answer {
    let parts = path.split(separator: "/").dropFirst().map(AdminService.decoded)
    guard 2...3 ~= parts.count, let action = AgentEndpoint.Action(rawValue: parts[1]) else {
      return Keeper.refusal(.noAgent(parts.first ?? ""))
    }
    let caller = AgentCaller(uid: crew.ownUID, subject: parts.count == 3 ? parts[2] : nil)
    do throws(Problem) {
      return Answer(status: 200, body: try await walk(action, parts[0], body, caller, anew: true))
    } catch {
      return Keeper.refusal(error)
    }
  }
}
