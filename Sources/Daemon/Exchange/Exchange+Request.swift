import Broker
import Bytes
import Connector
import HTTP
import Net

/// The request's way: its head, the decision, its body, and out to the upstream.
extension Exchange {
  // MARK: The head

  func readHead(of client: ClientConnection) -> Bool {
    do throws(HTTPError) {
      if try clientInput.withSpan({ bytes throws(HTTPError) in try requestReader.read(bytes) }) {
        takeHead()
        phase = .gathering
        decide(for: client)
        return true
      }
    } catch {
      if error.closeSilently {
        client.close()
      } else {
        refuse(Problem(error, route: record.route))
      }
      return false
    }
    if client.leg.receive(into: &clientInput, upTo: Exchange.headRoom), client.leg.input == .open {
      return true
    }
    // The client ended between requests, or within a head: there is nobody to answer.
    if client.leg.input != .open { client.close() }
    return false
  }

  /// Moves the head's bytes out of the way of the body; when there is nothing behind them, without copying.
  private func takeHead() {
    let count = requestReader.head.byteCount
    if count == clientInput.count {
      swap(&headBytes, &clientInput)
      clientInput.clear()
    } else {
      clientInput.withSpan { headBytes.append($0.extracting(0..<count)) }
      clientInput.consume(count)
    }
  }

  // MARK: The decision

  /// Who asks for what, and whether they may have it: nothing has been read of the body and no upstream is touched before.
  private func decide(for client: ClientConnection) {
    record.method = requestReader.head.methodName
    record.path = requestReader.head.path
    requestBody = BodyReader(requestReader.head.framing, requestReader.limits)
    requestRead = requestBody.isFinished
    if requestReader.head.wantsClose { closesClient = true }
    switch headBytes.withSpan({ worker.decide(requestReader, $0, client) }) {
    case .refuse(let problem):
      refuse(problem)
    case .answer(let endpoint):
      serve(LocalEndpoint(endpoint))
    case .admin:
      serve(.admin)
    case .forward(let plan):
      self.plan = plan
      record.route = plan.route.name
      let state = worker.state(of: plan.route)
      self.state = state
      timeouts = plan.route.timeouts
      if let problem = state.unusable { return refuse(problem) }
      retry = Retry(method: plan.method, retries: plan.route.retries, isOneTime: plan.route.connector.readsEntropy)
      letBodyCome()
      gathers = plan.route.connector.readsBody || isWorthKeeping(plan)
      if gathers, !requestRead {
        phase = .gathering
        body.reserve(Int(min(requestBody.remaining, UInt64(Exchange.keptRoom))))
      } else {
        authorize()
      }
    }
  }

  /// A small body is kept where the route may want to send it again: after a failure, or with another token.
  private func isWorthKeeping(_ plan: Plan) -> Bool {
    guard case .length(let length) = plan.framing, length <= UInt64(Exchange.bodyRoom) else { return false }
    return plan.route.retries > 0 && plan.method.isIdempotent || state?.shelf != nil
  }

  /// Tells a client that waits for it to send its body (HTTP.md row 105).
  func letBodyCome() {
    if requestReader.head.expectsContinue, !requestRead, clientInput.isEmpty {
      clientOutput.append("HTTP/1.1 100 Continue\r\n\r\n")
    }
  }

  // MARK: A body that is read before it goes on

  func gather(from client: ClientConnection) -> Bool {
    let limit = plan?.route.bodyLimit ?? Exchange.localBodyLimit
    var moved = false
    do throws(HTTPError) {
      while !requestRead {
        // What came with the head is moved over; the rest of a body of a known length is read to where it stays.
        let start = body.count
        let isInPlace = clientInput.isEmpty && requestBody.remaining > 0
        if isInPlace {
          let room = Int(min(requestBody.remaining, UInt64(Exchange.bodyRoom)))
          guard client.leg.receive(into: &body, upTo: room), client.leg.input == .open else { break }
        }
        let piece =
          isInPlace
          ? try body.withSpan { bytes throws(HTTPError) in try requestBody.next(bytes.extracting(start...)) }
          : try clientInput.withSpan { bytes throws(HTTPError) in try requestBody.next(bytes) }
        if !piece.payload.isEmpty {
          guard requestBody.received <= limit else {
            refuse(.bodyTooLarge(limit, route: record.route))
            return true
          }
          guard worker.buffered(piece.payload.count) else {
            refuse(.overloaded)
            return true
          }
          charged += piece.payload.count
          if !isInPlace { clientInput.withSpan { body.append($0.extracting(piece.payload)) } }
        }
        if !isInPlace { clientInput.consume(piece.consumed) }
        record.bytesIn += UInt64(piece.payload.count)
        requestRead = piece.finished
        if piece.needsMore {
          guard client.leg.receive(into: &clientInput, upTo: Exchange.bodyRoom) else { break }
          if client.leg.input != .open { break }
        }
        moved = true
      }
    } catch {
      refuse(Problem(error, route: record.route))
      return true
    }
    if !requestRead, client.leg.input != .open {
      client.close()
      return false
    }
    if requestRead {
      if plan != nil { authorize() } else { runLocal() }
      return true
    }
    return moved
  }

  /// Bytes that one of our own endpoints reads at most.
  static let localBodyLimit: UInt64 = 1 << 20

  // MARK: A connection

  /// Takes a connection from the pool, or makes one.
  /// - Parameter fresh: the pool has just proved stale.
  func lease(fresh: Bool) {
    guard let state else { return }
    written = 0
    if !fresh, let connection = state.take(for: caller, now: now) {
      record.isReused = true
      return attach(connection)
    }
    record.isReused = false
    phase = .connecting
    client?.stopWaiting()
    let dialer = Dialer(state.destination, loop: worker.loop) { [unowned self] outcome in self.dialled(outcome) }
    self.dialer = dialer
    dialer.start(worker.resolver, timeout: state.route.timeouts.connect)
  }

  private var caller: UInt32 { client?.peer.uid ?? .max }

  private func dialled(_ outcome: consuming Dialer.Outcome) {
    dialer = nil
    guard let state else { return }
    switch consume outcome {
    case .connected(let stream, let token, let resumed):
      let connection = UpstreamConnection(stream, token: token, caller: caller, origin: state)
      worker.loop.adopt(token, connection)
      state.tally.numbers.dialled += 1
      if resumed { state.tally.numbers.resumed += 1 }
      if isTokenStale {
        // It ended, or an upstream refused it, while the connection was made.
        state.giveBack(connection, now: now)
        keepsOutput = false
        authorize()
      } else {
        attach(connection)
      }
    case .failed(let error):
      // A failed connect took not one byte of the request. What TLS or the resolver say will not change by asking again.
      if case .unreachable = error, retry?.next(after: .connecting, bodyIsIntact: true) != nil {
        state.tally.numbers.retried += 1
        return lease(fresh: true)
      }
      refuse(.dialling(error, state.route))
    }
    advance()
  }

  private func attach(_ connection: UpstreamConnection) {
    connection.lease(to: self)
    upstream = connection
    phase = .forwarding
    lastMove = now
    awaitedSince = now
    bodySince = 0
    bodyCheck = 0
    responseReader.reset()
    if !queueRequest() { dropUpstream() }
  }

  /// Signs, and writes the request's head into the upstream's buffer. False when it was refused instead.
  private func queueRequest() -> Bool {
    guard let state, let plan else { return false }
    if keepsOutput {
      keepsOutput = false
      return true
    }
    upstreamOutput.clear()
    do throws(EvaluationError) {
      sendsReplacement = try headBytes.withSpan { bytes throws(EvaluationError) in
        try state.write(
          requestReader, bytes, plan: plan, token: accessToken, body: body, replacement: &replacement,
          on: &worker.bench,
          into: &upstreamOutput)
      }
    } catch {
      refuse(.unsignable(error, route: plan.route))
      return false
    }
    sendsBody = gathers && bodyCount > 0
    bodySent = 0
    requestQueued = gathers || requestRead
    // A small body goes with its head, in one write.
    if sendsBody, bodyCount <= Exchange.headRoom {
      bodySent = withBody { bytes in
        upstreamOutput.append(bytes)
        return bytes.count
      }
    }
    // A chunked body that was read to its end by now was empty; its end is framing, and still to be sent.
    if requestQueued, !gathers, plan.framing == .chunked { upstreamOutput.appendLastChunk() }
    return true
  }

  // MARK: On its way

  /// Client to upstream: what the client has sent, as far as the upstream keeps up.
  func moveRequest(of client: ClientConnection) -> Bool {
    guard !requestSent, let upstream else { return false }
    var moved = false
    do throws(HTTPError) {
      while !requestQueued, upstreamOutput.count < Exchange.highWater, upstream.leg.output == .open {
        let piece = try clientInput.withSpan { bytes throws(HTTPError) in try requestBody.next(bytes) }
        guard queue(piece) else { return true }
        requestRead = piece.finished
        requestQueued = piece.finished
        if piece.needsMore {
          guard client.leg.receive(into: &clientInput, upTo: Exchange.bodyRoom) else { break }
          if client.leg.input != .open { break }
        }
        moved = true
      }
    } catch {
      fail(Problem(error, route: record.route))
      return true
    }
    if !requestQueued, client.leg.input != .open {
      // Half a request: the upstream must not take it for a whole one (HTTP.md row 76).
      client.close()
      return false
    }
    if send(to: upstream) > 0 { moved = true }
    return moved
  }

  /// Puts a run of the body's bytes behind what waits for the upstream, framed anew. False when there are too many.
  private func queue(_ piece: BodyPiece) -> Bool {
    record.bytesIn += UInt64(piece.payload.count)
    if let limit = plan?.route.bodyLimit, requestBody.received > limit {
      fail(.bodyTooLarge(limit, route: record.route))
      return false
    }
    let isChunked = requestReader.head.framing == .chunked
    if !piece.payload.isEmpty {
      if isChunked { upstreamOutput.appendChunkHeader(piece.payload.count) }
      clientInput.withSpan { upstreamOutput.append($0.extracting(piece.payload)) }
      if isChunked { upstreamOutput.appendChunkEnd() }
    }
    if piece.finished, isChunked { upstreamOutput.appendLastChunk() }
    clientInput.consume(piece.consumed)
    return true
  }

  /// Hands the kernel what it takes. The number of bytes.
  private func send(to upstream: UpstreamConnection) -> Int {
    var count = upstream.leg.send(from: &upstreamOutput)
    if sendsBody, upstreamOutput.isEmpty, bodySent < bodyCount {
      let sent = withBody { upstream.leg.send($0.extracting(bodySent..<$0.count)) }
      bodySent += sent
      count += sent
    }
    written += count
    if count > 0, requestSent { awaitedSince = now }
    return count
  }

  /// Lends the gathered body as it goes upstream.
  private func withBody(_ body: (Span<UInt8>) -> Int) -> Int {
    sendsReplacement ? replacement.withSpan(body) : self.body.withSpan(body)
  }

  private var bodyCount: Int { sendsReplacement ? replacement.count : body.count }

  /// Everything of the request is with the upstream's kernel.
  var requestSent: Bool { requestQueued && upstreamOutput.isEmpty && (!sendsBody || bodySent == bodyCount) }
}
