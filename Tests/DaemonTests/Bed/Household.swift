import Crypto
import Testing

@testable import Daemon
@testable import Net
@testable import Vault

/// A configuration's file with the one route `r`, the store that it names, and an upstream.
final class Home: Sendable {
  let directory = Directory()
  let upstream: Upstream
  private let connectors = Directory()
  private let connector: String
  private let isOwn: Bool

  /// - Parameters:
  ///   - connector: a built-in one's name, or that of `file`'s.
  ///   - file: a connector's own file.
  init(_ upstream: Upstream, connector: String, file: String? = nil, route: String = "", top: String = "") {
    self.upstream = upstream
    self.connector = connector
    isOwn = file != nil
    if let file { rewrite(file: file) }
    rewrite(route: route, top: top)
  }

  var path: String { directory.path + "/c.jsonc" }

  /// - Parameter timeouts: milliseconds; what is asked of a token endpoint goes by them, too.
  func rewrite(timeouts: Int = 10_000, route: String = "", top: String = "") {
    let top = isOwn ? #""connectors": ["\#(connectors.path)"], \#(top)"# : top
    directory.write(
      "c.jsonc",
      Bed.configuration(
        store: directory.path, port: upstream.port, connector: connector, timeouts: timeouts, route: route, top: top))
  }

  /// Writes the connector's own file anew.
  func rewrite(file: String) { connectors.write("connector.jsonc", file) }

  /// A new store with what connectors here ask for.
  func makeVault() throws -> Vault {
    let key = MasterKey.generate()
    try Vault.create(path: directory.path + "/store.db", key: key, now: 1)
    let vault = try Vault(path: directory.path + "/store.db", key: key)
    for (name, value) in [("token", "stored"), ("client_id", "the-client_id"), ("client_secret", "the-client_secret")] {
      try vault.set(name, value)
    }
    return vault
  }
}

extension Vault {
  func set(_ name: String, _ value: String) throws {
    let bytes = Array(value.utf8)
    _ = try setSecret("r/\(name)", Secret(copying: bytes.span), now: 1)
  }

  /// While it is so, it takes nothing: as a disk that is full.
  func setReadOnly(_ isReadOnly: Bool) throws {
    try database.run("PRAGMA query_only = \(isReadOnly ? "ON" : "OFF")")
  }
}

/// Loops, a keeper and a store, with a route `r` whose upstream is its token endpoint as well.
final class Household: Sendable {
  let home: Home
  let bed: Bed
  let keeper: Keeper

  var upstream: Upstream { bed.upstream }

  /// - Parameter script: what the upstream does about a request, the token endpoint's among them.
  init(
    connector: String = "bearer", file: String? = nil, route: String = "", top: String = "",
    _ script: @escaping @Sendable (Upstream.Request) -> [Upstream.Step]
  ) throws {
    let upstream = try Upstream(script)
    home = Home(upstream, connector: connector, file: file, route: route, top: top)
    let vault = try home.makeVault()
    let setup = try Setup.read(home.path)
    let deployment = try Keeper.deployment(of: setup, from: vault)
    bed = try Bed(deployment, upstream)
    keeper = Keeper(
      vault, setup: setup, deployment: deployment, crew: bed.crew, executor: try ThreadExecutor("keeper"))
    bed.crew.open(keeper, [])
    keeper.begin()
  }

  /// Asks as the admin socket does.
  func ask(_ method: String, _ path: String, _ body: String = "") async -> (status: Int, text: String) {
    let bytes = Array(body.utf8)
    let secret = Secret(copying: bytes.span)
    let answer = await withCheckedContinuation { continuation in
      keeper.answer(method, path, secret) { continuation.resume(returning: $0) }
    }
    return (answer.status, String(decoding: answer.body, as: UTF8.self))
  }
}

/// A FastMoss answer with a token that lives for two hours.
func granted(_ token: String) -> String {
  let now = Clock.wallMilliseconds() / 1000
  return json(
    """
    {"code":0,"msg":"","data":{"access_token":"\(token)","expire_at":\(now + 7200),"refresh_token":"refresh-\(token)",\
    "refresh_expire_at":\(now + 86400)}}
    """)
}

func json(_ body: String, status: String = "200 OK") -> String {
  "HTTP/1.1 \(status)\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
}
