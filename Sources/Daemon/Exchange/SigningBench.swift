import Broker
import Bytes
import Connector
import HTTP

/// Where requests are signed: memory that one loop uses for all of its exchanges, one after another.
struct SigningBench: ~Copyable {
  private var patch = Patch()
  private var target = Buffer()
  private var readHeaders: [Range<Int>?] = []

  /// Signs a request and appends its head as it goes upstream: what is signed is what is sent (SECURITY.md T3.6).
  /// - Parameters:
  ///   - body: gathered, or empty while it streams.
  ///   - replacement: becomes the connector's body, if it makes one.
  /// - Returns: whether the replacement is to be sent.
  mutating func write(
    _ plan: borrowing Plan, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, signer: Signer,
    token: Token?, body: borrowing Buffer,
    replacement: inout Buffer, time: RequestTime, into output: inout Buffer
  ) throws(EvaluationError) -> Bool {
    defer { patch.forget() }
    try sign(plan, head, bytes, signer, token, body, time)
    replacement.clear()
    if let changed = patch.body { replacement.append(patch.bytes.extracting(changed)) }
    let count = patch.body?.count ?? body.count
    var framing = plan.framing
    if plan.route.connector.readsBody, framing != .none || count > 0 { framing = .length(UInt64(count)) }
    plan.appendRequest(head, bytes, patch: patch, framing: framing, to: &output)
    return patch.body != nil
  }

  private mutating func sign(
    _ plan: borrowing Plan, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ signer: Signer,
    _ token: Token?,
    _ body: borrowing Buffer,
    _ time: RequestTime
  ) throws(EvaluationError) {
    target.clear()
    let place = plan.appendTarget(bytes, to: &target)
    plan.findReadHeaders(head, bytes, into: &readHeaders)
    var entropy = RequestEntropy()
    if signer.connector.readsEntropy { entropy = RequestEntropy(nonce: Worker.random(), uuid: Worker.random()) }
    try SigningBench.evaluate(
      signer, token, target, place, host: plan.route.authority, bytes, readHeaders, body, time, entropy,
      subject: signer.connector.readsSubject ? head.first(.chatelaineSubject)?.value : nil, into: &patch)
  }

  private static let standardSubject = Array(TokenKey.standard.utf8)

  private static func evaluate(
    _ signer: Signer, _ token: Token?, _ target: borrowing Buffer, _ place: OutgoingTarget, host: [UInt8],
    _ fields: Span<UInt8>,
    _ headers: [Range<Int>?], _ body: borrowing Buffer, _ time: RequestTime, _ entropy: RequestEntropy,
    subject: Range<Int>?, into patch: inout Patch
  ) throws(EvaluationError) {
    let standard = standardSubject
    let names = subject == nil ? standard.span : fields
    let request = ConnectorRequest(
      block: target.span, method: place.method, path: place.path, query: place.query, fields: fields, headers: headers,
      host: host.span, body: body.span, subject: names.extracting(subject ?? 0..<standard.count))
    try signer.evaluate(request, token: token, time: time, entropy: entropy, into: &patch)
  }
}
