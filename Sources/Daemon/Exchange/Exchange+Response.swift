import Broker
import Bytes
import HTTP
import Net

/// The response's way: its head, its body, and what happens when there is none.
extension Exchange {
  /// Upstream to client: what the upstream has sent, as far as the client keeps up.
  func moveResponse() -> Bool {
    guard let upstream else { return false }
    // Nothing has come, and nothing waits here.
    if !upstream.leg.isReadable, upstream.leg.input == .open, upstreamInput.isEmpty { return false }
    var moved = false
    // What has been read and cannot be passed on yet is not added to.
    if clientOutput.count < Exchange.highWater, upstreamInput.count < Exchange.bodyRoom {
      moved = upstream.leg.receive(into: &upstreamInput, upTo: responseStarted ? Exchange.bodyRoom : Exchange.headRoom)
    }
    do throws(HTTPError) {
      if !responseStarted, !upstreamInput.isEmpty, try readResponseHead() { moved = true }
      // Another attempt may have taken this one's place.
      guard phase == .forwarding, self.upstream === upstream else { return true }
      if responseStarted {
        if try readResponseBody() { moved = true }
        return moved
      }
    } catch {
      fail(error == .truncatedBody ? .upstreamTruncated(state) : .upstreamProtocol(error, state))
      return true
    }
    if upstream.leg.input != .open {
      upstreamEnded()
      return true
    }
    return moved
  }

  // MARK: The head

  /// Reads heads until the final one has been passed on. False while it is not there.
  private func readResponseHead() throws(HTTPError) -> Bool {
    let isHEAD = requestReader.head.method == .head
    while try upstreamInput.withSpan({ bytes throws(HTTPError) in
      try responseReader.read(bytes, requestMethodIsHEAD: isHEAD)
    }) {
      guard responseReader.head.isInterim else { return try startResponse() }
      let head = responseReader.head
      interims += 1
      guard interims <= 8 else { throw .headTooLarge }
      // 100 answers our own expectation, of which we had none; others are for clients that know them (row 121).
      if head.status != 100, requestReader.head.minorVersion == 1 {
        upstreamInput.withSpan { plan?.appendInterim(head, $0, to: &clientOutput) }
      }
      upstreamInput.consume(head.byteCount)
      responseReader.reset()
      awaitedSince = now
      if upstreamInput.isEmpty { return false }
    }
    return false
  }

  private func startResponse() throws(HTTPError) -> Bool {
    guard let plan else { return false }
    let status = responseReader.head.status
    guard status != 101 else { throw .badStatusLine }
    record.upstreamStatus = status
    state?.compareClocks(responseReader, in: upstreamInput, worker)
    if accessToken != nil, try judgeToken() != .fine { return false }
    if let pause = retry?.next(after: .status(status), bodyIsIntact: bodyIsIntact) {
      tryAgain(after: pause)
      return false
    }
    // Whoever answers early does not want the rest, and the client is told by the end of the connection (row 109).
    if worker.isDraining || !requestRead { closesClient = true }
    var closes = closesClient
    let framing = upstreamInput.withSpan {
      Exchange.append(
        responseReader, $0, plan, id: record.id, closes: &closes, skew: state?.skew ?? 0, to: &clientOutput)
    }
    closesClient = closes
    responseChunked = framing == .chunked
    responseEndsByClose = framing == .untilClose
    record.status = status
    responseBody = BodyReader(responseReader.head.framing, .response)
    upstreamInput.consume(responseReader.head.byteCount)
    responseStarted = true
    return true
  }

  /// The reader is lent, and with it its head: lending the head by itself would copy it.
  private static func append(
    _ reader: borrowing ResponseReader, _ bytes: Span<UInt8>, _ plan: borrowing Plan, id: RequestID,
    closes: inout Bool, skew: Int64, to output: inout Buffer
  ) -> BodyFraming {
    plan.appendResponse(reader.head, bytes, id: id, closes: &closes, skew: skew, to: &output)
  }

  /// The body can be sent once more: there is none, it was gathered, or nothing of it was taken yet.
  var bodyIsIntact: Bool { gathers || requestBody.received == 0 }

  private func tryAgain(after pause: UInt64) {
    state?.tally.numbers.retried += 1
    dropUpstream()
    upstreamInput.clear()
    upstreamOutput.clear()
    interims = 0
    phase = .pausing
    client?.wait(pause)
  }

  // MARK: The body

  private func readResponseBody() throws(HTTPError) -> Bool {
    guard let upstream else { return false }
    var moved = false
    var needsMore = upstreamInput.isEmpty
    while !responseBody.isFinished, !upstreamInput.isEmpty, clientOutput.count < Exchange.highWater {
      let piece = try upstreamInput.withSpan { bytes throws(HTTPError) in try responseBody.next(bytes) }
      if !piece.payload.isEmpty {
        if responseChunked { clientOutput.appendChunkHeader(piece.payload.count) }
        upstreamInput.withSpan { clientOutput.append($0.extracting(piece.payload)) }
        if responseChunked { clientOutput.appendChunkEnd() }
      }
      upstreamInput.consume(piece.consumed)
      needsMore = piece.needsMore || upstreamInput.isEmpty
      if piece.needsMore { break }
      moved = true
    }
    if !responseBody.isFinished, upstream.leg.input != .open, needsMore {
      // A body that ends with the connection must end in order: over TLS with a close_notify (row 126).
      guard upstream.leg.input == .ended else { throw .truncatedBody }
      try responseBody.endOfInput()
      moved = true
    }
    if responseBody.isFinished {
      endResponse()
      moved = true
    }
    return moved
  }

  /// The upstream is done. Its connection is kept if nothing about it is in doubt.
  private func endResponse() {
    if responseChunked { clientOutput.appendLastChunk() }
    if let upstream, let state {
      self.upstream = nil
      upstream.release()
      let isKept =
        requestSent && upstreamInput.isEmpty && !responseReader.head.wantsClose && upstream.leg.input == .open
        && worker.hasRoomToKeep
      if isKept, !upstream.leg.mayHoldEnd || state.isQuiet(upstream) {
        state.giveBack(upstream, now: now)
      } else {
        state.close(upstream)
      }
    }
    upstreamInput.clear()
    upstreamOutput.clear()
    phase = .finishing
  }

  // MARK: No response

  /// The upstream ended before its response did.
  private func upstreamEnded() {
    // A kept connection that the upstream had given up already. Nothing of an answer came, so it may be sent again:
    // a GET for certain, anything of which not one byte was taken as it stands in the buffer.
    let isStale = upstreamInput.isEmpty && interims == 0 && (written == 0 || upstream?.requests ?? 0 > 1)
    if isStale, retry?.next(after: .stale(written: written), bodyIsIntact: written == 0 || bodyIsIntact) != nil {
      keepsOutput = written == 0
      state?.tally.numbers.retried += 1
      dropUpstream()
      return lease(fresh: true)
    }
    if !upstreamInput.isEmpty { return fail(.upstreamTruncated(state)) }
    // A server that wants a certificate of ours says so only with its first record behind the handshake.
    if let reason = upstream?.leg.tlsFailure, let state {
      return fail(.upstreamTLS(reason, route: state.route))
    }
    fail(.upstreamSilent(state))
  }

  /// Something went wrong behind the decision. Before the response has started it becomes one; after that all that is
  /// left is to cut the connection, so that nobody takes half a message for a whole one.
  func fail(_ problem: Problem) {
    guard responseStarted else { return refuse(problem) }
    record.problem = problem
    dropUpstream()
    guard let client else { return }
    // What came until now is the client's, but it must not look complete: an HTTP/1.0 client has only a reset to see it by.
    if responseEndsByClose { client.leg.resetOnClose() }
    resetsClient = responseEndsByClose
    closesClient = true
    phase = .finishing
  }
}
