import Broker
import Bytes
import Connector
import Crypto
import HTTP
import Net

/// A route at work in one loop: its signer, its TLS, and its idle connections. It lives as long as its snapshot, and on
/// until the last exchange that started with it is over.
final class RouteState: TimerOwner {
  let route: Route
  let destination: Destination
  /// Why no request can be served: a secret is missing, or TLS cannot be set up.
  let unusable: Problem?
  let tally: RouteTally
  /// Where the route's tokens are, if its connector fetches some.
  let shelf: TokenShelf?
  /// Each subject has a token of its own: one that somebody logged in for, or one whose request names it.
  let isPerSubject: Bool

  private let signer: Signer?
  private let loop: Loop
  // What is lent of these calls nothing that could come back here.
  @safe @exclusivity(unchecked) private var pool: PoolState<UInt32, UpstreamConnection>
  @safe @exclusivity(unchecked) private var surplus = Buffer()
  private var timer: Timer?
  private var isRetired = false
  private var nextComparison: UInt64 = 0
  /// Seconds by which the upstream's clock is ahead of ours; 0 while they agree.
  private(set) var skew: Int64 = 0
  /// Milliseconds between two looks at the upstream's clock.
  private static let comparisonInterval: UInt64 = 10_000

  init(_ route: Route, _ settings: Deployment.TLS, worker: Worker) {
    self.route = route
    loop = worker.loop
    tally = worker.tally(of: route.name)
    pool = PoolState(worker.deployment.pool)
    isPerSubject = route.connector.readsSubject
    shelf = route.connector.token.map { worker.shelf(of: route.name, $0) }
    var unusable: Problem?
    var signer: Signer?
    if let missing = route.missingSecrets.first {
      unusable = .secretMissing(missing, route: route)
    } else {
      do throws(SignerError) {
        signer = try Signer(
          connector: route.connector, secrets: route.secrets, options: route.options, route: route.name)
      } catch {
        unusable = .unusable(error, route: route)
      }
    }
    var tls: TLSContext?
    do throws(TLSError) {
      if route.upstream.isTLS { tls = try worker.tlsContext(settings.meant(for: route)) }
    } catch {
      unusable = .upstreamTLS(error.description, route: route)
    }
    self.signer = signer
    self.unusable = unusable
    destination = Destination(host: route.upstream.host, port: route.upstream.port, tls: tls, session: TLSSession())
    timer = Timer(owner: self)
  }

  /// Signs the request and appends its head as it goes upstream.
  /// - Parameters:
  ///   - body: as it was gathered; it stays as it is, for another try.
  ///   - replacement: becomes the connector's body, if it makes one.
  /// - Returns: whether the replacement is what is to be sent.
  func write(
    _ reader: borrowing RequestReader, _ bytes: Span<UInt8>, plan: borrowing Plan, token: Token?,
    body: borrowing Buffer,
    replacement: inout Buffer, on bench: inout SigningBench, into output: inout Buffer
  ) throws(EvaluationError) -> Bool {
    guard let signer else { return false }
    let wall = Clock.wallMilliseconds()
    let time = RequestTime(seconds: wall / 1000, milliseconds: Int(wall % 1000))
    return try bench.write(
      plan, reader.head, bytes, signer: signer, token: token, body: body, replacement: &replacement, time: time,
      into: &output)
  }

  // MARK: The upstream's clock

  /// Looks at an answer's `Date` now and then: who is minutes off is refused signatures without being told why. An answer with
  /// an `Age` comes from a cache, and is as old as that.
  func compareClocks(_ reader: borrowing ResponseReader, in bytes: borrowing Buffer, _ worker: Worker) {
    // Who is refused may be so for this alone.
    let status = reader.head.status
    guard loop.now >= nextComparison || status == 401 || status == 403 else { return }
    nextComparison = loop.now + RouteState.comparisonInterval
    let bytes = bytes.span
    var date: Range<Int>?
    for field in reader.head.fields {
      if field.id == .date { date = field.value }
      if field.id == .other, bytes.extracting(field.name).equalsIgnoringCase("age") { return }
    }
    if let date { skew = worker.crew.observe(date: bytes.extracting(date), of: route.name) }
  }

  // MARK: Connections

  /// A connection that waits, if it is still good.
  /// - Parameter caller: whose it is: callers do not share connections (SECURITY.md T4.4).
  func take(for caller: UInt32, now: UInt64) -> UpstreamConnection? {
    while let connection = pool.take(caller, now: now) {
      if connection.wasQuiet(now) || connection.isQuiet(&surplus) {
        tally.numbers.reused += 1
        return connection
      }
      close(connection)
    }
    return nil
  }

  /// Whether nothing has come on a connection that nobody waits for.
  func isQuiet(_ connection: UpstreamConnection) -> Bool { connection.isQuiet(&surplus) }

  /// Takes back a connection about which nothing is in doubt.
  func giveBack(_ connection: UpstreamConnection, now: UInt64) {
    guard !isRetired else { return close(connection) }
    connection.idleSince = now
    if let surplus = pool.put(connection, connection.caller, requests: connection.requests, now: now) { close(surplus) }
    // Of several, the one that expires first has the timer set already.
    if pool.count == 1, let expiry = pool.nextExpiry { timer?.set(expiry, in: loop.timers) }
  }

  /// Something came on a connection that waits: it stays only if that was TLS's own affair.
  func check(_ connection: UpstreamConnection) {
    guard !connection.isQuiet(&surplus) else { return }
    pool.remove(connection.caller) { $0 === connection }
    close(connection)
  }

  func close(_ connection: UpstreamConnection) {
    connection.leg.endOutput()
    loop.forget(connection.token)
  }

  func deadlinePassed(_ timer: Timer) {
    for connection in pool.expire(now: loop.now) { close(connection) }
    if let expiry = pool.nextExpiry { timer.set(expiry, in: loop.timers) }
  }

  /// Connections that wait.
  var idleCount: Int { pool.count }

  /// A new deployment is in force: nobody else will come for these connections.
  func retire() {
    isRetired = true
    timer?.cancel(in: loop.timers)
    timer = nil
    for connection in pool.expire(now: .max) { close(connection) }
  }
}
