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
  /// a digest of secrets and constants, the key of a MAC) is `•••` as a whole; digests and MACs of a request are shown.
  /// Sends and keeps nothing.
  public func explain(
    _ request: borrowing ConnectorRequest, time: RequestTime, entropy: RequestEntropy
  ) -> Explanation {
    var patch = Patch()
    trace = []
    var failure: EvaluationError?
    do {
      try evaluate(request, time: time, entropy: entropy, into: &patch)
    } catch {
      failure = error
    }
    var steps = trace ?? []
    trace = nil
    for secret in secrets { Signer.mask(secret, in: &steps) }
    patch.forget()
    return Explanation(steps: steps, error: failure)
  }

  /// Notes a step. It must stand where the value has just been made: the query and body may change after.
  func explain(
    _ part: ExplainStep.Part, _ name: String, _ node: Int, _ request: borrowing ConnectorRequest,
    _ patch: inout Patch
  ) {
    let start = patch.arena.count
    let reason = patch.state.missing
    let shown = show(node, request, &patch)
    patch.arena.truncate(to: start)
    patch.state.missing = reason
    trace?.append(ExplainStep(part: part, name: name, shown: shown))
  }

  /// - Returns: nil when the node is absent.
  private func show(_ index: Int, _ request: borrowing ConnectorRequest, _ patch: inout Patch) -> String? {
    let node = program.nodes[index]
    guard node.traits.contains(.secret) else { return plain(index, request, &patch) }
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
  private func plain(_ index: Int, _ request: borrowing ConnectorRequest, _ patch: inout Patch) -> String? {
    switch value(of: index, request, &patch) {
    case .absent: return nil
    case .number(let number): return String(number)
    case .bytes(let slice): return Signer.text(span(of: slice, request, patch.arena))
    case .pairs(let row):
      patch.scratch.clear()
      patch.encode(row, asForm: true)
      return Signer.text(patch.scratch.span)
    }
  }

  /// The back-stop: a secret in its own bytes or a usual encoding, wherever it came from (the caller may have sent it, too).
  private static func mask(_ secret: Secret, in steps: inout [ExplainStep]) {
    guard secret.count >= 4 else { return }
    var needle = Buffer()
    for encode in [
      { (bytes: Span<UInt8>, buffer: inout Buffer) in buffer.append(bytes) },
      { (bytes: Span<UInt8>, buffer: inout Buffer) in buffer.appendPercentEncoded(bytes, keeping: .unreserved) },
      { (bytes: Span<UInt8>, buffer: inout Buffer) in
        buffer.appendPercentEncoded(bytes, keeping: .unreserved, plusForSpace: true)
      },
      { (bytes: Span<UInt8>, buffer: inout Buffer) in buffer.appendBase64(bytes) },
      { (bytes: Span<UInt8>, buffer: inout Buffer) in buffer.appendBase64URL(bytes) },
    ] {
      needle.clear()
      encode(secret.span, &needle)
      for index in steps.indices {
        guard let shown = steps[index].shown else { continue }
        steps[index].shown = replace(needle.span, in: shown)
      }
    }
    needle.wipe()
  }

  private static func replace(_ needle: Span<UInt8>, in text: String) -> String {
    let bytes = Array(text.utf8)
    var result: [UInt8] = []
    var offset = 0
    while offset < bytes.count {
      if bytes.count - offset >= needle.count, bytes.span.extracting(offset..<offset + needle.count).equals(needle) {
        result += Array("•••".utf8)
        offset += needle.count
      } else {
        result.append(bytes[offset])
        offset += 1
      }
    }
    return String(decoding: result, as: UTF8.self)
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
