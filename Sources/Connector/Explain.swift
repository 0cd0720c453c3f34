import Bytes
import Crypto

/// One step of what a connector does to a request, secrets masked.
public struct ExplainStep: Sendable, Equatable {
  public enum Part: String, Sendable {
    case value, json, form, query, header

    var described: String {
      switch self {
      case .value: "value"
      case .json: "body's member"
      case .form: "form field"
      case .query: "query parameter"
      case .header: "header"
      }
    }
  }

  public let part: Part
  public let name: String
  /// Text, line feeds included; other bytes as `hex:…`. nil when it is absent.
  public internal(set) var shown: String?
}

/// A request explained, as far as it got.
public struct Explanation: Sendable, Equatable {
  /// In the order of evaluation.
  public var steps: [ExplainStep]
  /// Why the request could not be signed.
  public var error: EvaluationError?
}

extension Signer {
  /// Evaluates a request and shows each step. Secrets are `•••`; what a secret can be read back from (an encoding of it,
  /// a digest of secrets and constants, the key of a MAC) is `•••` as a whole; digests, MACs and signatures of a request are
  /// shown.
  /// Sends and keeps nothing. Without a token that it needs, each step that needs it says so.
  public func explain(
    _ request: borrowing ConnectorRequest, token: Token? = nil, time: RequestTime, entropy: RequestEntropy
  ) -> Explanation {
    let isTokenless = connector.needsToken && token == nil
    var patch = Patch()
    trace = []
    var failure: EvaluationError?
    do {
      let used = isTokenless ? Signer.noToken(connector.tokenFields) : token
      try evaluate(request, token: used, time: time, entropy: entropy, into: &patch)
    } catch {
      failure = error
    }
    if isTokenless, case .missing = failure { failure = .noToken }
    var steps = trace ?? []
    trace = nil
    // The back-stop: a secret wherever it came from (the caller may have sent it, too).
    let hidden = secrets.compactMap { $0 } + (token?.fields.compactMap { $0 } ?? [])
    for index in steps.indices { steps[index].shown = steps[index].shown.map { Disguise.hide(hidden, in: $0) } }
    patch.forget()
    return Explanation(steps: steps, error: failure)
  }

  static let noGeneration: Int64 = -1

  /// Stands in so that the steps that need no token can be shown.
  private static func noToken(_ names: [String]) -> Token {
    Token(
      generation: noGeneration, names: names, fields: names.map { _ in Secret(copying: Span()) }, obtainedAt: 0,
      expiresAt: nil, refreshExpiresAt: nil)
  }

  /// Notes a step. It must stand where the value has just been made: the query and body may change after.
  /// - Parameter made: the node's value, where it is kept: what a signature is in is shown as it will be used.
  func explain(
    _ part: ExplainStep.Part, _ name: String, _ node: Int, made: Value? = nil,
    _ request: borrowing ConnectorRequest, _ patch: inout Patch
  ) {
    let start = patch.arena.count
    let reason = patch.state.missing
    let isUnknown = token?.generation == Signer.noGeneration && program.nodes[node].traits.contains(.token)
    let shown = isUnknown ? EvaluationError.noToken.message : show(node, made: made, request, &patch)
    patch.arena.truncate(to: start)
    patch.state.missing = reason
    trace?.append(ExplainStep(part: part, name: name, shown: shown))
  }

  /// - Returns: nil when the node is absent.
  private func show(
    _ index: Int, made: Value? = nil, _ request: borrowing ConnectorRequest, _ patch: inout Patch
  ) -> String? {
    let node = program.nodes[index]
    guard node.traits.contains(.secret) else {
      return plain(made ?? value(of: index, request, &patch), request, &patch)
    }
    // Whether it is there at all is no secret.
    let start = patch.arena.count
    let isThere = emit(index, request, &patch)
    patch.arena.truncate(to: start)
    guard isThere else { return nil }
    let children = Array(program.children(of: index))
    switch node.operation {
    case .concat: return children.map { show($0, request, &patch) ?? "" }.joined()
    case .join:
      let separator = show(children[0], request, &patch) ?? ""
      let items = children.dropFirst().map { child in
        let item = program.nodes[child]
        return item.type == .pairs && !item.traits.contains(.secret)
          ? pairs(child, separator, request, &patch) : show(child, request, &patch)
      }
      return items.compactMap { $0 }.joined(separator: separator)
    case .or: return show(children[0], request, &patch) ?? show(children[1], request, &patch)
    case .when: return show(children[2], request, &patch)
    case .value:
      let name = values[node.index].name
      return trace?.first { $0.part == .value && $0.name == name }?.shown ?? "•••"
    default: return "•••"
    }
  }

  private func pairs(
    _ index: Int, _ separator: String, _ request: borrowing ConnectorRequest, _ patch: inout Patch
  ) -> String? {
    guard case .pairs(let row) = value(of: index, request, &patch), !row.isEmpty else { return nil }
    let items = row.map { pair in
      Signer.text(patch.arena.span.extracting(patch.pairs[pair].name)) + "="
        + Signer.text(patch.arena.span.extracting(patch.pairs[pair].value))
    }
    return items.joined(separator: separator)
  }

  /// Of a node that no secret is in.
  private func plain(_ value: Value, _ request: borrowing ConnectorRequest, _ patch: inout Patch) -> String? {
    switch value {
    case .absent: return nil
    case .number(let number): return String(number)
    case .bytes(let slice): return Signer.text(span(of: slice, request, patch.arena))
    case .pairs(let row):
      patch.scratch.clear()
      patch.encode(row, asForm: true)
      return Signer.text(patch.scratch.span)
    }
  }

  /// Bytes as a person can read them, cut where nobody would read on.
  private static func text(_ bytes: Span<UInt8>) -> String {
    let limit = 4096
    let shown = bytes.extracting(first: limit)
    let more = bytes.count > limit ? "… (\(bytes.count) bytes)" : ""
    let text = String(shown)
    let isText = text.unicodeScalars.allSatisfy { scalar in
      scalar.value >= 0x20 && !(0x7F...0x9F ~= scalar.value) && scalar != "\u{FFFD}" || scalar == "\n" || scalar == "\t"
    }
    if isText || shown.isEmpty { return text + more }
    var hex = Buffer()
    hex.appendHex(shown)
    return "hex:" + String(hex.span) + more
  }
}
