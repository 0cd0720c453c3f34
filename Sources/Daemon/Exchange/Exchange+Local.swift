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

  /// Starts on one of our own endpoints. Those that answer people whom nobody knows read no body, which would fill our
  /// memory (HTTP.md I7).
  func serve(_ endpoint: LocalEndpoint) {
    local = endpoint
    guard requestRead || !endpoint.readsBody else {
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
    case .session(let endpoint): runSession(endpoint)
    case .agent(let endpoint): runAgent(endpoint)
    case nil: refuse(.overloaded)
    }
  }

  private func runSession(_ endpoint: SessionEndpoint) {
    guard let keeper = worker.crew.keeper else { return refuse(.overloaded) }
    let input: Secret
    switch endpoint.action {
    case .authorize, .exchange: input = body.withSpan { Secret(copying: $0) }
    case .callback, .list:
      let query = requestReader.head.query ?? 0..<0
      input = headBytes.withSpan { Secret(copying: $0.extracting(query)) }
    case .end(let range):
      var subject = Buffer()
      let isDecoded = headBytes.withSpan { subject.appendPercentDecoded($0.extracting(range)) }
      guard isDecoded else { return refuse(Problem(.malformedRequest, "The subject is not percent-encoded.")) }
      input = Secret(copying: subject.span)
    }
    let reply = self.reply
    keeper.answer(endpoint, input, caller: client?.peer.uid ?? .max) { reply.send($0) }
  }

  private func runAgent(_ endpoint: AgentEndpoint) {
    if endpoint.action == .identity {
      // Here, not at the keeper: anybody may ask, as often as they like.
      guard let route = worker.deployment.snapshot.route(named: endpoint.route), let document = route.agent?.document
      else {
        return refuse(.noKey(endpoint.route))
      }
      return respond(200, .json, document, cacheControl: "max-age=300")
    }
    guard let keeper = worker.crew.keeper else { return refuse(.overloaded) }
    let subject = requestReader.head.first(.chatelaineSubject).map { field in
      headBytes.withSpan { String($0.extracting(field.value)) }
    }
    let caller = Keeper.AgentCaller(uid: client?.peer.uid ?? .max, subject: subject)
    let reply = self.reply
    keeper.answer(endpoint, body.withSpan { Secret(copying: $0) }, caller) { reply.send($0) }
  }

  /// What a user's browser gets.
  fileprivate func respond(_ answer: SessionAnswer) {
    switch answer {
    case .json(let bytes): respond(200, .json, bytes)
    case .refusal(let problem): refuse(problem)
    case .page(let page):
      respond(page.status, .page, page.html) { output in
        output.append("Content-Security-Policy: \(CallbackPage.policy)\r\nReferrer-Policy: no-referrer\r\n")
      }
    case .redirect(let url):
      respond(302, .text, []) { output in
        output.append("Location: \(url)\r\nReferrer-Policy: no-referrer\r\n")
      }
    }
  }

  /// Writes a whole response of ours.
  /// - Parameter fields: appends further ones.
  private func respond(
    _ status: Int, _ contentType: ContentType?, _ bytes: [UInt8], cacheControl: StaticString = "no-store",
    fields: (inout Buffer) -> Void = { _ in }
  ) {
    record.status = status
    if worker.isDraining || !requestRead { closesClient = true }
    clientOutput.appendOwnHead(
      status, contentType: contentType?.text, id: record.id, now: Clock.wallMilliseconds() / 1000, closes: closesClient,
      cacheControl: cacheControl)
    fields(&clientOutput)
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
    case text, metrics, json, page

    var text: StaticString {
      switch self {
      case .text: "text/plain; charset=utf-8"
      case .metrics: "text/plain; version=0.0.4; charset=utf-8"
      case .json: "application/json"
      case .page: "text/html; charset=utf-8"
      }
    }
  }

  /// The way back to this exchange from another thread. An answer to one that is over by then reaches nobody.
  private var reply: Reply { Reply(mailbox: worker.loop.mailbox, token: client?.token, serial: serial) }

  fileprivate struct Reply: Sendable {
    let mailbox: Mailbox
    let token: Registration?
    let serial: UInt64

    func send(_ status: Int, _ contentType: ContentType, _ body: [UInt8]) {
      post { $0.respond(status, contentType, body) }
    }

    func send(_ answer: SessionAnswer) { post { $0.respond(answer) } }

    private func post(_ respond: @escaping @Sendable (Exchange) -> Void) {
      guard let token else { return }
      mailbox.post { [serial] loop in
        guard let client = loop.handler(token) as? ClientConnection, let exchange = client.exchange,
          exchange.serial == serial, exchange.phase == .local
        else { return }
        respond(exchange)
        exchange.advance()
      }
    }
  }
}

/// An endpoint of ours.
enum LocalEndpoint: Equatable {
  case livez, readyz, metrics, options, admin
  case session(SessionEndpoint)
  case agent(AgentEndpoint)

  /// Only after its body has come it can be run.
  var readsBody: Bool {
    switch self {
    case .admin: true
    case .session(let endpoint): endpoint.readsBody
    case .agent(let endpoint): endpoint.readsBody
    case .livez, .readyz, .metrics, .options: false
    }
  }

  init(_ endpoint: Endpoint) {
    switch endpoint {
    case .livez: self = .livez
    case .readyz: self = .readyz
    case .metrics: self = .metrics
    case .options: self = .options
    case .session(let endpoint): self = .session(endpoint)
    case .agent(let endpoint): self = .agent(endpoint)
    }
  }
}
