import Crypto
import Testing
import Vault

@testable import Connector
@testable import Daemon
@testable import Net

private func isTokenRequest(_ request: Upstream.Request) -> Bool { request.target.hasPrefix("/v1/") }

private func token(in target: String) -> String {
  target.split(separator: "&").first { $0.contains("access_token=") }?.split(separator: "=").last.map(String.init) ?? ""
}

@Test func `callers on both loops who find no token cause one request, and all are served`() throws {
  let mayAnswer = Lock(false)
  let household = try Household(connector: "fastmoss") { request in
    isTokenRequest(request) ? [.body, .wait(mayAnswer), .send(granted("a"))] : [.body, .send(json(request.target))]
  }
  let clients = try (0..<100).map { try household.bed.connect(loop: $0 % 2) }
  for (number, client) in clients.enumerated() { client.send(request("POST", "/\(number)", body: "{}")) }
  household.upstream.awaitRequests(1)
  mayAnswer.signal { $0 = true }
  for (number, client) in clients.enumerated() {
    let answer = client.answer()
    #expect(answer.status == 200)
    #expect(answer.text.hasPrefix("/\(number)?access_token=a&"))
  }
  #expect(household.upstream.count("/v1/token") == 1)
}

@Test func `a token request outlives the caller for whom it was begun`() throws {
  let mayAnswer = Lock(false)
  let household = try Household(connector: "fastmoss") { request in
    isTokenRequest(request) ? [.body, .wait(mayAnswer), .send(granted("a"))] : [.body, .send(json("{}"))]
  }
  do {
    let first = try household.bed.connect()
    first.send(request("POST", "/1", body: "{}"))
    household.upstream.awaitRequests(1)
    first.socket.resetOnClose()
  }
  household.bed.settle()
  mayAnswer.signal { $0 = true }
  #expect(try household.bed.ask(request("POST", "/2", body: "{}")).status == 200)
  #expect(household.upstream.count("/v1/token") == 1)
}

@Test func `a refused token is replaced once for all who saw it, and their requests are sent again`() throws {
  let household = try Household(connector: "fastmoss") { request in
    if isTokenRequest(request) {
      return [.body, .send(granted(request.target == "/v1/token" ? "first" : "second"))]
    }
    return [.body, .send(token(in: request.target) == "second" ? json("{}") : json("{}", status: "401 Unauthorized"))]
  }
  let clients = try (0..<40).map { try household.bed.connect(loop: $0 % 2) }
  for client in clients { client.send(request("POST", "/x", body: "{}")) }
  for client in clients { #expect(client.answer().status == 200) }
  #expect(household.upstream.count("/v1/token") == 1)
  #expect(household.upstream.count("/v1/refreshToken") == 1)
}

@Test func `a token that dies while a connection is made for it is not sent`() throws {
  let mayAnswer = Lock(false)
  let household = try Household(connector: "fastmoss") { request in
    isTokenRequest(request) ? [.body, .wait(mayAnswer), .send(granted("good"))] : [.body, .send(json(request.target))]
  }
  let client = try household.bed.connect()
  client.send(request("POST", "/x", body: "{}"))
  household.upstream.awaitRequests(1)
  household.bed.onExchange { $0.phase == .authorizing ? () : nil }
  // It comes, the request goes for a connection with it, and it is taken away before that is there.
  let isConnecting = household.bed.look { worker in
    let bytes = Array("dead".utf8)
    let dead = Token(
      generation: 1, names: ["access_token", "refresh_token"], fields: [Secret(copying: bytes.span), nil],
      obtainedAt: Clock.wallMilliseconds() / 1000, expiresAt: nil, refreshExpiresAt: nil)
    let shelf = worker.shelf(of: "r")
    shelf?.put(dead, for: TokenKey.standard, deadline: Timer.never, stands: 0)
    shelf?.answer(TokenKey.standard, nil)
    shelf?.remove(TokenKey.standard)
    var phases: [Exchange.Phase?] = []
    worker.loop.forEachHandler { if let client = $0 as? ClientConnection { phases.append(client.exchange?.phase) } }
    return phases == [.connecting]
  }
  #expect(isConnecting)
  household.bed.onExchange { $0.phase == .authorizing ? () : nil }
  mayAnswer.signal { $0 = true }
  #expect(token(in: client.answer().text) == "good")
  #expect(household.upstream.requests.map { token(in: $0.target) } == ["", "good"])
}

@Test func `where the new token is refused as well, the refusal is the upstream's last word`() throws {
  let household = try Household(connector: "fastmoss") { request in
    isTokenRequest(request) ? [.body, .send(granted("a"))] : [.body, .send(json("no", status: "401 Unauthorized"))]
  }
  for loop in [0, 0, 1, 1, 0] {
    let answer = try household.bed.ask(request("POST", "/x", body: "{}"), loop: loop)
    #expect(answer.status == 401)
    #expect(answer.text == "no")
    #expect(answer.problem == nil)
  }
  #expect(household.upstream.requests.count(where: isTokenRequest) == 2)
}

@Test func `a body that is too large to keep is not sent again, and the next request has another token`() throws {
  let household = try Household(
    connector: "plain",
    file: """
      { "connector": "plain", "secrets": { "client_id": { "about": "" }, "client_secret": { "about": "" } },
        "token": {
          "fetch": { "path": "/v1/token", "form": { "a": "${secret.client_id}", "b": "${secret.client_secret}" } },
          "read": { "access_token": "data.access_token", "expires_at": "data.expire_at" } },
        "set": { "headers": { "X-Token": "${token.access_token}" } } }
      """
  ) { request in
    if isTokenRequest(request) { return [.body, .send(granted("t\(request.connection)"))] }
    return [.body, .send(request.target == "/large" ? json("no", status: "401 Unauthorized") : json("{}"))]
  }
  let large = String(repeating: "x", count: 100_000)
  #expect(try household.bed.ask(request("POST", "/large", body: large)).status == 401)
  #expect(try household.bed.ask(request("POST", "/small", body: "x")).status == 200)
  #expect(household.upstream.count("/large") == 1)
  #expect(household.upstream.count("/v1/token") == 2)
}

private let spoken = """
  { "connector": "spoken", "secrets": { "client_id": { "about": "" }, "client_secret": { "about": "" } },
    "token": {
      "fetch": { "path": "/v1/token", "form": { "a": "${secret.client_id}", "b": "${secret.client_secret}" } },
      "read": { "access_token": "data.access_token", "expires_at": "data.expire_at" },
      "reject_when": { "json": { "errcode": [40001] } } },
    "set": { "headers": { "X-Token": "${token.access_token}" } } }
  """

@Test(arguments: [
  "HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"errcode\":40001}",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"er\r\nd\r\nrcode\":40001}\r\n0\r\n\r\n",
])
func `a refusal within the body of a 200 is one too, however its bytes come`(refusal: String) throws {
  let refused = Lock(0)
  let household = try Household(connector: "spoken", file: spoken) { request in
    if isTokenRequest(request) { return [.body, .send(granted("t"))] }
    let isFirst = refused.withLock { count in
      count += 1
      return count == 1
    }
    return isFirst ? [.drip(refusal)] : [.send(json(#"{"errcode":0}"#))]
  }
  let answer = try household.bed.ask(request("GET", "/x"))
  #expect(answer.text == #"{"errcode":0}"#)
  #expect(household.upstream.count("/v1/token") == 2)
  #expect(household.upstream.count("/x") == 2)
}

@Test func `an answer without the sign of a refusal passes as it came`() throws {
  let large = String(repeating: " ", count: 70_000) + #"{"errcode":40001}"#
  let household = try Household(connector: "spoken", file: spoken) { request in
    switch request.target {
    case "/v1/token": [.body, .send(granted("t"))]
    case "/large": [.send(json(large))]
    case "/close": [.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"errcode\":40001}"), .close]
    default: [.send(json(#"{"errcode":0}"#))]
    }
  }
  #expect(try household.bed.ask(request("GET", "/x")).text == #"{"errcode":0}"#)
  #expect(try household.bed.ask(request("GET", "/large")).text == large)
  #expect(try household.bed.ask(request("GET", "/close")).text == #"{"errcode":40001}"#)
  #expect(household.upstream.count("/v1/token") == 1)
}

@Test func `an endpoint's answer that breaks off anywhere is no token, and nobody hangs`() async throws {
  let answer = granted("a")
  let cut = Lock(0)
  let household = try Household(connector: "fastmoss") { request in
    let count = cut.withLock { $0 }
    return [.body, .send(String(decoding: answer.utf8.prefix(count), as: UTF8.self)), count % 2 == 0 ? .close : .reset]
  }
  for count in 0..<answer.utf8.count {
    cut.withLock { $0 = count }
    let refused = try household.bed.ask(request("POST", "/x", body: "{}"))
    #expect(refused.problem == "token_unavailable", "after \(count) bytes")
    #expect(refused.field("retry-after") != nil)
    // Forgets the pause behind the failure.
    #expect(await household.ask("DELETE", "/tokens/r/default").status == 200)
  }
}

@Test func `what the endpoint says reaches the caller and the list, without our secrets`() async throws {
  let household = try Household(connector: "fastmoss") { _ in
    [.body, .send(json(#"{"code":10001,"msg":"secret the-client_secret of the-client_id is wrong"}"#))]
  }
  let answer = try household.bed.ask(request("POST", "/x", body: "{}"))
  #expect(answer.status == 424)
  #expect(answer.problem == "token_refused")
  #expect(answer.text.contains("secret ••• of ••• is wrong"))
  // It is remembered: the endpoint is not asked again at once.
  #expect(try household.bed.ask(request("POST", "/x", body: "{}"), loop: 1).problem == "token_refused")
  #expect(household.upstream.requests.count == 1)
  let list = await household.ask("GET", "/tokens").text
  #expect(list.contains(#""state":"refused""#) && list.contains("secret ••• of ••• is wrong"))
  #expect(!list.contains("the-client_secret"))
}

@Test func `a token that comes when the secret has changed goes to nobody`() async throws {
  let mayAnswer = Lock(false)
  let household = try Household(connector: "fastmoss") { request in
    if request.target == "/v1/token", request.connection == 0 {
      return [.body, .wait(mayAnswer), .send(granted("old"))]
    }
    return isTokenRequest(request) ? [.body, .send(granted("new"))] : [.body, .send(json(request.target))]
  }
  let client = try household.bed.connect()
  client.send(request("POST", "/x", body: "{}"))
  household.upstream.awaitRequests(1)
  #expect(await household.ask("PUT", "/secrets/r%2Fclient_secret", "another").status == 200)
  let answer = client.answer()
  mayAnswer.signal { $0 = true }
  #expect(answer.text.contains("access_token=new&"))
  for loop in 0..<2 {
    #expect(try household.bed.ask(request("POST", "/y", body: "{}"), loop: loop).text.contains("access_token=new&"))
  }
}

@Test func `a token that was dropped is fetched again, and one that nobody has cannot be dropped`() async throws {
  let household = try Household(connector: "fastmoss") { request in
    isTokenRequest(request) ? [.body, .send(granted("a\(request.connection)"))] : [.body, .send(json(request.target))]
  }
  #expect(await household.ask("DELETE", "/tokens/r/default").status == 422)
  _ = try household.bed.ask(request("POST", "/x", body: "{}"))
  #expect(await household.ask("DELETE", "/tokens/r/default").status == 200)
  #expect(await household.ask("GET", "/tokens").text == "[]")
  _ = try household.bed.ask(request("POST", "/x", body: "{}"))
  #expect(household.upstream.count("/v1/token") == 2)
}

@Test func `a daemon that stops waits for the token that it has asked for`() async throws {
  let mayAnswer = Lock(false)
  let household = try Household(connector: "fastmoss") { request in
    isTokenRequest(request) ? [.body, .wait(mayAnswer), .send(granted("a"))] : [.body, .send(json("{}"))]
  }
  do {
    let client = try household.bed.connect()
    client.send(request("POST", "/x", body: "{}"))
    household.upstream.awaitRequests(1)
    client.socket.resetOnClose()
  }
  household.bed.settle()
  let isDrained = Lock(false)
  household.bed.crew.drain { isDrained.signal { $0 = true } }
  for loop in 0..<2 { _ = household.bed.look(loop) { $0.isDraining } }
  #expect(!isDrained.withLock { $0 })
  mayAnswer.signal { $0 = true }
  eventually("nothing is under way") { isDrained.withLock { $0 } ? () : nil }
  household.keeper.settle()
  #expect(await household.ask("GET", "/tokens").text.contains(#""state":"fresh""#))
}

@Test func `where tokens are for a subject, each has its own, and its requests carry no other`() throws {
  let household = try Household(
    connector: "tenants",
    file: """
      { "connector": "tenants", "secrets": { "client_id": { "about": "" }, "client_secret": { "about": "" } },
        "token": {
          "fetch": { "path": "/v1/token",
                     "form": { "a": "${secret.client_id}", "b": "${secret.client_secret}", "for": "${subject}" } },
          "read": { "access_token": "data.access_token", "expires_at": "data.expire_at" } },
        "set": { "query": { "access_token": "${token.access_token}", "as": "${subject}" } } }
      """
  ) { request in
    // The connection's number stands for whom the token is.
    isTokenRequest(request) ? [.body, .send(granted("t\(request.connection)"))] : [.body, .send(json(request.target))]
  }
  func ask(_ fields: String) throws -> Answer { try household.bed.ask(request("GET", "/x", fields)) }
  let alice = try ask("X-Chatelaine-Subject: alice\r\n")
  let bob = try ask("X-Chatelaine-Subject: bob\r\n")
  let nobody = try ask("")
  #expect(alice.text.hasSuffix("&as=alice") && bob.text.hasSuffix("&as=bob") && nobody.text.hasSuffix("&as=default"))
  #expect(Set([alice, bob, nobody].map { token(in: $0.text) }).count == 3)
  #expect(household.upstream.count("/v1/token") == 3)
  #expect(try ask("X-Chatelaine-Subject: alice\r\n").text == alice.text)
  #expect(household.upstream.count("/v1/token") == 3)
  let long = String(repeating: "x", count: 257)
  #expect(try ask("X-Chatelaine-Subject: \(long)\r\n").problem == "malformed_request")
}

@Test func `an endpoint that sends interim responses without an end keeps nobody else waiting`() throws {
  let household = try Household(connector: "fastmoss") { request in
    if isTokenRequest(request) {
      return [.body, .send(String(repeating: "HTTP/1.1 103 Early Hints\r\n\r\n", count: 9)), .hang]
    }
    return [.body, .send(json("{}"))]
  }
  let answer = try household.bed.ask(request("POST", "/x", body: "{}"))
  #expect(answer.problem == "token_unavailable")
}
