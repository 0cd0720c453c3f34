/// Why a message is refused. Comparable by code; the text is a constant and repeats nothing of the input (I6).
///
/// On the way in `status` and `code` are what the caller gets. On the way back any of these is a 502.
public enum HTTPError: Error, Equatable, Sendable, CaseIterable {
  // Start line
  case notHTTP, emptyLine, bareLineFeed, bareCarriageReturn
  case badMethod, methodTooLong, badVersion, versionNotSupported, badStatusLine
  // Target
  case badTarget, targetTooLong, badPercentEncoding, badEncodedByte, dotSegment, emptyFirstSegment
  // Host
  case missingHost, duplicateHost, badHost
  // Fields
  case whitespaceBeforeColon, foldedLine, missingColon, badFieldName, badFieldValue, duplicateField, ambiguousFieldName
  case tooManyFields, fieldTooLarge, fieldNameTooLong, headTooLarge
  // Framing
  case lengthAndTransferEncoding, duplicateLength, badLength
  case badTransferEncoding, transferEncodingNotSupported, transferEncodingInHTTP10, unexpectedBody
  // Body
  case badChunkSize, badChunkExtension, chunkOverhead, badChunkEnd, badTrailer, trailersTooLarge, truncatedBody
  // Connection
  case badConnection, protectedFieldNominated, expectationFailed

  /// The status of the answer to a request that is refused so.
  public var status: Int {
    switch self {
    case .methodTooLong, .transferEncodingNotSupported: 501
    case .versionNotSupported: 505
    case .targetTooLong: 414
    case .tooManyFields, .fieldTooLarge, .fieldNameTooLong, .headTooLarge: 431
    case .expectationFailed: 417
    default: 400
    }
  }

  /// The problem's `code`.
  public var code: StaticString {
    switch status {
    case 414: "uri_too_long"
    case 417: "expectation_failed"
    case 431: "head_too_large"
    case 501: "not_implemented"
    case 505: "version_not_supported"
    default: "malformed_request"
    }
  }

  /// The peer does not speak HTTP (a TLS hello, binary): nothing that we say would be understood.
  public var closeSilently: Bool { self == .notHTTP }

  /// What is wrong, for the problem's `detail`.
  public var reason: StaticString {
    switch self {
    case .notHTTP: "The first byte is not HTTP."
    case .emptyLine: "More than one empty line precedes the request line."
    case .bareLineFeed: "A line ends with LF alone; HTTP lines end with CR LF."
    case .bareCarriageReturn: "A CR is not followed by LF."
    case .badMethod: "The method is not a token followed by one space."
    case .methodTooLong: "The method is longer than any that is known."
    case .badVersion: "The request line does not end with one space and an HTTP version."
    case .versionNotSupported: "Only HTTP/1.1 and HTTP/1.0 are spoken here."
    case .badStatusLine: "The status line is not valid."
    case .badTarget: "The request target has a byte or a form that is not allowed."
    case .targetTooLong: "The request target is too long."
    case .badPercentEncoding: "A % in the target is not followed by two hexadecimal digits."
    case .badEncodedByte: "The target has a percent-encoded control character, backslash or invalid UTF-8."
    case .dotSegment: "The path has a '.' or '..' segment, plain or encoded."
    case .emptyFirstSegment: "The path starts with two slashes."
    case .missingHost: "There is no Host field."
    case .duplicateHost: "There is more than one Host field."
    case .badHost: "The host is empty or not valid."
    case .whitespaceBeforeColon: "There is whitespace between a field's name and its colon."
    case .foldedLine: "A field line starts with whitespace."
    case .missingColon: "A field line has no colon."
    case .badFieldName: "A field's name is empty or not a token."
    case .badFieldValue: "A field's value has a byte that is not allowed."
    case .duplicateField: "A field that may appear once appears twice."
    case .ambiguousFieldName: "A field's name differs only by '_' from one that has a meaning here."
    case .tooManyFields: "There are too many header fields."
    case .fieldTooLarge: "A header field is too long."
    case .fieldNameTooLong: "A header field's name is too long."
    case .headTooLarge: "The header section is too large."
    case .lengthAndTransferEncoding: "Content-Length and Transfer-Encoding are both present."
    case .duplicateLength: "There is more than one Content-Length."
    case .badLength: "Content-Length is not a plain decimal number in range."
    case .badTransferEncoding: "Transfer-Encoding is not exactly 'chunked'."
    case .transferEncodingNotSupported: "The only transfer coding understood is 'chunked'."
    case .transferEncodingInHTTP10: "HTTP/1.0 has no Transfer-Encoding."
    case .unexpectedBody: "An interim response announces a body."
    case .badChunkSize: "A chunk's size is not a plain hexadecimal number in range."
    case .badChunkExtension: "A chunk extension is not valid or too long."
    case .chunkOverhead: "The chunks are mostly overhead."
    case .badChunkEnd: "A chunk is not followed by CR LF."
    case .badTrailer: "A trailer field is not valid or not allowed there."
    case .trailersTooLarge: "The trailer section is too large."
    case .truncatedBody: "The body ended early."
    case .badConnection: "The Connection field is not a short list of tokens."
    case .protectedFieldNominated: "The Connection field names a field that is not hop-by-hop."
    case .expectationFailed: "The only expectation understood is '100-continue'."
    }
  }
}
