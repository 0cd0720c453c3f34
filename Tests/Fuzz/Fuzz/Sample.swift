import Broker
import Bytes
import Connector
import Crypto
import HTTP

/// Routes of each kind, for what has to be decided and written.
enum Sample {
  static let snapshot = Snapshot(routes: [
    route("p", 0, "bearer", basePath: ""),
    route("c", 1, "codegate", basePath: "/base/v1") {
      $0.headers = [.init(name: "X-Tenant", value: .literal(Array("t1".utf8)))]
      $0.hosts = [.init(name: "alias.test", port: nil)]
      $0.allowsEmptySegments = true
    },
    route("q", 2, "query", basePath: "/q", options: ["name": "key"]) { $0.upgradesToWebSocket = true },
  ])

  /// One plan for each way to address a route.
  static let plans: [Plan] = [
    "GET /p/x HTTP/1.1\r\nHost: localhost:7220\r\n\r\n", "GET /c/x HTTP/1.1\r\nHost: localhost:7220\r\n\r\n",
    "GET /x HTTP/1.1\r\nHost: c.localhost:7220\r\n\r\n", "GET /x HTTP/1.0\r\nHost: p.localhost:7220\r\n\r\n",
    "GET http://p.example.com/x HTTP/1.1\r\nHost: a\r\n\r\n",
  ].compactMap { text in
    let bytes = Array(text.utf8)
    guard case .head(let head) = read(request: bytes, cuts: [bytes.count], .request) else { return nil }
    guard case .forward(let plan) = snapshot.plan(head, bytes.span, door: .everyone(port: 7220), caller: .own) else {
      fatalError("no plan for \(text)")
    }
    return plan
  }

  /// Stands for every secret.
  static let canary = "S3cretCanary"

  /// A key on P-256, and a line of it.
  static let key = Secret(
    copying: Array(
      """
      -----BEGIN PRIVATE KEY-----
      MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgR4xf/l7Al8EYZvOy
      \(keyCanary)
      PtZIUTsemt76mtJ5c/BwfJZOnv4uGiOVZKrdJiUlbJDiNhLo1Ywl5gGe
      -----END PRIVATE KEY-----
      """.utf8
    ).span)
  static let keyCanary = "4tQXZSqtNoTpDNXz8kllGj90mhGhRANCAAQquor/07hLU/CF8xXpI1NBbyXxw+Xm"

  static let catalog = Catalog()

  private static func route(
    _ name: String, _ index: Int, _ connector: String, basePath: String, options: [String: String] = [:],
    _ change: (inout Route.Settings) -> Void = { _ in }
  ) -> Route {
    guard let connector = catalog[connector] else { fatalError("no connector \(connector)") }
    var settings = Route.Settings()
    change(&settings)
    let secret = Array(canary.utf8)
    let secrets = Dictionary(uniqueKeysWithValues: connector.secrets.map { ($0.name, Secret(copying: secret.span)) })
    let host = "\(name).example.com"
    guard
      let route = try? Route(
        name: name, index: index,
        upstream: .init(isTLS: true, host: host, port: 443, authority: host, basePath: basePath), connector: connector,
        secrets: secrets, options: options, settings)
    else { fatalError("no route \(name)") }
    return route
  }
}
