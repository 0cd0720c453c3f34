import Broker
import Bytes
import Crypto
import HTTP
import Net

/// A request of our own, whole: to a token endpoint, not on behalf of one exchange.
struct EndpointRequest: Sendable {
  var host: String
  var port: UInt16
  /// Nil: plain HTTP.
  var tls: Deployment.TLS?
  /// The request as it goes out, with `Connection: close`. It carries credentials.
  var bytes: Secret
  var isToUpstream: Bool
  /// Milliseconds for the connection, and for everything behind it.
  var connectTimeout: UInt64
  var answerTimeout: UInt64
}

/// What an endpoint of a vendor answered.
struct EndpointAnswer: Sendable {
  var status: Int
  var body: Secret
  /// The value of `Date`.
  var date: [UInt8] = []
  /// Seconds.
  var retryAfter: Int?
  /// The endpoint is on the route's upstream.
  var isFromUpstream = true
}

/// Why there is no answer, or none that can be read.
struct EndpointFailure: Error {
  /// In words that repeat nothing of what came.
  var reason: String
  /// Not one byte of the request can have reached the endpoint.
  var wasSent: Bool
}

/// One request and its answer on a connection of its own. Control plane: it is rare, and its memory is wiped.
///
/// Invariant: `done` is called exactly once, on the loop's thread, and never from within `start`.
final class EndpointCall: EventHandler, TimerOwner {
  typealias Done = (Result<EndpointAnswer, EndpointFailure>) -> Void

  /// Bytes of an answer's body that are read at most, and a few more, so that the reader can tell that it is too long.
  static let bodyLimit = 64 << 10

  private let request: EndpointRequest
  private let worker: Worker
  private var done: Done?
  private var dialer: Dialer?
  private var timer: Timer?
  private var token: Registration?
  private var leg: Leg?
  private var output = Buffer()
  private var input = Buffer()
  private var body = Buffer()
  private var reader = ResponseReader()
  private var bodyReader: BodyReader?
  private var wasSent = false
  private var interims = 0

  init(_ request: EndpointRequest, worker: Worker, done: @escaping Done) {
    self.request = request
    self.worker = worker
    self.done = done
  }

  func start() {
    worker.began(self)
    let timer = Timer(owner: self)
    self.timer = timer
    timer.set(worker.loop.now + request.connectTimeout + request.answerTimeout, in: worker.loop.timers)
    var context: TLSContext?
    do throws(TLSError) {
      if let tls = request.tls { context = try worker.tlsContext(tls) }
    } catch {
      // Not from within `start`.
      let description = error.description
      worker.loop.mailbox.post { [token = worker.loop.name(self)] loop in
        guard let call = loop.handler(token) as? EndpointCall else { return }
        loop.forget(token)
        call.fail("TLS: \(description)")
      }
      return
    }
    let destination = Destination(host: request.host, port: request.port, tls: context, session: TLSSession())
    let dialer = Dialer(destination, loop: worker.loop) { [unowned self] outcome in self.dialled(outcome) }
    self.dialer = dialer
    dialer.start(worker.resolver, timeout: request.connectTimeout)
  }

  private func dialled(_ outcome: consuming Dialer.Outcome) {
    dialer = nil
    switch consume outcome {
    case .connected(let stream, let token, _):
      self.token = token
      leg = Leg(stream)
      worker.loop.adopt(token, self)
      let bytes = request.bytes
      output.append(bytes.span)
      advance()
    case .failed(let error): fail(error.reason)
    }
  }

  func ready(_ events: Events) {
    leg?.note(events)
    advance()
  }

  func deadlinePassed(_ timer: Timer) {
    dialer?.cancel()
    fail("no answer in time")
  }

  // MARK: Moving bytes

  /// Ends it: the daemon stops.
  func abandon() {
    dialer?.cancel()
    fail("the daemon stops")
  }

  private func advance() {
    var rounds = 0
    while !output.isEmpty, let count = leg?.send(from: &output), count > 0 { wasSent = true }
    if leg?.output == .failed, leg?.input != .open { return fail("the connection broke") }
    do throws(HTTPError) {
      while let received = leg?.receive(into: &input, upTo: Exchange.headRoom), received {
        if try read() { return finish() }
        guard leg?.input == .open else { break }
        // Whoever sends without an end must not keep everybody else from their turn.
        rounds += 1
        if rounds == 16, let token { return worker.loop.postpone(token) }
      }
      if let input = leg?.input, input != .open {
        guard input == .ended, bodyReader != nil else { return fail("the connection ended before the answer did") }
        try bodyReader?.endOfInput()
        finish()
      }
    } catch {
      fail("the answer is not valid HTTP: \(error.reason)")
    }
  }

  /// Reads what there is. True when the answer is complete.
  private func read() throws(HTTPError) -> Bool {
    while bodyReader == nil {
      guard try input.withSpan({ bytes throws(HTTPError) in try reader.read(bytes, requestMethodIsHEAD: false) }) else {
        return false
      }
      readFields(reader.head)
      input.consume(reader.head.byteCount)
      if reader.head.isInterim {
        interims += 1
        guard interims <= 8 else { throw .headTooLarge }
        reader.reset()
      } else {
        bodyReader = BodyReader(reader.head.framing, .response)
      }
    }
    while var bodyReader, !bodyReader.isFinished {
      let piece = try input.withSpan { bytes throws(HTTPError) in try bodyReader.next(bytes) }
      self.bodyReader = bodyReader
      input.withSpan { body.append($0.extracting(piece.payload)) }
      input.consume(piece.consumed)
      if body.count > EndpointCall.bodyLimit { return true }
      if piece.needsMore { return false }
    }
    return true
  }

  private var date: [UInt8] = []
  private var retryAfter: Int?

  private func readFields(_ head: ResponseHead) {
    input.withSpan { bytes in
      if let field = head.first(.date) { date = Array(bytes.extracting(field.value)) }
      for field in head.fields where field.id == .other {
        let value = bytes.extracting(field.value)
        guard bytes.extracting(field.name).equalsIgnoringCase("retry-after") else { continue }
        retryAfter = UInt64(decimal: value).map { Int(clamping: $0) }
        if let date = Int64(httpDate: value) { retryAfter = Int(clamping: date - Clock.wallMilliseconds() / 1000) }
      }
    }
  }

  // MARK: The end

  private func fail(_ reason: String) { end(.failure(EndpointFailure(reason: reason, wasSent: wasSent))) }

  private func finish() {
    end(
      .success(
        EndpointAnswer(
          status: reader.head.status, body: body.withSpan { Secret(copying: $0) }, date: date, retryAfter: retryAfter,
          isFromUpstream: request.isToUpstream)))
  }

  private func end(_ result: Result<EndpointAnswer, EndpointFailure>) {
    guard let done else { return }
    self.done = nil
    timer?.cancel(in: worker.loop.timers)
    timer = nil
    dialer = nil
    leg?.endOutput()
    if let token { worker.loop.forget(token) }
    token = nil
    leg = nil
    output.release()
    input.release()
    body.release()
    done(result)
    worker.ended(self)
  }
}

extension DialError {
  /// In words, for messages about an endpoint.
  var reason: String {
    switch self {
    case .unresolved(let reason): "its name cannot be resolved: \(reason)"
    case .forbiddenAddress: "its name leads to addresses that no endpoint has"
    case .unreachable(let reason): "it cannot be reached: \(reason)"
    case .tls(let reason): "TLS failed: \(reason)"
    case .timeout: "no connection in time"
    }
  }
}

extension Crew {
  /// Has a loop make the call, and returns its outcome.
  func call(_ request: EndpointRequest) async -> Result<EndpointAnswer, EndpointFailure> {
    guard let member = workers.first, !isStopping else {
      return .failure(EndpointFailure(reason: "the daemon is not ready", wasSent: false))
    }
    return await withCheckedContinuation { continuation in
      member.post { worker in
        EndpointCall(request, worker: worker) { continuation.resume(returning: $0) }.start()
      }
    }
  }
}
