import Bytes
import Net

/// A connection to a route's upstream: leased to one exchange at a time, or idle in its route's pool.
final class UpstreamConnection: EventHandler {
  /// It calls nothing of ours while it is lent.
  @safe @exclusivity(unchecked) var leg: Leg
  let token: Registration
  /// Requests that were sent on it, the current one included.
  private(set) var requests = 0
  /// The uid for which it was made, and which alone uses it.
  let caller: UInt32
  /// Who has it on lease; nil while it is idle.
  private(set) var exchange: Exchange?
  private unowned let origin: RouteState

  init(_ stream: consuming Stream, token: Registration, caller: UInt32, origin: RouteState) {
    leg = Leg(stream)
    self.token = token
    self.caller = caller
    self.origin = origin
  }

  /// Milliseconds of the loop's clock when it was put back.
  var idleSince: UInt64 = 0

  func lease(to exchange: Exchange) {
    self.exchange = exchange
    requests += 1
  }

  func release() { exchange = nil }

  func ready(_ events: Events) {
    leg.note(events)
    if let exchange { return exchange.advance() }
    origin.check(self)
  }

  /// Whether an idle connection is as good as one that was looked at. The kernel tells of events in their order, so whatever
  /// had come before the request is handled by now. A connection that waited long is looked at all the same: that is when
  /// upstreams give them up, and what comes meanwhile would cost a request.
  func wasQuiet(_ now: UInt64) -> Bool { now - idleSince < 1000 && leg.rest() }

  /// Whether an idle connection is still good: nothing may come on it (HTTP.md row 129), not even its end.
  ///
  /// Reading is also how TLS takes in the session tickets that follow a handshake.
  /// - Parameter room: for the byte that should not come; used again and again.
  func isQuiet(_ room: inout Buffer) -> Bool {
    room.clear()
    leg.lookAgain()
    return !leg.receive(into: &room, upTo: 1) && leg.input == .open
  }
}
