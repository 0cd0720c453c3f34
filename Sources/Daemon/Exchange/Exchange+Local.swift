import Broker
import Bytes
import Crypto
import HTTP
import Net

/// What the daemon answers itself: problems, the endpoints under `/-/`, and the admin socket.
extension Exchange {
  /// Answers with a problem in place of the upstream's response. Nothing of this request goes upstream any more.
  func refuse(_ problem: Problem) {
    var problem = problem
    problem.route = problem.route ?? record.route
    dialer?.cancel()
    dialer = nil
    dropUpstream()
    upstreamOutput.clear()
    upstreamInput.clear()
    record.problem = problem
    record.status = problem.status
    record.route = problem.route
    // A body that was not read cannot be told from a next request.
    if !requestRead || phase == .head { closesClient = true }
    let isHEAD = phase != .head && requestReader.head.method == .head
    if problem.closes || worker.isDraining { closesClient = true }
    problem.append(
      id: record.id, now: Clock.wallMilliseconds() / 1000, closes: closesClient, withBody: !isHEAD, to: &clientOutput)
    phase = .finishing
  }

  /// Starts on one of our own endpoints. Only the admin socket's read a body: the others answer those whom nobody knows,
  /// who shall not fill our memory (HTTP.md I7).
  func serve(_ endpoint: LocalEndpoint) {
    local = endpoint
    guard requestRead || endpoint != .admin else {
      letBodyCome()
      phase = .gathering
      return
    }
    runLocal()
  }

  /// Answers, or asks whoever has to be asked.
  func runLocal() {
    phase = .local
    switch local {
    case .livez: respond(200, .text, Array("ok\n".utf8))
    case .readyz: respond(worker.isDraining ? 503 : 200, .text, Array((worker.isDraining ? "draining\n" : "ok\n").utf8))
    case .options: respond(204, nil, [])
    case .metrics:
      let reply = self.reply
      let crew = worker.crew
      crew.numbers { numbers in
        var text = Buffer(capacity: 4096)
        Metrics.append(numbers, crew: crew, to: &text)
        reply.send(200, .metrics, Array(text.span))
      }
    case .admin:
      guard let keeper = worker.crew.keeper else { return refuse(.overloaded) }
      let head = requestReader.head
      let (method, path) = headBytes.withSpan {
        (String($0.extracting(head.methodName)), String($0.extracting(head.path)))
      }
      let reply = self.reply
      keeper.answer(method, path, body.withSpan { Secret(copying: $0) }) { answer in
        reply.send(answer.status, .json, answer.body)
      }
    case nil: refuse(.overloaded)
    }
  }

  /// Writes a whole response of ours.
  private func respond(_ status: Int, _ contentType: ContentType?, _ bytes: [UInt8]) {
    record.status = status
    if worker.isDraining || !requestRead { closesClient = true }
    clientOutput.appendOwnHead(
      status, contentType: contentType?.text, id: record.id, now: Clock.wallMilliseconds() / 1000, closes: closesClient)
    if status == 204 {
      clientOutput.appendField(name: "Allow", value: Problem.StaticMethods.forwarded.text)
    } else {
      clientOutput.appendField(name: "Content-Length", number: UInt64(bytes.count))
    }
    clientOutput.append("\r\n")
    if requestReader.head.method != .head { clientOutput.append(bytes) }
    phase = .finishing
  }

  fileprivate enum ContentType {
    case text, metrics, json

    var text: StaticString {
      switch self {
      case .text: "text/plain; charset=utf-8"
      case .metrics: "text/plain; version=0.0.4; charset=utf-8"
      case .json: "application/json"
      }
    }
  }

  /// The way back to this exchange from another thread. An answer to one that is over by then reaches nobody.
  private var reply: Reply { Reply(mailbox: worker.loop.mailbox, token: client?.token, serial: serial) }

  fileprivate struct Reply: Sendable {
    let mailbox: Mailbox
    let token: Token?
    let serial: UInt64

    func send(_ status: Int, _ contentType: ContentType, _ body: [UInt8]) {
      guard let token else { return }
      mailbox.post { [serial] loop in
        guard let client = loop.handler(token) as? ClientConnection, let exchange = client.exchange,
          exchange.serial == serial, exchange.phase == .local
        else { return }
        exchange.respond(status, contentType, body)
        exchange.advance()
      }
    }
  }
}

/// An endpoint of ours.
enum LocalEndpoint: Equatable {
  case livez, readyz, metrics, options, admin

  init(_ endpoint: Endpoint) {
    switch endpoint {
    case .livez: self = .livez
    case .readyz: self = .readyz
    case .metrics: self = .metrics
    case .options: self = .options
    }
  }
}
