import Crypto
import Glibc
import JSON
import Testing
import Vault

@testable import Daemon
@testable import Net

/// A daemon's files, in a directory.
private func household(_ directory: Directory, _ upstream: Upstream, _ top: String = "") throws -> Setup {
  try MasterKeySource.generateFile(directory.path + "/master.key")
  let key = try MasterKeySource.file(directory.path + "/master.key").load(credentialsDirectory: nil)
  try Vault.create(path: directory.path + "/store.db", key: key, now: 1)
  do {
    let vault = try Vault(path: directory.path + "/store.db", key: key)
    let token = Array("stored".utf8)
    _ = try vault.setSecret("r/token", Secret(copying: token.span), now: 1)
  }
  let own = #""listen": [{ "tcp": "127.0.0.1:0" }], "admin": { "unix": "\#(directory.path)/admin.sock" }, "loops": 2,"#
  return try Setup.read(
    directory.write(
      "c.jsonc", Bed.configuration(store: directory.path, port: upstream.port, top: own + top)))
}

@Test func `the daemon serves from ready on, reloads on SIGHUP, and drains on SIGTERM`() async throws {
  let result = try await #require(processExitsWith: .success, observing: [\.standardErrorContent]) {
    let directory = Directory()
    let upstream = try Upstream.answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    let setup = try household(directory, upstream, #""log": { "format": "json" },"#)
    let seen = Lock<[String]>([])
    // The thread that serves: the test's process has others, which do not hold signals back.
    let server = pthread_self()
    try Serve.run(setup) { addresses in
      let port = UInt16(addresses.first?.split(separator: ":").last ?? "") ?? 0
      _ = try? Thread.start("user") {
        func ask(_ path: String) -> String {
          guard let socket = try? Socket.connect(port: port) else { return "no connection" }
          let answer = Client(socket).ask("GET \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\n\r\n")
          return "\(answer.status) \(answer.text)"
        }
        var notes = [ask("/r/x"), ask("/-/readyz")]
        directory.write("c.jsonc", "{")
        pthread_kill(server, SIGHUP)
        let refused = "chatelaine_config_reloads_total{result=\"refused\"} 1\n"
        eventually("the reload is refused") { ask("/-/metrics").contains(refused) ? () : nil }
        notes.append(ask("/r/y"))
        seen.withLock { $0 = notes }
        pthread_kill(server, SIGTERM)
      }
    }
    #expect(seen.withLock { $0 } == ["200 hello", "200 ok\n", "200 hello"])
    #expect(upstream.connections[0].text.contains("Authorization: Bearer stored\r\n"))
    #expect(access(directory.path + "/admin.sock", F_OK) == -1, "the socket goes with the daemon")
  }
  let lines = try result.standardErrorContent.split(separator: 0x0A).map { try JSONReader.parse(Array($0)) }
  let messages = lines.compactMap { $0["message"]?.string }.filter { $0 != "exchange" }
  #expect(
    messages == [
      "ready", "the new configuration is refused, the old one stays in force", "stopping", "stopped",
    ])
  #expect(lines.first { $0["message"]?.string == "ready" }?["loops"]?.string == "2")
  #expect(!String(decoding: result.standardErrorContent, as: UTF8.self).contains("stored"))
}

@Test func `what keeps the daemon from starting is told with the exit status that it deserves`() async throws {
  let result = try await #require(processExitsWith: .success, observing: [\.standardErrorContent]) {
    let upstream = try Upstream.answering("")
    let log = Log(level: .info, isJSON: true)
    func start(_ spoil: (Directory) -> Void, _ top: String = "") throws {
      let directory = Directory()
      let setup = try household(directory, upstream, top)
      spoil(directory)
      do throws(Serve.Failure) {
        try Serve.run(setup) { _ in exit(99) }
      } catch {
        let message = error.message.replacing(directory.path, with: "")
        log.say(.error, "failure", ("status", "\(error.exitStatus)"), ("text", message))
      }
    }
    try start { unlink($0.path + "/store.db") }
    try start { unlink($0.path + "/master.key") }
    try start { chmod($0.path + "/master.key", 0o644) }
    try start { $0.write("store.db", "not a database, whatever else") }
    try start { $0.write("admin.sock", "a file") }
    let taken = try Net.Listener(tcp: try #require(Address(literal: "127.0.0.1", port: 0)))
    try start({ _ in }, "\"metrics\": { \"tcp\": \"\(taken.address)\" },")
    _ = consume taken
    exit(0)
  }
  let lines = try result.standardErrorContent.split(separator: 0x0A).map { try JSONReader.parse(Array($0)) }
  let failures = lines.compactMap { line in line["status"]?.string.map { "\($0) \(line["text"]?.string ?? "")" } }
  #expect(
    failures.dropLast() == [
      "78 there is no store at /store.db", "78 there is no key at /master.key",
      "77 the key /master.key is not private: its mode is 0644",
      "65 /store.db is not a Chatelaine store: it is no SQLite database",
      "69 cannot listen on /admin.sock: File exists",
    ])
  #expect(failures.last?.hasSuffix("the address is in use by another process") == true)
}
