import Bytes
import Crypto
import JSON

extension Signer {
  /// A function of one run of bytes.
  /// - Returns: false when there is no result: the JSON text is none, or lacks the field; what is to be a JSON string is
  ///   no UTF-8.
  func transform(
    _ node: Node, _ slice: Slice, _ request: borrowing ConnectorRequest, _ arena: borrowing Buffer,
    to result: inout Buffer
  ) -> Bool {
    let bytes = span(of: slice, request, arena)
    switch node.operation {
    case .hex: result.appendHex(bytes)
    case .base64: result.appendBase64(bytes)
    case .base64URL: result.appendBase64URL(bytes)
    case .lower: for index in bytes.indices { result.append(bytes[index].asciiLowercased) }
    case .upper: for index in bytes.indices { result.append(bytes[index].asciiUppercased) }
    case .percentEncode: result.appendPercentEncoded(bytes)
    case .formEncode: result.appendPercentEncoded(bytes, plusForSpace: true)
    case .jsonString:
      guard (try? UTF8Span(validating: bytes)) != nil else { return false }
      result.appendJSON(bytes)
    case .json: return program.paths[node.index].append(from: bytes, to: &result)
    case .jwtClaim: return program.paths[node.index].appendClaim(from: bytes, to: &result)
    default: return false
    }
    return true
  }
}

extension Operation {
  /// The hash of a digest or MAC.
  var hash: HashAlgorithm {
    switch self {
    case .md5: .md5
    case .sha1, .hmacSHA1: .sha1
    case .sha384, .hmacSHA384: .sha384
    case .sha512, .hmacSHA512: .sha512
    default: .sha256
    }
  }
}
