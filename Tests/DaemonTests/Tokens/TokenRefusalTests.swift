import Broker
import Crypto
import Testing
import Vault

@testable import Daemon
@testable import Net

// MARK: Remembered

@Test func `a reload that changes nothing of how a token is got asks for none that was refused`() async throws {
  let bench = try DeskBench()
  bench.want()
  try bench.answer(0, json(#"{"code":10001,"msg":"no"}"#))
  try await bench.reload()
  bench.home.rewrite(route: #""headers": { "X-New": "yes" },"#, top: #""log": { "level": "error" },"#)
  try await bench.reload()
  #expect(try bench.state() == "refused")
  #expect(bench.want().code == .tokenRefused)
  #expect(bench.attempts.count == 1)

  bench.home.rewrite(timeouts: 9000)
  try await bench.reload()
  let told = bench.want()
  #expect(bench.attempts.count == 2)
  try bench.answer(1, granted("a"))
  #expect(told.isServed)
}

private let options = #"""
  "options": { "authorize_url": "http://127.0.0.1:1/a", "token_url": "http://127.0.0.1:1/t" },
  """#

/// A session that its user began, and that the endpoint does not renew.
private func ended() throws -> DeskBench {
  let bench = try DeskBench(connector: "oauth2", route: options)
  try bench.logIn("a")
  bench.desk.rejected(bench.key, generation: 1)
  try bench.answer(0, status: 400, json(#"{"error":"invalid_grant"}"#))
  #expect(bench.want().code == .reauthorizationRequired)
  return bench
}

extension DeskBench {
  fileprivate func logIn(_ token: String) throws {
    let body = Array(#"{"access_token":"\#(token)","refresh_token":"r-\#(token)","expires_in":3600}"#.utf8)
    _ = try desk.obtained(EndpointAnswer(status: 200, body: Secret(copying: body.span)), key, shown: [])
  }
}

@Test func `a session that the endpoint has ended is over after a restart and a reload as well`() async throws {
  let bench = try ended()
  try await bench.reload()
  #expect(bench.want().code == .reauthorizationRequired)
  for _ in 0..<2 {
    try bench.restart()
    #expect(try bench.state() == "reauthorization_required")
    // What upstreams say of a token is not kept: it may go out once more.
    #expect(bench.shelvedText() == "a")
    bench.desk.rejected(bench.key, generation: 1)
    #expect(bench.want().code == .reauthorizationRequired)
    #expect(bench.shelvedText() == nil)
  }
  #expect(bench.attempts.count == 1, "the endpoint said no once")

  try bench.logIn("b")
  #expect(bench.want().isServed && bench.shelvedText() == "b")
  try bench.restart()
  #expect(try bench.state() == "fresh")
  bench.desk.rejected(bench.key, generation: try #require(bench.stored().first))
  #expect(bench.attempts.map(\.way) == [.refresh, .refresh], "its own refresh token was never refused")
}

@Test(arguments: [true, false])
func `a session that was refused with another client secret is tried again`(_ isRunning: Bool) async throws {
  let bench = try ended()
  // The client's id is what a session is bound to; its secret is not.
  try bench.vault.set("client_secret", "another")
  if isRunning { try await bench.reload() } else { try bench.restart() }
  bench.desk.rejected(bench.key, generation: 1)
  let told = bench.want()
  #expect(bench.attempts.map(\.way) == [.refresh, .refresh])
  try bench.answer(1, json(#"{"access_token":"b","refresh_token":"r-b","expires_in":3600}"#))
  #expect(told.isServed && bench.shelvedText() == "b")
}
