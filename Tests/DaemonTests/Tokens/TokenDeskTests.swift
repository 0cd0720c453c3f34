import Crypto
import Testing

@testable import Daemon
@testable import Net
@testable import Vault

@Test func `a token that the store did not take is stored by the next attempt, and asked for only once`() throws {
  let directory = Directory()
  let upstream = try Upstream { _ in [] }
  let path = directory.write(
    "c.jsonc",
    Bed.configuration(store: directory.path, port: upstream.port, connector: "fastmoss", route: "", top: ""))
  let key = MasterKey.generate()
  try Vault.create(path: directory.path + "/store.db", key: key, now: 1)
  let vault = try Vault(path: directory.path + "/store.db", key: key)
  for name in ["client_id", "client_secret"] {
    let value = Array("the-\(name)".utf8)
    _ = try vault.setSecret("r/\(name)", Secret(copying: value.span), now: 1)
  }
  let deployment = try Keeper.deployment(of: Setup.read(path), from: vault)
  let bed = try Bed(deployment, upstream)
  let attempts = Lock<[TokenDesk.Attempt]>([])
  let desk = TokenDesk(vault, bed.crew) { attempt, _ in attempts.withLock { $0.append(attempt) } }
  desk.adopt(deployment)
  let token = TokenKey(route: "r", subject: TokenKey.standard)
  var told: [Bool] = []

  desk.wanted(token, refused: 0) { told.append($0 == nil) }
  // As a disk that is full for a while.
  try vault.database.run("PRAGMA query_only = ON")
  let attempt = try #require(attempts.withLock { $0.first })
  let answer = granted("a")
  let body = Array(answer[try #require(answer.firstRange(of: "\r\n\r\n")).upperBound...].utf8)
  desk.answered(attempt, .success(EndpointAnswer(status: 200, body: Secret(copying: body.span))))
  #expect(told == [false])

  try vault.database.run("PRAGMA query_only = OFF")
  #expect(try vault.tokenList().isEmpty && vault.rotations().count == 1)
  // A reload does not wait for the end of the pause.
  desk.adopt(deployment)
  desk.wanted(token, refused: 0) { told.append($0 == nil) }
  #expect(told == [false, true])
  #expect(attempts.withLock { $0.count } == 1)
  #expect(try vault.tokenList().map(\.generation) == [2] && vault.rotations().isEmpty)
}
