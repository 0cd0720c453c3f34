import Broker
import Bytes
import Connector
import Crypto
import Testing
import Vault

@testable import Daemon
@testable import Net

/// A desk on this thread, with a store and two loops. What it wants to ask of an endpoint is kept, and answered by hand.
final class DeskBench {
  let home: Home
  let vault: Vault
  let bed: Bed
  private(set) var desk: TokenDesk
  let key = TokenKey(route: "r", subject: TokenKey.standard)
  private let calls = Lock<[TokenDesk.Attempt]>([])

  init(connector: String = "fastmoss", file: String? = nil, route: String = "") throws {
    let upstream = try Upstream { _ in [] }
    home = Home(upstream, connector: connector, file: file, route: route)
    vault = try home.makeVault()
    let deployment = try Keeper.deployment(of: Setup.read(home.path), from: vault)
    bed = try Bed(deployment, upstream)
    desk = TokenDesk(vault, bed.crew) { [calls] attempt, _ in calls.withLock { $0.append(attempt) } }
    desk.adopt(deployment)
  }

  /// What was to be asked so far.
  var attempts: [TokenDesk.Attempt] { calls.withLock { $0 } }

  /// Puts in force what the file and the store say now, as a reload does.
  func reload() async throws {
    let deployment = try Keeper.deployment(of: Setup.read(home.path), from: vault)
    desk.adopt(deployment)
    await bed.crew.adopt(deployment)
  }

  /// As a daemon's next start: another desk, with the same store.
  func restart() throws {
    desk = TokenDesk(vault, bed.crew) { [calls] attempt, _ in calls.withLock { $0.append(attempt) } }
    desk.adopt(try Keeper.deployment(of: Setup.read(home.path), from: vault))
    desk.begin()
  }

  /// Wants a token, and says what came of that; nil as long as nobody was told.
  @discardableResult
  func want() -> Told {
    let told = Told()
    desk.wanted(key, refused: 0) { problem in told.problems.append(problem) }
    return told
  }

  final class Told {
    var problems: [Problem?] = []
    /// Once, with a token to be had.
    var isServed: Bool { problems.count == 1 && problems.allSatisfy { $0 == nil } }
    var code: ProblemCode? { problems.count == 1 ? problems[0]?.code : nil }
  }

  /// The endpoint answers one of the attempts.
  func answer(_ index: Int, status: Int = 200, _ text: String) throws {
    let body = Array(text[try #require(text.firstRange(of: "\r\n\r\n")).upperBound...].utf8)
    desk.answered(
      try #require(attempts.dropFirst(index).first),
      .success(EndpointAnswer(status: status, body: Secret(copying: body.span))))
  }

  /// What requests on a loop would carry now.
  func shelved(_ loop: Int = 0) -> Token? {
    let key = key
    return bed.look(loop) { worker in
      worker.shelf(of: key.route)?.token(for: key.subject, refused: 0, now: worker.loop.now)
    }
  }

  /// On both loops alike; nil: there is none.
  func shelvedText(_ field: String = "access_token") -> String? {
    let texts = (0..<2).map { loop in shelved(loop)?[field].map { String($0.span) } }
    #expect(texts[0] == texts[1])
    return texts[0]
  }

  /// As people see it.
  func state() throws -> String {
    let list = String(decoding: try desk.list(), as: UTF8.self)
    guard let start = list.firstRange(of: #""state":""#)?.upperBound else { return "none" }
    return String(list[start...].prefix { $0 != "\"" })
  }

  /// Generations in the store.
  func stored() throws -> [Int64] { try vault.tokenList().map(\.generation) }
}
