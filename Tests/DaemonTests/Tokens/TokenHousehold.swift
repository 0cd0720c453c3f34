import Crypto
import Testing
import Vault

@testable import Daemon
@testable import Net

/// Loops, a keeper and a store, with a route `r` whose tokens come from its upstream.
final class TokenHousehold: Sendable {
  let upstream: Upstream
  let bed: Bed
  let keeper: Keeper
  private let directory = Directory()
  private let connectors = Directory()

  /// - Parameters:
  ///   - connector: `fastmoss`, or the name of `file`'s.
  ///   - file: a connector's own file.
  ///   - script: what the upstream does about a request, the token endpoint's among them.
  init(
    connector: String = "fastmoss", file: String? = nil, route: String = "",
    _ script: @escaping @Sendable (Upstream.Request) -> [Upstream.Step]
  ) throws {
    upstream = try Upstream(script)
    var top = ""
    if let file {
      connectors.write("connector.jsonc", file)
      top = #""connectors": ["\#(connectors.path)"],"#
    }
    let text = Bed.configuration(
      store: directory.path, port: upstream.port, connector: connector, route: route, top: top)
    let path = directory.write("c.jsonc", text)
    let key = MasterKey.generate()
    try Vault.create(path: directory.path + "/store.db", key: key, now: 1)
    let vault = try Vault(path: directory.path + "/store.db", key: key)
    for name in ["client_id", "client_secret"] {
      let value = Array("the-\(name)".utf8)
      _ = try vault.setSecret("r/\(name)", Secret(copying: value.span), now: 1)
    }
    let setup = try Setup.read(path)
    let deployment = try Keeper.deployment(of: setup, from: vault)
    bed = try Bed(deployment, upstream)
    keeper = Keeper(
      vault, setup: setup, deployment: deployment, crew: bed.crew, executor: try ThreadExecutor("keeper"))
    bed.crew.open(keeper, [])
    keeper.begin()
  }

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
