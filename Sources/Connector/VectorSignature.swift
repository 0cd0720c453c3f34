import Bytes
import Crypto
import JSON

/// What a vector expects where an ECDSA signature is, which is another each time: not the bytes, but what was signed and that
/// the signature is the key's.
///
///     { "es256": "key", "after": "Bearer ", "header": { … }, "claims": { … } }
///     { "es256": "key", "after": "v1=", "signed": "GET\n/x", "encoding": "base64" }
extension VectorReader {
  private static let signatureKeys = ["es256", "after", "header", "claims", "signed", "encoding"]

  /// Whether a vector says that of a signature; a text is expected otherwise.
  static func isSignature(_ expected: JSONValue) -> Bool { expected["es256"] != nil }

  mutating func compareSignature(_ what: String, _ found: String?, _ expected: JSONValue, _ name: String) {
    let earlier = diagnostics.count
    check(expected, VectorReader.signatureKeys)
    guard let secret = text(expected["es256"]), let key = key(secret, at: expected["es256"]),
      let after = expected["after"].map({ text($0) }) ?? "", diagnostics.count == earlier
    else { return }
    let shape: Shape
    if let header = expected["header"], let claims = expected["claims"], expected["signed"] == nil {
      shape = .token(header: header, claims: claims)
    } else if let signed = text(expected["signed"]), expected["header"] == nil, expected["claims"] == nil {
      shape = .alone(signed: signed, encoding: expected["encoding"].map { text($0) ?? "" } ?? "base64url")
    } else {
      error("what is signed is \"header\" and \"claims\", or the text \"signed\"", at: expected)
      return
    }
    guard let found, found.utf8.starts(with: after.utf8) else {
      let before = after.isEmpty ? "" : "\(quoted(after)) and "
      differ(what, found.map { quoted($0) }, before + "a signature", name, at: expected)
      return
    }
    let rest = String(decoding: found.utf8.dropFirst(after.utf8.count), as: UTF8.self)
    switch shape {
    case .token(let header, let claims): compareToken(what, rest, (header, claims), key, name, at: expected)
    case .alone(let signed, let encoding):
      guard let bytes = decoded(rest, encoding) else {
        error("vector \(name): \(what) is no signature in \(encoding)", at: expected)
        return
      }
      judge(bytes, of: signed, key, what, name, at: expected)
    }
  }

  private enum Shape {
    /// A JSON Web Signature in its compact form.
    case token(header: JSONValue, claims: JSONValue)
    case alone(signed: String, encoding: String)
  }

  /// The public half of a secret that the vector gives.
  private mutating func key(_ name: String, at value: JSONValue?) -> ES256PublicKey? {
    guard let pem = secrets.first(where: { $0.0 == name })?.1 else {
      if let value { error("the vector has no secret \"\(name)\"", at: value) }
      return nil
    }
    do throws(ES256Error) {
      return try ES256Key(pem: Array(pem.utf8).span).publicKey
    } catch {
      if let value { self.error("the secret \"\(name)\" cannot sign with ES256: \(error.message)", at: value) }
      return nil
    }
  }

  private mutating func compareToken(
    _ what: String, _ token: String, _ expected: (header: JSONValue, claims: JSONValue), _ key: ES256PublicKey,
    _ name: String, at value: JSONValue
  ) {
    let parts = token.split(separator: ".", omittingEmptySubsequences: false).map { String($0) }
    guard parts.count == 3, let signature = decoded(parts[2], "base64url") else {
      error("vector \(name): \(what) is no token of three parts", at: value)
      return
    }
    for (part, text, expected) in [("header", parts[0], expected.header), ("claims", parts[1], expected.claims)] {
      guard let bytes = decoded(text, "base64url"), let found = try? JSONReader.parse(bytes.span) else {
        error("vector \(name): the \(part) of \(what) is no JSON in base64url", at: expected)
        continue
      }
      if !found.isSame(as: expected) {
        differ("the \(part) of \(what)", written(found), written(expected), name, at: expected)
      }
    }
    judge(signature, of: "\(parts[0]).\(parts[1])", key, what, name, at: value)
  }

  private mutating func judge(
    _ signature: [UInt8], of message: String, _ key: ES256PublicKey, _ what: String, _ name: String, at value: JSONValue
  ) {
    if key.verify(signature.span, of: Array(message.utf8).span) { return }
    error("vector \(name): the signature of \(what) is not the key's for \(quoted(message))", at: value)
  }

  /// - Returns: nil for what is not so encoded, or for an encoding that there is not.
  private func decoded(_ text: String, _ encoding: String) -> [UInt8]? {
    var bytes = Buffer()
    let text = Array(text.utf8)
    let isGood =
      switch encoding {
      case "base64url": bytes.appendDecodedBase64URL(text.span)
      case "base64": bytes.appendDecodedBase64(text.span)
      case "hex": bytes.appendDecodedHex(text.span)
      default: false
      }
    return isGood ? Array(bytes.span) : nil
  }
}

extension JSONValue {
  /// Whether both say the same: members in any order, numbers as written.
  fileprivate func isSame(as other: JSONValue) -> Bool {
    switch (kind, other.kind) {
    case (.null, .null): true
    case (.bool(let one), .bool(let other)): one == other
    case (.number(let one), .number(let other)), (.string(let one), .string(let other)):
      one.utf8.elementsEqual(other.utf8)
    case (.array(let one), .array(let other)):
      one.count == other.count && zip(one, other).allSatisfy { $0.isSame(as: $1) }
    case (.object(let one), .object(let two)):
      one.count == two.count
        && one.allSatisfy { member in other[member.key].map { member.value.isSame(as: $0) } ?? false }
    default: false
    }
  }
}
