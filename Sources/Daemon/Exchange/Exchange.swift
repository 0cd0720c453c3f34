import Broker
import Bytes
import Connector
import HTTP
import Net

/// One request and its response, from the first byte of the head to the last byte of the answer.
///
///     head ─▶ gathering ─▶ authorizing ─▶ connecting ─▶ forwarding ─▶ finishing ─▶ head (the next one)
///       │                      ▲ └─(no token)─┘ ▲         │  │  ▲           └▶ lingering ─▶ over
///       │                      └─────────── another try ──┴ pausing
///       └▶ local ──────────────────────────────────────────────┘   a problem goes to finishing from anywhere
///
/// It is driven by events of its two sockets: every event calls `advance`, which moves bytes until nothing moves. It owns
/// all the memory that an exchange needs and is used again for the next one.
final class Exchange {
  enum Phase {
    /// Reading the request's head.
    case head
    /// Collecting the body, for a connector or an endpoint of ours that reads it.
    case gathering
    /// The route's token is being fetched, or waited for.
    case authorizing
    /// A connection to the upstream is being made.
    case connecting
    /// Waiting before the request is sent once more.
    case pausing
    /// Request and response are under way, both at once.
    case forwarding
    /// An answer of ours is being worked out elsewhere.
    case local
    /// Everything of the response is in `clientOutput`.
    case finishing
    /// The last response is sent; what the client still sends is read and dropped, so that it gets to read the response.
    case lingering
    case over
  }

  /// Bytes that a read asks for while a head is expected, and while a body is.
  static let headRoom = 16 * 1024
  static let bodyRoom = 64 * 1024
  /// Bytes that wait for a slow peer before the other side is no longer read.
  static let highWater = 128 * 1024
  /// Room for a body that is made at once, and that stays for the next one while large bodies follow each other.
  static let keptRoom = 1024 * 1024

  let worker: Worker
  @safe @exclusivity(unchecked) var client: ClientConnection?
  var phase = Phase.over
  /// Tells one exchange from the next on the same connection, for answers that come late.
  var serial: UInt64 = 0

  // The bytes, kept from one exchange to the next. What is lent one of these, or a reader, calls nothing that could come back
  // here and take it a second time; proving that at run time was an eighth of a request's instructions.
  @safe @exclusivity(unchecked) var clientInput = Buffer()
  @safe @exclusivity(unchecked) var clientOutput = Buffer()
  @safe @exclusivity(unchecked) var upstreamInput = Buffer()
  @safe @exclusivity(unchecked) var upstreamOutput = Buffer()
  @safe @exclusivity(unchecked) var headBytes = Buffer()
  /// The request's body when it is gathered, as it came.
  @safe @exclusivity(unchecked) var body = Buffer()
  /// The connector's body, in its place.
  @safe @exclusivity(unchecked) var replacement = Buffer()

  // The request.
  @safe @exclusivity(unchecked) var requestReader: RequestReader
  @safe @exclusivity(unchecked) var requestBody = BodyReader(.none)
  @safe @exclusivity(unchecked) var plan: Plan?
  /// One of our own endpoints, in place of a plan.
  @safe @exclusivity(unchecked) var local: LocalEndpoint?
  @safe @exclusivity(unchecked) var state: RouteState?
  /// The route's, at hand: an event after the decision looks at them without counting a reference.
  var timeouts = Route.Timeouts()
  /// The body is held whole before anything goes upstream: the connector reads it, or it may have to be sent again.
  var gathers = false
  /// The body has been read to its end.
  var requestRead = false
  /// Everything that goes upstream is in `upstreamOutput`, or in `body` behind `bodySent`.
  var requestQueued = false
  var sendsBody = false
  var sendsReplacement = false
  /// Bytes of `body` that are accounted for with the crew.
  var charged = 0
  var bodySent = 0

  // The upstream's side.
  @safe @exclusivity(unchecked) var upstream: UpstreamConnection?
  var dialer: Dialer?
  @safe @exclusivity(unchecked) var retry: Retry?
  /// What this attempt carries, where the route has tokens.
  @safe @exclusivity(unchecked) var accessToken: Token?
  /// The generation that the upstream has refused this request with; 0: none. One such answer is not passed on.
  var refusedGeneration: Int64 = 0
  /// Not one byte of `upstreamOutput` was taken: it goes out as it is on the next connection.
  var keepsOutput = false
  /// Bytes of the request that a connection took, in this attempt.
  var written = 0

  // The response.
  @safe @exclusivity(unchecked) var responseReader: ResponseReader
  @safe @exclusivity(unchecked) var responseBody = BodyReader(.none)
  var interims = 0
  var responseChunked = false
  /// The client sees the end of the response by the end of the connection.
  var responseEndsByClose = false
  /// The final response's head is in `clientOutput`: from here on a failure can only cut the connection.
  var responseStarted = false
  var closesClient = false
  var resetsClient = false

  // Times in milliseconds of the loop's clock, and what the record says.
  var lastMove: UInt64 = 0
  var bodySince: UInt64 = 0
  var bodyCheck: UInt64 = 0
  /// When everything of the request was with the upstream, or an interim response came behind that.
  var awaitedSince: UInt64 = 0
  @safe @exclusivity(unchecked) var record: Record

  init(worker: Worker) {
    self.worker = worker
    requestReader = RequestReader(worker.deployment.requestLimits)
    responseReader = ResponseReader()
    record = Record(id: RequestID(), started: 0)
  }

  var now: UInt64 { worker.loop.now }
  private var patience: Patience { worker.patience }

  /// Starts on the first bytes of a request, which are in `clientInput`.
  func begin(for client: ClientConnection) {
    self.client = client
    startHead()
    advance()
  }

  private func startHead() {
    serial &+= 1
    let limits = worker.limits(for: client?.peer)
    if requestReader.limits != limits { requestReader = RequestReader(limits) }
    phase = .head
    requestReader.reset()
    record = Record(id: worker.nextID(), started: Clock.microseconds())
    lastMove = now
    client?.wait(patience.head)
  }

  /// Moves bytes until nothing moves. Called for every event of either socket.
  func advance() {
    guard let client else { return }
    var rounds = 0
    while phase != .over, self.client === client {
      var moved: Bool
      switch phase {
      case .head: moved = readHead(of: client)
      case .gathering: moved = gather(from: client)
      case .forwarding: moved = moveRequest(of: client)
      case .lingering: moved = linger(with: client)
      case .authorizing, .connecting, .pausing, .local, .finishing: moved = false
      case .over: return
      }
      if phase == .forwarding, moveResponse() { moved = true }
      if client.leg.isGone, phase != .head, phase != .lingering { return client.close() }
      if phase == .over || self.client == nil { return }
      let sent = client.leg.send(from: &clientOutput)
      record.bytesOut += UInt64(sent)
      if sent > 0 { moved = true }
      if client.leg.output == .failed { return client.close() }
      if phase == .finishing, clientOutput.isEmpty {
        finish(with: client)
        moved = true
      }
      if !moved { return arm(for: client) }
      lastMove = now
      rounds += 1
      if rounds == 64 { return client.yield() }
    }
  }

  // MARK: Time

  /// Sets the deadline for what is awaited now.
  private func arm(for client: ClientConnection) {
    switch phase {
    case .head, .lingering, .pausing, .over: break  // set when the phase began
    case .authorizing, .connecting, .local: client.stopWaiting()  // the keeper and the dialer have their own
    case .gathering: armBodyCheck(for: client)
    case .finishing: client.wait(until: lastMove + patience.idle)
    case .forwarding:
      if !requestRead { return armBodyCheck(for: client) }
      // A head that trickles in does not buy itself time.
      let isAwaited = requestSent && !responseStarted
      client.wait(until: isAwaited ? awaitedSince + timeouts.firstByte : lastMove + timeouts.idle)
    }
  }

  /// While the client owes us its body, its pace is looked at: after ten seconds, then every second.
  private func armBodyCheck(for client: ClientConnection) {
    if bodySince == 0 { bodySince = now }
    // A check that is due stays due: a drip must not push it away.
    if bodyCheck <= now { bodyCheck = max(bodySince + patience.bodyGrace, now + patience.bodyCheck) }
    client.wait(until: bodyCheck)
  }

  func deadlinePassed() {
    switch phase {
    case .head:
      if clientInput.isEmpty { client?.close() } else { refuse(.requestTimeout("The header section")) }
    case .gathering:
      if isTooSlow { refuse(.requestTimeout("The body")) }
    case .pausing:
      authorize()
    case .forwarding where !requestRead:
      if !upstreamOutput.isEmpty, now - lastMove > timeouts.idle {
        fail(.upstreamTimeout(state))
      } else if isTooSlow {
        fail(.requestTimeout("The body"))
      }
    case .forwarding:
      // A client that does not read is not the upstream's fault.
      if clientOutput.isEmpty { fail(.upstreamTimeout(state)) } else { client?.close() }
    case .finishing, .lingering: client?.close()
    case .authorizing, .connecting, .local, .over: break
    }
    advance()
  }

  /// Less than it has to be on average (HTTP.md row 111). Time in which we did not want more does not count.
  private var isTooSlow: Bool {
    guard upstreamOutput.isEmpty else {
      bodySince += patience.bodyCheck
      return false
    }
    let elapsed = now - bodySince
    return elapsed >= patience.bodyGrace && requestBody.received * 1000 < elapsed * patience.slowestBody
  }

  // MARK: The end

  /// The response is with the kernel. Goes on with the next request, or ends the connection.
  private func finish(with client: ClientConnection) {
    writeRecord()
    client.exchanges += 1
    let resets = resetsClient
    let mayGoOn = !closesClient && requestRead && !worker.isDraining && client.leg.input == .open
    forget()
    phase = .over
    if mayGoOn {
      if clientInput.isEmpty, !client.leg.receive(into: &clientInput, upTo: Exchange.headRoom) { return becomeIdle() }
      return startHead()
    }
    if resets { return client.close() }
    client.leg.endOutput()
    guard client.leg.input == .open else { return client.close() }
    phase = .lingering
    lingered = 0
    client.wait(Patience.lingering)
  }

  private var lingered = 0

  /// Reads and drops at most 64 KiB (HTTP.md row 109).
  private func linger(with client: ClientConnection) -> Bool {
    lingered += clientInput.count
    clientInput.clear()
    let moved = client.leg.receive(into: &clientInput, upTo: Exchange.headRoom)
    if lingered > 64 * 1024 || client.leg.input != .open {
      client.close()
      return false
    }
    return moved
  }

  func becomeIdle() {
    guard let client else { return }
    self.client = nil
    phase = .over
    client.becomeIdle()
    worker.giveBack(self)
  }

  /// The client's connection is gone.
  func abandon() {
    if phase != .head, phase != .lingering, phase != .over {
      record.isAborted = true
      writeRecord()
    }
    client = nil
    phase = .over
    forget()
    // Whatever was on its way may have held a secret.
    clientInput.wipe()
    clientOutput.clear()
    worker.giveBack(self)
  }

  /// Lets go of everything that belongs to this request. What the client sent behind it stays.
  private func forget() {
    dialer?.cancel()
    dialer = nil
    dropUpstream()
    // It carried the credential.
    upstreamOutput.wipe()
    upstreamInput.clear()
    headBytes.clear()
    if local == .admin, clientInput.isEmpty { clientInput.wipe() }
    if charged > 0 { _ = worker.buffered(-charged) }
    charged = 0
    if !body.isEmpty { body.wipe() }
    if !replacement.isEmpty { replacement.wipe() }
    if body.capacity > Exchange.keptRoom { body.release() }
    if replacement.capacity > Exchange.keptRoom { replacement.release() }
    plan = nil
    local = nil
    state = nil
    requestBody = BodyReader(.none)
    gathers = false
    requestRead = false
    requestQueued = false
    sendsBody = false
    sendsReplacement = false
    bodySent = 0
    retry = nil
    accessToken = nil
    refusedGeneration = 0
    keepsOutput = false
    written = 0
    interims = 0
    responseStarted = false
    responseChunked = false
    responseEndsByClose = false
    closesClient = false
    resetsClient = false
    bodySince = 0
    bodyCheck = 0
    awaitedSince = 0
  }

  /// The client would take what it has got so far for a whole response: it must see a reset.
  var isCutShort: Bool { responseStarted && responseEndsByClose }

  /// Gives back room that one exchange needed and the next will not.
  func trim() {
    if clientInput.capacity > Exchange.bodyRoom { clientInput.release() }
    if clientOutput.capacity > Exchange.bodyRoom { clientOutput.release() }
    if upstreamInput.capacity > Exchange.bodyRoom { upstreamInput.release() }
    if upstreamOutput.capacity > Exchange.bodyRoom { upstreamOutput.release() }
  }

  /// It has room that only a large body needs.
  var isLarge: Bool { body.capacity > Exchange.highWater || replacement.capacity > Exchange.highWater }

  /// Gives that room back as well.
  func shrink() {
    body.release()
    replacement.release()
  }

  /// Closes the leased connection: whatever it has left is of no use to anybody.
  func dropUpstream() {
    guard let upstream else { return }
    self.upstream = nil
    upstream.release()
    state?.close(upstream)
  }
}
