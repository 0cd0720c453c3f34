import Broker
import Bytes
import JSON

/// What may be told of a token: anything but its value.
struct TokenLine {
  var key: TokenKey
  /// Of the machine, or `stored` and `expired` where no daemon runs.
  var state: String
  /// Seconds since 1970, UTC.
  var obtained: Int64?
  var expires: Int64?
  var generation: Int64?
  var lastError: String?

  func append(to text: inout Buffer) {
    text.appendObjectStart()
    text.appendMember("route", key.route)
    text.appendMember("subject", key.subject)
    text.appendMember("state", state)
    if let obtained { text.appendMember("obtained", obtained) }
    if let expires { text.appendMember("expires", expires) }
    if let generation { text.appendMember("generation", generation) }
    if let lastError { text.appendMember("last_error", lastError) }
    text.appendObjectEnd()
  }
}

extension TokenMachine.State {
  /// As people read it.
  var label: String {
    switch self {
    case .absent: "absent"
    case .fetching: "fetching"
    case .fresh: "fresh"
    case .due: "due"
    case .refreshing: "refreshing"
    case .backingOff: "backing_off"
    case .refused: "refused"
    case .reauthorizationRequired: "reauthorization_required"
    }
  }
}
