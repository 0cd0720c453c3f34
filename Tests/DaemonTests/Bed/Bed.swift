import Broker
import Bytes
import Config
import Connector
import Crypto
import Glibc
import JSON
import Testing

@testable import Daemon
@testable import Net

/// A crew at work in this process: loops on threads of their own, and clients that reach them by real sockets.
final class Bed: Sendable {
  let crew: Crew
  let upstream: Upstream
  private let listener: Socket
  private let port: UInt16

  /// - Parameters:
  ///   - upstream: of the one route, `r`; `port` is asked in its place.
  ///   - connector: `bearer` streams bodies, `codegate` reads them.
  ///   - connect: milliseconds.
  ///   - timeouts: milliseconds, for the first byte and between bytes; `idle` if that is to differ.
  ///   - route: further members of the route.
  ///   - top: further members of the configuration.
  convenience init(
    _ upstream: Upstream, port: UInt16? = nil, connector: String = "bearer", connect: Int = 10_000,
    timeouts: Int = 10_000,
    idle: Int? = nil, route: String = "", top: String = "", files: [Catalog.File] = [],
    log: Log = Log(level: .error, isJSON: false)
  ) throws {
    let text = Bed.configuration(
      port: port ?? upstream.port, connector: connector, connect: connect, timeouts: timeouts, idle: idle,
      route: route, top: top)
    try self.init(try Bed.deployment(text, files: files), upstream, log: log)
  }

  init(
    _ deployment: Deployment, _ upstream: Upstream, log: Log = Log(level: .error, isJSON: false)
  ) throws {
    self.upstream = upstream
    crew = Crew(log: log, deployment: deployment)
    guard let address = Address(literal: "127.0.0.1", port: 0) else { throw SystemError("bind", EINVAL) }
    let socket = try Net.Listener(tcp: address)
    port = socket.address.port ?? 0
    listener = Socket(owning: dup(socket.number))
    _ = fcntl(listener.number, F_SETFL, 0)
    let born = Lock<Result<Void, SystemError>?>(nil)
    let crew = crew
    try Thread.start("bed") {
      do throws(SystemError) {
        let worker = try crew.start(2, deployment: deployment)
        born.signal { $0 = .success(()) }
        withExtendedLifetime(worker) { worker.loop.run() }
      } catch {
        born.signal { $0 = .failure(error) }
      }
    }
    try born.wait { $0 }.get()
  }

  deinit {
    for member in crew.workers {
      member.post { worker in
        worker.loop.forEachHandler { ($0 as? ClientConnection)?.close() }
        worker.adopt(worker.deployment)
        worker.loop.stop()
      }
    }
  }

  static func configuration(
    store: String = "/nowhere", port: UInt16, connector: String = "bearer", connect: Int = 10_000,
    timeouts: Int = 10_000,
    idle: Int? = nil, route: String = "", top: String = ""
  ) -> String {
    """
    {
      "version": 1,
      "store": { "path": "\(store)/store.db", "key": { "file": "\(store)/master.key" } },
      "routes": {
        "r": {
          "connector": "\(connector)", "upstream": "http://127.0.0.1:\(port)",
          "timeouts": { "connect": "\(connect)ms", "first_byte": "\(timeouts)ms", "idle": "\(idle ?? timeouts)ms" },
          \(route)
        },
      },
      \(top)
    }
    """
  }

  /// What a configuration's text comes to, with a made-up value for every secret but those left out.
  static func deployment(
    _ text: String, files: [Catalog.File] = [], without missing: Set<String> = []
  ) throws -> Deployment {
    let catalog = Catalog(files: files)
    let (read, diagnostics) = Configuration.read(Source(file: "test.jsonc", bytes: Array(text.utf8))) { _ in catalog }
    let configuration = try #require(read, "\(diagnostics.map(\.rendered).joined(separator: "\n"))")
    var stored: [String: Secret] = [:]
    for name in configuration.routes.flatMap(\.secretNames) where !missing.contains(name) {
      let value = Array("value-of-\(name)".utf8)
      stored[name] = Secret(copying: value.span)
    }
    return try Deployment(configuration, catalog: catalog, stored: stored)
  }

  // MARK: Clients

  /// A connection to one of the loops, by a caller whom the kernel is said to have named.
  /// - Parameters:
  ///   - room: bytes of the client's receive buffer.
  ///   - sendRoom: bytes of the daemon's send buffer. 0 leaves either to the kernel.
  func connect(
    loop: Int = 0, uid: UInt32? = geteuid(), entrance: Entrance = .data(.everyone(port: nil)), room: Int32 = 0,
    sendRoom: Int32 = 0
  ) throws -> Client {
    let client = try Socket.connect(port: port, room: room)
    let number = accept(listener.number, nil, nil)
    guard number >= 0 else { throw SystemError("accept", errno) }
    _ = fcntl(number, F_SETFL, O_NONBLOCK)
    setNoDelay(number)
    if sendRoom > 0 {
      var room = sendRoom
      setsockopt(number, SOL_SOCKET, SO_SNDBUF, &room, socklen_t(MemoryLayout<Int32>.size))
    }
    #expect(crew.budget.take(for: uid, limits: crew.connectionLimits))
    crew.workers[loop].post { $0.serve(number, entrance, Peer(uid: uid)) }
    return Client(client)
  }

  /// One request on a connection of its own.
  func ask(_ request: String, loop: Int = 0) throws -> Answer { try connect(loop: loop).ask(request) }

  // MARK: Looking inside

  /// Asks a loop, on its thread, when it has done what it was told before.
  func look<Result: Sendable>(_ loop: Int = 0, _ body: @escaping @Sendable (Worker) -> Result) -> Result {
    let answer = Lock<Result?>(nil)
    crew.workers[loop].post { worker in
      let result = body(worker)
      answer.signal { $0 = result }
    }
    guard let result = eventually("the loop answers", { answer.withLock { $0 } }) else { fatalError("a loop hangs") }
    return result
  }

  /// What a loop has counted of the route.
  func numbers(_ loop: Int = 0) -> RouteNumbers { look(loop) { $0.numbers()["r"] ?? RouteNumbers() } }

  /// Upstream connections that wait in a loop's pool.
  func idle(_ loop: Int = 0) -> UInt64 { numbers(loop).idle }

  /// Waits until no client is connected.
  func settle() { eventually("all clients are gone") { crew.budget.total == 0 ? () : nil } }

  /// Waits until something holds of what is under way on the oldest of a loop's client connections, and gives it.
  @discardableResult
  func onExchange<Result: Sendable>(
    _ loop: Int = 0, _ body: @escaping @Sendable (Exchange) -> Result?
  ) -> Result? {
    eventually("the exchange gets there") {
      look(loop) { worker in
        var found: Exchange?
        worker.loop.forEachHandler { if found == nil { found = ($0 as? ClientConnection)?.exchange } }
        return found.flatMap(body)
      }
    }
  }
}

/// Looks again and again, letting others run between, until there is an answer. None within `Socket.patience` is an issue.
@discardableResult
func eventually<Result>(_ what: String, _ body: () -> Result?) -> Result? {
  let deadline = Clock.milliseconds() + UInt64(Socket.patience) * 1000
  while true {
    if let result = body() { return result }
    guard Clock.milliseconds() < deadline else {
      Issue.record("waited in vain until \(what)")
      return nil
    }
    poll(nil, 0, 1)
  }
}

/// A request without a body.
func request(_ method: String, _ target: String, _ fields: String = "", version: String = "1.1") -> String {
  "\(method) /r\(target) HTTP/\(version)\r\nHost: localhost\r\n\(fields)\r\n"
}

/// A request with a body of a known length.
func request(_ method: String, _ target: String, body: String, _ fields: String = "") -> String {
  request(method, target, "Content-Length: \(body.utf8.count)\r\n\(fields)") + body
}
