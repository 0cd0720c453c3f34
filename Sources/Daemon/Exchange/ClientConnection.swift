import Bytes
import Net

/// A client's connection. Between requests it is this object and a socket; from a request's first byte to its response's
/// last, an `Exchange` does the work.
final class ClientConnection: EventHandler, TimerOwner {
  let worker: Worker
  let entrance: Entrance
  let peer: Peer
  /// It calls nothing of ours while it is lent.
  @safe @exclusivity(unchecked) var leg: Leg
  private(set) var token: Registration?
  private var timer: Timer?
  private(set) var exchange: Exchange?
  /// Exchanges that were answered on it.
  var exchanges = 0

  init(_ stream: consuming Stream, entrance: Entrance, peer: Peer, worker: Worker) throws(SystemError) {
    let number = stream.number
    self.worker = worker
    self.entrance = entrance
    self.peer = peer
    leg = Leg(stream)
    token = try worker.loop.add(number, self)
    let timer = Timer(owner: self)
    self.timer = timer
    wait(worker.patience.idle)
  }

  /// Between requests: true when nothing was received of a next one.
  var isIdle: Bool { exchange == nil }

  func ready(_ events: Events) {
    leg.note(events)
    if let exchange { return exchange.advance() }
    let exchange = worker.takeExchange()
    if leg.receive(into: &exchange.clientInput, upTo: Exchange.headRoom), !exchange.clientInput.isEmpty {
      self.exchange = exchange
      return exchange.begin(for: self)
    }
    worker.giveBack(exchange)
    if leg.input != .open { close() }
  }

  func deadlinePassed(_ timer: Timer) {
    if let exchange { exchange.deadlinePassed() } else { close() }
  }

  /// Moves the one deadline of this connection to `milliseconds` from now.
  func wait(_ milliseconds: UInt64) { wait(until: worker.loop.now + milliseconds) }

  /// Moves it to a time of the loop's clock; one that has passed is the loop's next turn.
  func wait(until deadline: UInt64) { timer?.set(deadline, in: worker.loop.timers) }

  func stopWaiting() { timer?.clear() }

  /// The exchange is over and nothing of a next request has come.
  func becomeIdle() {
    exchange = nil
    wait(worker.patience.idle)
  }

  /// Calls `ready` again in the next turn, so that one busy client does not keep the others waiting.
  func yield() {
    if let token { worker.loop.postpone(token) }
  }

  func close() {
    guard let token else { return }
    worker.loop.forget(token)
    self.token = nil
    timer?.cancel(in: worker.loop.timers)
    timer = nil
    let exchange = self.exchange
    self.exchange = nil
    if exchange?.isCutShort == true { leg.resetOnClose() }
    exchange?.abandon()
    worker.closed(self)
  }
}
