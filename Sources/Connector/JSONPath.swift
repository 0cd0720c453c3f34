import Bytes
import JSON

/// Where a field lies in a JSON text: `data.items.0.id`.
struct JSONPath: Sendable {
  let written: String
  private let steps: [String]

  init(steps: [String]) {
    written = steps.joined(separator: ".")
    self.steps = steps
  }

  /// - Returns: nil when a step is empty.
  init?(_ written: String) {
    self.written = written
    steps = written.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    if steps.contains("") { return nil }
  }

  /// - Returns: nil when there is no such field, or null in its place.
  func value(in root: JSONValue) -> JSONValue? {
    var value = root
    for step in steps {
      if let elements = value.array {
        let digits = Array(step.utf8)
        guard let index = UInt64(decimal: digits.span), index < elements.count else { return nil }
        value = elements[Int(index)]
      } else {
        guard let member = value[step] else { return nil }
        value = member
      }
    }
    if case .null = value.kind { return nil }
    return value
  }

  /// Appends the field: a string's text, a number as written, true or false; an object or array as JSON.
  /// - Returns: false when the text is not JSON, or the field is not there or null.
  func append(from text: Span<UInt8>, to result: inout Buffer) -> Bool {
    guard let root = try? JSONReader.parse(text), let value = value(in: root) else { return false }
    switch value.kind {
    case .null: return false
    case .string(let text), .number(let text): result.append(text)
    case .bool(let flag): result.append(flag ? "true" : "false")
    case .array, .object: result.appendJSON(value)
    }
    return true
  }

  /// The same in the payload of a JWT (RFC 7519 §3), whose signature is its server's business.
  func appendClaim(from token: Span<UInt8>, to result: inout Buffer) -> Bool {
    guard let first = token.firstOffset(of: UInt8(ascii: ".")),
      let second = token.firstOffset(of: UInt8(ascii: "."), from: first + 1)
    else { return false }
    var payload = Buffer()
    guard payload.appendDecodedBase64URL(token.extracting(first + 1..<second)) else { return false }
    return append(from: payload.span, to: &result)
  }
}
