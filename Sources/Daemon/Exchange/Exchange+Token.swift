import Broker
import Bytes
import Connector
import HTTP
import Net

/// The token that a request goes out with, on routes whose connector fetches one.
extension Exchange {
  /// Goes on with a token that may be sent; waits where there is none yet.
  func authorize() {
    guard let shelf = state?.shelf else { return lease(fresh: false) }
    if let token = shelf.token(for: subject, refused: refusedGeneration, now: now) {
      accessToken = token
      return lease(fresh: false)
    }
    guard let token = client?.token else { return }
    do throws(Problem) {
      try TokenKey.check(subject: subject)
    } catch {
      return refuse(error)
    }
    accessToken = nil
    phase = .authorizing
    client?.stopWaiting()
    shelf.wait(token, serial: serial, for: subject, refused: refusedGeneration)
  }

  /// What was taken from the shelf may not be sent any more.
  var isTokenStale: Bool {
    guard let accessToken, let shelf = state?.shelf else { return false }
    return shelf.token(for: subject, refused: refusedGeneration, now: now) !== accessToken
  }

  /// What the keeper says to a request that waits.
  func tokenAnswered(_ problem: Problem?) {
    guard phase == .authorizing else { return }
    if let problem {
      refuse(problem)
    } else if let token = state?.shelf?.token(for: subject, refused: refusedGeneration - 1, now: now) {
      // A later one, or the keeper leaves the one that was refused in place: then the upstream has the last word.
      accessToken = token
      lease(fresh: false)
    } else {
      // It lived no longer than its way here, or a newer one was wanted than there is.
      refuse(.tokenUseless(route: record.route))
    }
    advance()
  }

  /// What an answer means for the token that its request carried.
  enum Verdict {
    case fine
    /// That is in the body, which is not all here yet.
    case open
    /// The token is dead, and the request is on its way again with another: nothing is passed on.
    case replaced
  }

  /// Looks at the answer's head, and at its body where the connector wants that.
  ///
  /// A dead token's generation is never sent again, and the request is sent once more with another. A 401 says that
  /// nothing was done (RFC 9110 §15.5.2), so it may follow any method; other signs only those that may be repeated. The
  /// body must still be there.
  func judgeToken() throws(HTTPError) -> Verdict {
    guard let token = accessToken, let state, let shelf = state.shelf, let recipe = shelf.recipe else { return .fine }
    let head = responseReader.head
    let verdict: TokenRecipe.Verdict
    if let plain = recipe.judge(status: head.status) {
      verdict = plain
    } else {
      guard let body = try smallBody(head) else { return .open }
      verdict = body.withSpan { recipe.judge(status: head.status, body: $0) }
    }
    guard verdict != .accepted, shelf.reject(token.generation, for: subject, finally: verdict == .revoked, now: now)
    else { return .fine }
    let mayRepeat = head.status == 401 || plan?.method.isIdempotent == true
    guard verdict == .rejected, refusedGeneration == 0, mayRepeat, bodyIsIntact else { return .fine }
    refusedGeneration = token.generation
    state.tally.numbers.retried += 1
    accessToken = nil
    dropUpstream()
    upstreamInput.clear()
    upstreamOutput.clear()
    interims = 0
    authorize()
    return .replaced
  }

  /// The answer's body, if it is small; nothing of it if it is not; nil while more of it is to come.
  private func smallBody(_ head: ResponseHead) throws(HTTPError) -> Held? {
    let found = Held()
    if case .length(let length) = head.framing, length > UInt64(Exchange.headRoom) { return found }
    if head.framing == .untilClose { return found }
    var reader = BodyReader(head.framing, .response)
    var offset = head.byteCount
    while !reader.isFinished {
      let piece = try upstreamInput.withSpan { bytes throws(HTTPError) in
        let piece = try reader.next(bytes.extracting(offset...))
        found.bytes.append(bytes.extracting(offset...).extracting(piece.payload))
        return piece
      }
      offset += piece.consumed
      guard piece.needsMore else { continue }
      guard offset < head.byteCount + Exchange.headRoom, upstream?.leg.input == .open else { return Held() }
      return nil
    }
    return found
  }

  /// Bytes to look at.
  private final class Held {
    var bytes = Buffer()
    func withSpan<Result>(_ body: (Span<UInt8>) -> Result) -> Result { bytes.withSpan(body) }
  }

  /// For whom the request acts.
  private var subject: String {
    guard state?.isPerSubject == true, let field = requestReader.head.first(.chatelaineSubject) else {
      return TokenKey.standard
    }
    return headBytes.withSpan { String($0.extracting(field.value)) }
  }
}
