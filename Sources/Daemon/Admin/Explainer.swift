import Broker
import Bytes
import Config
import Connector
import Crypto
import Glibc
import HTTP
import JSON
import Net
import Vault

/// Works out what would be sent for a request, and tells each step with secrets masked. Sends nothing.
///
/// The request goes the way that a real one goes: the same reader, planner and signer.
struct Explainer {
  private let setup: Setup
  private let vault: Vault

  init(_ setup: Setup, _ vault: Vault) {
    self.setup = setup
    self.vault = vault
  }

  /// - Parameter bytes: an HTTP/1.1 request, `GET /<route>/<path> HTTP/1.1` and on, with its body.
  /// - Returns: JSON: `{"route", "connector", "method", "url", "now", "steps": [{"part", "name", "shown"}], "headers":
  ///   [{"name", "shown"}], "error"?}`.
  func explain(_ bytes: Span<UInt8>) throws(CommandError) -> [UInt8] {
    let head = try read(bytes)
    let (plan, route, token) = try plan(head, bytes)
    let signer: Signer
    do throws(SignerError) {
      let planned = plan.route
      signer = try Signer(
        connector: planned.connector, secrets: planned.secrets, options: planned.options, route: planned.name)
    } catch {
      throw CommandError(CommandError.Status.configuration, error.message)
    }
    var block = Buffer()
    let target = plan.appendTarget(bytes, to: &block)
    var readHeaders: [Range<Int>?] = []
    plan.findReadHeaders(head, bytes, into: &readHeaders)
    let body = bytes.extracting(head.byteCount...)
    let now = Clock.wallMilliseconds()
    let explanation = Explainer.explain(
      signer, token, block, target, host: plan.route.authority, bytes, readHeaders,
      body: plan.route.connector.readsBody ? body : body.extracting(first: 0), now)
    return write(
      explanation, route, plan.route.upstream, String(bytes.extracting(plan.methodName)), path(block, target),
      now / 1000)
  }

  private func read(_ bytes: Span<UInt8>) throws(CommandError) -> RequestHead {
    var reader = RequestReader(HTTPLimits(setup.configuration.limits))
    do throws(HTTPError) {
      guard try reader.read(bytes) else { throw .notHTTP }
      return reader.head
    } catch {
      throw CommandError(CommandError.Status.usage, "that is no request: \(error.reason)")
    }
  }

  private func plan(_ head: RequestHead, _ bytes: Span<UInt8>) throws(CommandError) -> (
    Plan, RouteConfiguration, Token?
  ) {
    let path = String(bytes.extracting(head.path))
    let name = path.dropFirst().prefix { $0 != "/" }
    let routes = setup.configuration.routes
    guard let route = routes.first(where: { $0.name.utf8.elementsEqual(name.utf8) }) else {
      let meant = closest(to: String(name), among: routes.map(\.name)).map { "did you mean \"\($0)\"?" }
      let known = routes.isEmpty ? "the configuration has no route" : routes.map(\.name).joined(separator: ", ")
      throw CommandError(CommandError.Status.configuration, "there is no route \"\(name)\"", hint: meant ?? known)
    }
    let deployment: Deployment
    do throws(DeploymentError) {
      deployment = try Keeper.deployment(of: setup, from: vault)
    } catch {
      throw CommandError(CommandError.Status.configuration, error.message)
    }
    switch deployment.snapshot.plan(head, bytes, door: .everyone(port: nil), caller: .own) {
    case .forward(let plan): return (plan, route, try token(of: plan.route, deployment))
    case .answer: throw CommandError(CommandError.Status.usage, "the daemon answers that itself")
    case .refuse(let problem):
      let missing = plan(missing: deployment, route)
      let status = missing.isEmpty ? CommandError.Status.usage : CommandError.Status.configuration
      throw CommandError(
        status, "\(problem.code.rawValue): \(problem.detail)",
        // All that is missing at once; a key is not typed in but made.
        hint: missing.count <= 1 ? problem.hint : missing.map { "chatelaine secret set \($0)" }.joined(separator: "\n"))
    }
  }

  /// The one in the store: shown masked, it makes the steps that need it look as they will.
  private func token(of route: Route, _ deployment: Deployment) throws(CommandError) -> Token? {
    guard let office = TokenOffice(route, deployment.tls[route.index]) else { return nil }
    return try CommandError.wrap { () throws(VaultError) in try office.stored(in: vault, for: TokenKey.standard) }
  }

  private func plan(missing deployment: Deployment, _ route: RouteConfiguration) -> [String] {
    deployment.snapshot.route(named: route.name)?.missingSecrets ?? []
  }

  private static func explain(
    _ signer: Signer, _ token: Token?, _ block: borrowing Buffer, _ target: OutgoingTarget, host: [UInt8],
    _ fields: Span<UInt8>,
    _ headers: [Range<Int>?], body: Span<UInt8>, _ now: Int64
  ) -> Explanation {
    let subject = Array("default".utf8)
    let request = ConnectorRequest(
      block: block.span, method: target.method, path: target.path, query: target.query, fields: fields,
      headers: headers, host: host.span, body: body, subject: subject.span)
    return signer.explain(
      request, token: token, time: RequestTime(seconds: now / 1000, milliseconds: Int(now % 1000)),
      entropy: RequestEntropy(nonce: Worker.random(), uuid: Worker.random()))
  }

  private func path(_ block: borrowing Buffer, _ target: OutgoingTarget) -> String {
    let path = String(block.span.extracting(target.path))
    return path + (target.query.map { "?" + String(block.span.extracting($0)) } ?? "")
  }

  private func write(
    _ explanation: Explanation, _ route: RouteConfiguration, _ upstream: Route.Upstream, _ method: String,
    _ path: String, _ now: Int64
  ) -> [UInt8] {
    var text = Buffer()
    text.appendObjectStart()
    text.appendMember("route", route.name)
    text.appendMember("connector", route.connector)
    text.appendMember("method", method)
    text.appendMember("url", "\(upstream.isTLS ? "https" : "http")://\(upstream.authority)\(path)")
    text.appendMember("now", now)
    text.appendKey("steps")
    text.appendArrayStart()
    for step in explanation.steps {
      text.appendObjectStart()
      text.appendMember("part", step.part.rawValue)
      text.appendMember("name", step.name)
      text.appendKey("shown")
      if let shown = step.shown { text.appendJSON(shown) } else { text.appendJSONNull() }
      text.appendObjectEnd()
    }
    text.appendArrayEnd()
    text.appendKey("headers")
    text.appendArrayStart()
    for header in route.headers {
      text.appendObjectStart()
      text.appendMember("name", header.name)
      if case .literal(let value) = header.value {
        text.appendMember("shown", value)
      } else {
        text.appendMember("shown", "•••")
      }
      text.appendObjectEnd()
    }
    text.appendArrayEnd()
    if let error = explanation.error { text.appendMember("error", error.message) }
    text.appendObjectEnd()
    return Array(text.span)
  }
}
