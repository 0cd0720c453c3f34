import Broker
import Bytes
import Connector
import Crypto
import HTTP
import Testing

/// Routes and requests that the tests share.
enum Example {
  static func route(
    _ name: String, index: Int = 0, connector: String = "bearer", options: [String: String] = [:],
    host: String = "api.example.com", port: UInt16 = 443, basePath: String = "",
    _ change: (inout Route.Settings) -> Void = { _ in }
  ) throws -> Route {
    let connector = try #require(Catalog()[connector])
    var settings = Route.Settings()
    change(&settings)
    let secrets = connector.secrets.map { ($0.name, secret("s3cret")) }
    return try Route(
      name: name, index: index,
      upstream: .init(
        isTLS: port != 80, host: host, port: port, authority: port == 443 || port == 80 ? host : "\(host):\(port)",
        basePath: basePath),
      connector: connector, secrets: Dictionary(secrets) { first, _ in first }, options: options, settings)
  }

  static func secret(_ text: String) -> Secret {
    let bytes = Array(text.utf8)
    return Secret(copying: bytes.span)
  }

  /// What becomes of a request.
  static func decide(
    _ request: String, _ snapshot: Snapshot, door: Door = .everyone(port: 7220), caller: Caller = .own
  ) throws -> Decision {
    let bytes = Array(request.utf8)
    var reader = RequestReader()
    try #require(try reader.read(bytes.span))
    return snapshot.plan(reader.head, bytes.span, door: door, caller: caller)
  }

  /// Why a request is refused; nil when it is not.
  static func problem(
    _ request: String, _ snapshot: Snapshot, door: Door = .everyone(port: 7220), caller: Caller = .own
  ) throws -> Problem? {
    guard case .refuse(let problem) = try decide(request, snapshot, door: door, caller: caller) else { return nil }
    return problem
  }

  /// What we answer ourselves; nil when it is something else.
  static func endpoint(
    _ request: String, _ snapshot: Snapshot, door: Door = .everyone(port: 7220), caller: Caller = .own
  ) throws -> Endpoint? {
    guard case .answer(let endpoint) = try decide(request, snapshot, door: door, caller: caller) else { return nil }
    return endpoint
  }

  /// The plan of a request that is forwarded from the listener for all.
  static func plan(_ request: String, _ snapshot: Snapshot) throws -> Plan? {
    guard case .forward(let plan) = try decide(request, snapshot) else { return nil }
    return plan
  }

  /// The whole answer that a problem is.
  static func text(_ problem: Problem, closes: Bool = false, withBody: Bool = true) -> String {
    var out = Buffer()
    problem.append(id: RequestID(high: 1, low: 2), now: 1_767_225_600, closes: closes, withBody: withBody, to: &out)
    return String(out.span)
  }

  /// A request of these lines, with CR LF behind each and an empty one at the end.
  static func request(_ lines: String...) -> String { lines.map { $0 + "\r\n" }.joined() + "\r\n" }

  /// `GET` of a target with this Host.
  static func get(_ target: String, host: String = "localhost:7220") -> String {
    request("GET \(target) HTTP/1.1", "Host: \(host)")
  }

  /// Where a request goes: `route path?query`, the path with the route's base; nil when it goes nowhere.
  static func destination(_ request: String, _ snapshot: Snapshot, door: Door = .everyone(port: 7220)) throws -> String?
  {
    let bytes = Array(request.utf8)
    guard case .forward(let plan) = try decide(request, snapshot, door: door) else { return nil }
    var block = Buffer()
    let target = plan.appendTarget(bytes.span, to: &block)
    let query = target.query.map { "?" + String(block.span.extracting($0)) } ?? ""
    return "\(plan.route.name) \(String(block.span.extracting(target.path)))\(query)"
  }

  /// The head that goes upstream; nil when the request is not forwarded.
  static func forwarded(_ request: String, _ snapshot: Snapshot, door: Door = .everyone(port: 7220)) throws -> String? {
    let bytes = Array(request.utf8)
    var reader = RequestReader()
    try #require(try reader.read(bytes.span))
    guard case .forward(let plan) = snapshot.plan(reader.head, bytes.span, door: door, caller: .own) else { return nil }
    let signer = try Signer(
      connector: plan.route.connector, secrets: plan.route.secrets, options: plan.route.options, route: plan.route.name)
    var block = Buffer()
    var patch = Patch()
    var values: [Range<Int>?] = []
    let target = plan.appendTarget(bytes.span, to: &block)
    plan.findReadHeaders(reader.head, bytes.span, into: &values)
    let nothing: [UInt8] = []
    let host = Array(plan.route.upstream.authority.utf8)
    let request = ConnectorRequest(
      block: block.span, method: target.method, path: target.path, query: target.query, fields: bytes.span,
      headers: values, host: host.span, body: nothing.span, subject: nothing.span)
    try signer.evaluate(request, time: RequestTime(seconds: 1_767_225_600), entropy: RequestEntropy(), into: &patch)
    var out = Buffer()
    plan.appendRequest(reader.head, bytes.span, patch: patch, framing: plan.framing, to: &out)
    return String(out.span)
  }
}
