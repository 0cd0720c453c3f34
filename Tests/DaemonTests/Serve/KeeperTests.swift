import Crypto
import Glibc
import JSON
import Testing

@testable import Daemon
@testable import Net

/// A household whose upstream says hello.
private func greeting(route: String = "", top: String = "") throws -> Household {
  try Household(route: route, top: top) { _ in [.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")] }
}

@Test func `a reload puts the new configuration in force in every loop`() async throws {
  let household = try greeting()
  let bed = household.bed
  household.home.rewrite(route: #""headers": { "X-New": "yes" },"#)
  let answer = await household.ask("POST", "/reload")
  #expect(answer.status == 200)
  #expect(answer.text == "{\"reloaded\":true,\"routes\":1}\n")
  for loop in 0..<2 { #expect(try bed.ask(request("GET", "/x"), loop: loop).text == "hello") }
  #expect(household.upstream.connections.allSatisfy { $0.text.contains("X-New: yes\r\n") })
  #expect(bed.crew.reloads == (done: 1, refused: 0))
}

@Test func `a configuration that is wrong is refused with all that is wrong, and the old one stays in force`()
  async throws
{
  let household = try greeting(route: #""headers": { "X-Old": "yes" },"#)
  household.home.rewrite(route: #""headerz": { "X-New": "yes" }, "retry": 3,"#)
  let answer = await household.ask("POST", "/reload")
  #expect(answer.status == 422)
  #expect(answer.text.contains("headerz") && answer.text.contains("retry"))
  #expect(try JSONReader.parse(Array(answer.text.utf8))["exit_status"]?.int == 78)
  #expect(try household.bed.ask(request("GET", "/x")).text == "hello")
  #expect(household.upstream.connections[0].text.contains("X-Old: yes\r\n"))
  unlink(household.home.directory.path + "/c.jsonc")
  #expect(await household.ask("POST", "/reload").status == 422)
  #expect(household.bed.crew.reloads == (done: 0, refused: 2))
}

@Test(arguments: [
  ("listen", #""listen": [{ "tcp": "127.0.0.1:7229" }],"#), ("admin", #""admin": { "unix": "/tmp/other.sock" },"#),
  ("loops", #""loops": 3,"#), ("log.format", #""log": { "format": "text" },"#),
  ("metrics", #""metrics": { "tcp": "127.0.0.1:7228" },"#),
])
func `what a running daemon cannot follow is refused by name`(_ key: String, _ member: String) async throws {
  let household = try greeting()
  household.home.rewrite(route: #""headers": { "X-New": "yes" },"#, top: member)
  let answer = await household.ask("POST", "/reload")
  #expect(answer.status == 422)
  #expect(answer.text.contains("\\\"\(key)\\\" can only change with a restart"))
  #expect(try household.bed.ask(request("GET", "/x")).text == "hello")
  #expect(!household.upstream.connections[0].text.contains("X-New"))
}

@Test func `a route's own listeners are among what cannot be followed, its other members are not`() async throws {
  let household = try greeting(route: #""listen": [{ "tcp": "127.0.0.1:7227" }],"#)
  household.home.rewrite()
  #expect(await household.ask("POST", "/reload").text.contains("listen"))
  household.home.rewrite(
    route: #""listen": [{ "tcp": "127.0.0.1:7227" }], "limits": { "body": "0B" },"#,
    top: #""limits": { "connections": 50, "connections_per_caller": 50 }, "log": { "level": "error" },"#)
  #expect(await household.ask("POST", "/reload").status == 200)
  #expect(household.bed.crew.connectionLimits.total == 50)
  #expect(try household.bed.ask(request("POST", "/x", body: "b")).problem == "body_too_large")
}

@Test func `a secret that is set or removed is felt by the next request`() async throws {
  let household = try greeting()
  #expect(try household.bed.ask(request("GET", "/a")).text == "hello")
  #expect(await household.ask("PUT", "/secrets/r%2Ftoken", "renewed").status == 200)
  #expect(try household.bed.ask(request("GET", "/b")).text == "hello")
  #expect(await household.ask("DELETE", "/secrets/r%2Ftoken").status == 200)
  #expect(try household.bed.ask(request("GET", "/c")).problem == "secret_missing")
  let tokens = household.upstream.connections.flatMap { $0.text.components(of: "Bearer ").dropFirst() }
  #expect(tokens.map { String($0.prefix { $0 != "\r\n" }) } == ["stored", "renewed"])
}

@Test func `an exchange under way ends with the configuration that it began with, and is counted`() async throws {
  let household = try greeting()
  let gate = Lock(false)
  let slow = try Upstream { _ in [.wait(gate), .send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")] }
  // Between request and answer this test suspends, and other tests may hold every thread that could resume it.
  let bed = try Bed(slow, timeouts: 120_000)
  let client = try bed.connect()
  client.send(request("GET", "/x"))
  slow.awaitRequests(1)
  let text = Bed.configuration(port: household.upstream.port)
  try await bed.crew.adopt(Bed.deployment(text))
  #expect(try bed.ask(request("GET", "/x")).text == "hello")
  gate.signal { $0 = true }
  #expect(client.answer().text == "slow")
  #expect(bed.numbers().statuses[2] == 2)
  #expect(client.ask(request("GET", "/x")).text == "hello")
  #expect(slow.settled().count == 1, "its connection is not kept for a route that is gone")
}

@Test func `a new limit for heads holds for connections that stand`() async throws {
  let upstream = try Upstream.answering("HTTP/1.1 204 No Content\r\n\r\n")
  let bed = try Bed(upstream)
  let client = try bed.connect()
  let long = request("GET", "/x", "X-Long: \(String(repeating: "x", count: 3000))\r\n")
  #expect(client.ask(long).status == 204)
  try await bed.crew.adopt(
    Bed.deployment(Bed.configuration(port: upstream.port, top: #""limits": { "head": "2KiB" },"#)))
  #expect(client.ask(request("GET", "/x")).status == 204)
  #expect(client.ask(long).problem == "head_too_large")
}

@Test func `status tells what runs`() async throws {
  let household = try greeting()
  let bed = household.bed
  let client = try bed.connect()
  #expect(client.ask(request("GET", "/x")).text == "hello")
  #expect(try bed.ask("GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 404)
  bed.crew.open(household.keeper, ["127.0.0.1:7220", "/run/x.sock"])
  let answer = await household.ask("GET", "/status")
  #expect(answer.status == 200)
  let json = try JSONReader.parse(Array(answer.text.utf8))
  #expect(json["version"]?.string == Version.number)
  #expect(json["pid"]?.int == Int(getpid()))
  #expect(json["config"]?.string == household.home.directory.path + "/c.jsonc")
  #expect(json["loops"]?.int == 2)
  #expect(json["connections"]?.int ?? 0 >= 1)
  #expect(json["listen"]?.array?.compactMap(\.string) == ["127.0.0.1:7220", "/run/x.sock"])
  let route = try #require(json["routes"]?.array?.first)
  #expect(route["name"]?.string == "r")
  #expect(route["connector"]?.string == "bearer")
  #expect(route["upstream"]?.string == "http://127.0.0.1:\(household.upstream.port)")
  #expect(route["exchanges"]?.int == 1)
  #expect(route["problems"]?.int == 0)
  #expect(route["idle_connections"]?.int == 1)
}
