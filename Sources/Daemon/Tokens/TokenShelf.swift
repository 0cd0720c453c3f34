import Broker
import Connector
import Net

/// Whose token: a route's, for one subject.
struct TokenKey: Hashable, Sendable {
  var route: String
  var subject: String

  /// The subject of routes that have one token for everybody.
  static let standard = "default"

  /// A subject is 1 to 256 visible characters of ASCII, as a header can carry them, with spaces between.
  static func check(subject: String) throws(Problem) {
    let bytes = subject.utf8
    guard (1...256).contains(bytes.count), bytes.allSatisfy({ 0x20...0x7E ~= $0 }), bytes.first != 0x20,
      bytes.last != 0x20
    else {
      throw Problem(
        .malformedRequest, "A subject has 1 to 256 visible characters of ASCII, with spaces only between them.")
    }
  }
}

/// What one loop has of a route's tokens: those that may be sent now, and the exchanges that wait for one.
///
/// It outlives deployments. The keeper puts tokens here and takes them away; a request that finds none asks it, and so
/// does only the first of many.
final class TokenShelf {
  private let route: String
  private unowned let worker: Worker
  /// Most routes have one token for everybody: it is found without a table.
  private var standard = Slot()
  private var slots: [String: Slot] = [:]

  private subscript(subject: String) -> Slot {
    get { subject == TokenKey.standard ? standard : slots[subject] ?? Slot() }
    set { if subject == TokenKey.standard { standard = newValue } else { slots[subject] = newValue } }
  }

  private struct Slot {
    var token: Token?
    /// Milliseconds of the loop's clock, which goes on while the machine is suspended; `never` for one without an end.
    var deadline = Timer.never
    var waiting: [Waiter] = []
    /// The keeper was asked for a later one than this generation, and has not answered.
    var asked: Int64?
    /// When the keeper is next told that the token is in use.
    var nextReport: UInt64 = 0
    /// When a refusal is next taken for a dead token.
    var nextReplacement: UInt64 = 0
  }

  /// An exchange that waits, found again by its client's registration; one that is over by then is not.
  private struct Waiter {
    var client: Registration
    var serial: UInt64
    /// The generation that was refused: only a later one will do.
    var refused: Int64
  }

  /// Milliseconds between two reports of a token's use, and between two refusals that are worth a new token: where the
  /// new one is refused as well, the answer is the upstream's last word.
  private static let reportInterval: UInt64 = 60_000
  static let replacementInterval: UInt64 = 10_000

  init(route: String, worker: Worker) {
    self.route = route
    self.worker = worker
  }

  /// What the connector says of its tokens, from the deployment in force.
  var recipe: TokenRecipe?

  /// The token for a request, if there is one that has not expired.
  /// - Parameter refused: a generation that the upstream has refused this request with; 0: none.
  func token(for subject: String, refused: Int64, now: UInt64) -> Token? {
    let slot = self[subject]
    guard let token = slot.token, token.generation > refused, now < slot.deadline, !token.isRevoked,
      token.expiresAt ?? .max > Clock.wallMilliseconds() / 1000
    else { return nil }
    if now >= slot.nextReport {
      self[subject].nextReport = now + TokenShelf.reportInterval
      worker.crew.keeper?.used(TokenKey(route: route, subject: subject))
    }
    return token
  }

  /// Has the exchange of this client told when there is a token, or why there is none.
  func wait(_ client: Registration, serial: UInt64, for subject: String, refused: Int64) {
    var slot = self[subject]
    slot.waiting.append(Waiter(client: client, serial: serial, refused: refused))
    if slot.asked == nil { ask(subject, refused, &slot) }
    self[subject] = slot
  }

  private func ask(_ subject: String, _ refused: Int64, _ slot: inout Slot) {
    slot.asked = refused
    worker.crew.keeper?.wanted(TokenKey(route: route, subject: subject), loop: worker.index, refused: refused)
  }

  /// The upstream has refused a request that carried this generation: no other is sent with it.
  /// - Parameter finally: another would be refused as well, so that it does not matter when the last one was.
  /// - Returns: whether another is to be had.
  func reject(_ generation: Int64, for subject: String, finally: Bool, now: UInt64) -> Bool {
    var slot = self[subject]
    // Others saw it before, and a new one is here or on its way.
    guard let token = slot.token, token.generation == generation else { return true }
    if finally { token.revoke() }
    guard finally || now >= slot.nextReplacement else { return false }
    slot.token = nil
    slot.nextReplacement = now + TokenShelf.replacementInterval
    self[subject] = slot
    worker.crew.keeper?.rejected(TokenKey(route: route, subject: subject), generation: generation)
    return true
  }

  // MARK: From the keeper

  /// - Parameters:
  ///   - deadline: from then on it is not sent, in milliseconds of the loop's clock.
  ///   - stands: until then a refusal is no reason for another one.
  func put(_ token: Token, for subject: String, deadline: UInt64, stands: UInt64) {
    var slot = self[subject]
    slot.token = token
    slot.deadline = deadline
    slot.nextReplacement = stands
    self[subject] = slot
  }

  /// The token is not to be sent any more.
  func remove(_ subject: String) {
    if subject == TokenKey.standard {
      standard.token = nil
    } else if let slot = slots[subject] {
      slots[subject] = slot.waiting.isEmpty && slot.asked == nil ? nil : Slot(waiting: slot.waiting, asked: slot.asked)
    }
  }

  /// The keeper has answered: whoever waits goes on with the token that is here now, or is refused.
  func answer(_ subject: String, _ problem: Problem?) {
    var slot = self[subject]
    guard let asked = slot.asked else { return }
    // Who came meanwhile may want a later one than was asked for.
    let isTold = { (waiter: Waiter) in problem != nil || waiter.refused <= asked }
    let told = slot.waiting.filter(isTold)
    slot.waiting.removeAll(where: isTold)
    slot.asked = nil
    if slot.token == nil, slot.waiting.isEmpty, subject != TokenKey.standard {
      // Its subject is anybody's word: nothing is kept of those who have no token.
      slots[subject] = nil
      return tell(told, problem)
    }
    if let refused = slot.waiting.map(\.refused).max() { ask(subject, refused, &slot) }
    self[subject] = slot
    tell(told, problem)
  }

  private func tell(_ told: [Waiter], _ problem: Problem?) {
    for waiter in told {
      guard let client = worker.loop.handler(waiter.client) as? ClientConnection, let exchange = client.exchange,
        exchange.serial == waiter.serial
      else { continue }
      exchange.tokenAnswered(problem)
    }
  }
}
