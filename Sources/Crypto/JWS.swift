public import Bytes

/// JSON Web Signatures in their compact form (RFC 7515 §7.1), as they are made here: ES256 and nothing else.
public enum JWS {
  /// Appends `header.claims.signature`, each in base64url.
  /// - Parameters:
  ///   - header: what the header says beside `alg`, which comes from the key and cannot be given.
  ///   - claims: signed as it is; JSON, if it is to be a JWT.
  /// - Throws: `ES256Error.signature`, with nothing appended.
  public static func sign(
    header: [(name: String, value: String)], claims: Span<UInt8>, with key: ES256Key, into buffer: inout Buffer
  ) throws(ES256Error) {
    var json = Buffer()
    json.append("{\"alg\":\"ES256\"")
    for (name, value) in header {
      precondition(name != "alg")
      json.append(",\"")
      json.append(escaping: name)
      json.append("\":\"")
      json.append(escaping: value)
      json.append("\"")
    }
    json.append("}")

    let start = buffer.count
    buffer.appendBase64URL(json.span)
    buffer.append(UInt8(ascii: "."))
    buffer.appendBase64URL(claims)
    var signature = Buffer(capacity: ES256Key.signatureCount)
    do throws(ES256Error) {
      try key.sign(buffer.span.extracting(droppingFirst: start), into: &signature)
    } catch {
      buffer.truncate(to: start)
      throw error
    }
    buffer.append(UInt8(ascii: "."))
    buffer.appendBase64URL(signature.span)
  }
}

extension Buffer {
  /// Appends the text as the inside of a JSON string (RFC 8259 §7).
  fileprivate mutating func append(escaping text: String) {
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        append(UInt8(ascii: "\\"))
        append(byte)
      case ..<0x20:
        append("\\u00")
        appendHex([byte].span)
      default: append(byte)
      }
    }
  }
}
