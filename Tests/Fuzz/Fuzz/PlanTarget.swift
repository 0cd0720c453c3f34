import Broker
import Bytes
import Connector
import Crypto
import HTTP

/// The input is a request's head: what is decided of it, and what an upstream would get.
func fuzzPlan(_ data: [UInt8]) {
  guard case .head(let head) = read(request: data, cuts: [data.count], .request) else { return }
  switch Sample.snapshot.plan(head, data.span, door: .everyone(port: 7220), caller: .own) {
  case .answer: return
  case .refuse(let problem): check(problem)
  case .forward(let plan): check(plan, head, data)
  }
}

/// An answer of ours is a response like any other.
private func check(_ problem: Problem) {
  var out = Buffer()
  problem.append(id: RequestID(high: 1, low: 2), now: 1_767_225_600, closes: false, to: &out)
  var reader = ResponseReader()
  let isComplete = try? reader.read(out.span, requestMethodIsHEAD: false)
  require(isComplete == true && reader.head.status == problem.status, "\(problem)")
  require(reader.head.framing == .length(UInt64(out.count - reader.head.byteCount)), "the length of \(problem)")
}

/// What goes upstream is one request with the same meaning, at the route's place, and with nothing that only we may say.
private func check(_ plan: Plan, _ head: RequestHead, _ bytes: [UInt8]) {
  let received = Request(head, bytes)
  guard let written = written(plan, head, bytes) else { return }
  guard case .head(let again) = read(request: written, cuts: [written.count], .wide),
    let plain = PlainRequest(written, .wide)
  else { fatalError("broken: what was written of \(shown(bytes)) does not read: \(shown(written))") }
  let sent = Request(again, written)
  require(sent == Request(plain) && again.byteCount == written.count, "a second reading of \(shown(written))")
  require(sent.method == received.method && again.form == .origin, "the request line of \(shown(written))")
  let expectsLength = head.method.expectsBody && head.framing == .none
  require(sent.framing == (expectsLength ? .length(0) : head.framing), "the framing of \(shown(written))")
  require(sent.host == plan.route.authority, "the Host of \(shown(written))")
  let upstream = plan.route.upstream
  let path = Array(upstream.basePath.utf8) + bytes[plan.path]
  require(sent.path == (path.isEmpty ? [0x2F] : path), "the path of \(shown(written))")
  require(received.path.suffix(plan.path.count) == bytes[plan.path], "the path of \(shown(written))")
  if plan.route.name != "q" { require(sent.query == received.query, "the query of \(shown(written))") }
  checkFields(sent, received, plan, written)
}

private func checkFields(_ sent: Request, _ received: Request, _ plan: Plan, _ written: [UInt8]) {
  let set: Set<String> =
    switch plan.route.name {
    case "p": ["authorization"]
    case "c": ["x-tenant", "x-api-key", "x-timestamp", "x-signature"]
    default: []
    }
  let ours = set.union(["host", "content-length", "transfer-encoding"])
  let stripped: Set = [
    "connection", "te", "trailer", "keep-alive", "upgrade", "http2-settings", "expect", "cookie", "forwarded", "via",
    "authorization", "x-http-method-override", "x-original-url", "x-real-ip",
  ]
  let nominated = Set(
    received.fields.filter { Plain.lowered($0.name) == "connection" }
      .flatMap { Plain.lowered($0.value).split(separator: ",").map { $0.filter { $0 != " " && $0 != "\t" } } })
  for field in sent.fields {
    let name = Plain.lowered(field.name)
    if ours.contains(name) {
      require(sent.fields.filter { Plain.lowered($0.name) == name }.count == 1, "\(name) twice in \(shown(written))")
      continue
    }
    if plan.upgradesToWebSocket, name == "connection" || name == "upgrade" { continue }
    require(!nominated.contains(name), "Connection names \(name) in \(shown(received.method)) \(shown(written))")
    require(received.fields.contains(field), "\(name) in \(shown(written)) is nobody's")
    let meant = String(name.map { $0 == "_" ? "-" : $0 })
    require(!stripped.contains(meant) && !ours.contains(meant), "\(name) in \(shown(written))")
    require(
      !["proxy-", "x-chatelaine-", "x-forwarded-"].contains { meant.hasPrefix($0) && meant != $0 },
      "\(name) in \(shown(written))")
  }
  for name in set {
    require(sent.fields.contains { Plain.lowered($0.name) == name }, "\(name) is not in \(shown(written))")
  }
}

private func written(_ plan: Plan, _ head: RequestHead, _ bytes: [UInt8]) -> [UInt8]? {
  let route = plan.route
  guard
    let signer = try? Signer(
      connector: route.connector, secrets: route.secrets, options: route.options, route: route.name)
  else { fatalError("no signer for \(route.name)") }
  var block = Buffer()
  var patch = Patch()
  var values: [Range<Int>?] = []
  let target = plan.appendTarget(bytes.span, to: &block)
  plan.findReadHeaders(head, bytes.span, into: &values)
  let host = route.authority
  let request = ConnectorRequest(
    block: block.span, method: target.method, path: target.path, query: target.query, fields: bytes.span,
    headers: values, host: host.span, body: Span(), subject: Span())
  do {
    try signer.evaluate(request, time: RequestTime(seconds: 1_767_225_600), entropy: RequestEntropy(), into: &patch)
  } catch {
    return nil
  }
  var out = Buffer()
  plan.appendRequest(head, bytes.span, patch: patch, framing: plan.framing, to: &out)
  return Array(out.span)
}
