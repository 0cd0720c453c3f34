import Broker
import Connector
import Crypto
import Testing

@testable import Daemon
@testable import Net
@testable import Vault

// MARK: The store

@Test func `a token that the store did not take is stored by the next attempt, and asked for only once`() async throws {
  let bench = try DeskBench()
  let first = bench.want()
  try bench.vault.setReadOnly(true)
  try bench.answer(0, granted("a"))
  #expect(first.code == .tokenUnavailable && bench.shelvedText() == nil)

  try bench.vault.setReadOnly(false)
  #expect(try bench.stored().isEmpty && bench.vault.rotations().count == 1)
  // Whoever changes something does not wait for the end of the pause.
  bench.home.rewrite(timeouts: 9000)
  try await bench.reload()
  #expect(bench.want().isServed)
  #expect(bench.attempts.count == 1)
  #expect(try bench.stored() == [2] && bench.vault.rotations().isEmpty)
}

@Test func `a token that the store did not take is stored when something is due, and serves`() throws {
  let bench = try DeskBench()
  bench.want()
  try bench.vault.setReadOnly(true)
  try bench.answer(0, granted("a"))
  bench.desk.tick()
  #expect(try bench.stored().isEmpty && bench.shelvedText() == nil)

  try bench.vault.setReadOnly(false)
  bench.desk.tick()
  #expect(try bench.stored() == [1] && bench.vault.rotations().isEmpty)
  #expect(bench.shelvedText() == "a")
  #expect(bench.attempts.count == 1)
}

extension Keeper {
  fileprivate func setReadOnly(_ isReadOnly: Bool) throws { try desk.vault.setReadOnly(isReadOnly) }
  fileprivate var generations: [Int64] { get throws { try desk.vault.tokenList().map(\.generation) } }
}

@Test func `a token that the store did not take is stored before the daemon ends`() async throws {
  let mayAnswer = Lock(false)
  let household = try Household(connector: "fastmoss") { _ in [.body, .wait(mayAnswer), .send(granted("a"))] }
  let client = try household.bed.connect()
  client.send(request("POST", "/x", body: "{}"))
  household.upstream.awaitRequests(1)
  try await household.keeper.setReadOnly(true)
  mayAnswer.signal { $0 = true }
  #expect(client.answer().problem == "token_unavailable")
  try await household.keeper.setReadOnly(false)
  household.keeper.settle()
  #expect(try await household.keeper.generations == [1])
}

@Test func `a token is dropped from the store first, and stays where that fails`() throws {
  let bench = try DeskBench()
  bench.want()
  try bench.answer(0, granted("a"))
  try bench.vault.setReadOnly(true)
  #expect(throws: VaultError.self) { try bench.desk.drop(bench.key) }
  try bench.vault.setReadOnly(false)
  #expect(try bench.state() == "fresh" && bench.stored() == [1])
  #expect(bench.shelvedText() == "a")

  #expect(try bench.desk.drop(bench.key))
  #expect(try bench.state() == "none" && bench.stored().isEmpty)
  #expect(bench.shelvedText() == nil)
}

// MARK: Credentials that change

@Test func `credentials that were changed and changed back bring the session back, without a request`() async throws {
  let bench = try DeskBench()
  bench.want()
  try bench.answer(0, granted("a"))
  try bench.vault.set("client_secret", "mistyped")
  try await bench.reload()
  #expect(bench.shelvedText() == nil)
  #expect(try bench.state() == "none" && bench.stored() == [1])

  try bench.vault.set("client_secret", "the-client_secret")
  try await bench.reload()
  #expect(bench.shelvedText() == "a")
  #expect(try bench.state() == "fresh")
  #expect(bench.want().isServed)
  #expect(bench.attempts.count == 1)
}

@Test func `what other credentials brought takes the place of what was void, which does not come back`() async throws {
  let bench = try DeskBench()
  bench.want()
  try bench.answer(0, granted("a"))
  try bench.vault.set("client_secret", "another")
  try await bench.reload()
  bench.want()
  try bench.answer(1, granted("b"))
  #expect(bench.shelvedText() == "b")
  try bench.vault.set("client_secret", "the-client_secret")
  try await bench.reload()
  #expect(bench.shelvedText() == nil)
  #expect(try bench.state() == "none")
}

@Test func `what a renewal brought when the credentials had changed is kept for when they change back`() async throws {
  let bench = try DeskBench()
  bench.want()
  try bench.answer(0, granted("a"))
  bench.desk.rejected(bench.key, generation: 1)
  #expect(bench.attempts.map(\.way) == [.fetch, .refresh])
  try bench.vault.set("client_secret", "mistyped")
  try await bench.reload()
  try bench.answer(1, granted("b"))
  // The refresh token of the first was spent for the second: the store has to have that, and nobody else.
  #expect(try bench.stored() == [2] && bench.shelvedText() == nil)

  try bench.vault.set("client_secret", "the-client_secret")
  try await bench.reload()
  #expect(bench.shelvedText() == "b")
  #expect(bench.attempts.count == 2)
}

@Test func `what a renewal brought when the route was gone is there when it comes back`() async throws {
  let bench = try DeskBench()
  bench.want()
  try bench.answer(0, granted("a"))
  bench.desk.rejected(bench.key, generation: 1)
  let whole = try Setup.read(bench.home.path)
  bench.home.directory.write("c.jsonc", Bed.configuration(store: bench.home.directory.path, port: 1))
  try await bench.reload()
  try bench.answer(1, granted("b"))
  #expect(try bench.stored() == [2])

  bench.desk.adopt(try Keeper.deployment(of: whole, from: bench.vault))
  #expect(bench.want().isServed)
  #expect(bench.attempts.count == 2)
}

// MARK: A connector that changes

private func reading(_ further: String) -> String {
  """
  { "connector": "own", "secrets": { "client_id": { "about": "" }, "client_secret": { "about": "" } },
    "token": {
      "fetch": { "path": "/t", "form": { "a": "${secret.client_id}", "b": "${secret.client_secret}" } },
      "read": { "access_token": "token", "fields": { \(further) } } },
    "set": { "headers": { "X-Token": "${token.access_token}" } } }
  """
}

@Test func `a token whose connector reads other things now is on the shelves in its new shape`() async throws {
  let bench = try DeskBench(connector: "own", file: reading(#""shop?": "${json(answer, 'shop')}""#))
  bench.want()
  try bench.answer(0, json(#"{"token":"a","shop":"s"}"#))
  #expect(bench.shelved()?.names == ["access_token", "refresh_token", "shop"])

  bench.home.rewrite(file: reading(#""region?": "${json(answer, 'region')}", "shop?": "${json(answer, 'shop')}""#))
  try await bench.reload()
  bench.desk.publishReshaped()
  let names = ["access_token", "refresh_token", "region", "shop"]
  for loop in 0..<2 { #expect(bench.shelved(loop)?.names == names) }
  #expect(bench.shelvedText() == "a" && bench.shelvedText("shop") == "s")
  #expect(bench.attempts.count == 1)
}
