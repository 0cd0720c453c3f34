import Broker
import Crypto
import Testing
import Vault

@testable import Connector
@testable import Daemon
@testable import Net

@Test func `a check ends when every answer is in the store, also one that nobody waits for`() throws {
  let upstream = try Upstream { _ in [.body, .send(granted("new"))] }
  let home = Home(upstream, connector: "fastmoss")
  let vault = try home.makeVault()
  let deployment = try Keeper.deployment(of: Setup.read(home.path), from: vault)
  let office = try #require(TokenOffice(deployment.snapshot.routes[0], deployment.tls[0]))
  // It still serves, and its renewal, for which it spends its refresh token, is due.
  let now = Clock.wallMilliseconds() / 1000
  let fields = ["old", "refresh-old"].map { text in
    let bytes = Array(text.utf8)
    return Secret(copying: bytes.span)
  }
  let token = Token(
    generation: 1, names: office.recipe.fieldNames, fields: fields, obtainedAt: now - 3600, expiresAt: now + 300,
    refreshExpiresAt: nil)
  try vault.storeToken(
    StoredToken(
      route: "r", subject: TokenKey.standard, generation: 1, obtainedAt: now - 3600, expiresAt: now + 300,
      refreshExpiresAt: nil, identity: office.identity, payload: token.encoded()), now: now)

  #expect(try TokenCheck.failures(["r"], deployment, vault).isEmpty)
  #expect(upstream.count("/v1/refreshToken") == 1)
  #expect(try vault.tokenList().map(\.generation) == [2] && vault.rotations().isEmpty)
}
