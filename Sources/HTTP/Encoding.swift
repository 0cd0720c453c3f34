public import Bytes

extension Buffer {
  /// `GET /path?query HTTP/1.1` and the line's end. `query` is behind the `?`.
  @inlinable public mutating func appendRequestLine(method: Span<UInt8>, path: Span<UInt8>, query: Span<UInt8>? = nil) {
    append(method)
    append(0x20)
    append(path)
    if let query {
      append(0x3F)
      append(query)
    }
    append(" HTTP/1.1\r\n")
  }

  /// Name and value must be valid: see `isToken` and `isFieldValue`.
  @inlinable public mutating func appendField(name: Span<UInt8>, value: Span<UInt8>) {
    append(name)
    append(": ")
    append(value)
    append("\r\n")
  }

  /// Appends a field as it came, without the white space around its value: in one copy where the line is as we write them.
  /// - Parameter head: what the field's places are in.
  @inlinable public mutating func appendField(_ field: Field, of head: Span<UInt8>) {
    let (name, value) = (field.name, field.value)
    let end = value.upperBound
    if value.lowerBound == name.upperBound &+ 2, head[name.upperBound &+ 1] == 0x20, end &+ 1 < head.count,
      head[end] == 0x0D, head[end &+ 1] == 0x0A
    {
      append(head.extracting(name.lowerBound..<end &+ 2))
    } else {
      appendField(name: head.extracting(name), value: head.extracting(value))
    }
  }

  @inlinable public mutating func appendField(name: StaticString, value: Span<UInt8>) {
    append(name)
    append(": ")
    append(value)
    append("\r\n")
  }

  @inlinable public mutating func appendField(name: StaticString, value: StaticString) {
    append(name)
    append(": ")
    append(value)
    append("\r\n")
  }

  /// A field whose value is a decimal number.
  public mutating func appendField(name: StaticString, number: UInt64) {
    append(name)
    append(": ")
    appendDecimal(number)
    append("\r\n")
  }

  /// `HTTP/1.1 200 OK` and the line's end, with our own phrase (row 118).
  /// - Parameter status: 100–599.
  public mutating func appendStatusLine(_ status: Int) {
    append("HTTP/1.1 ")
    appendDecimal(status)
    append(0x20)
    append(statusPhrase(status))
    append("\r\n")
  }

  /// The line before `count` bytes of a chunk; `appendChunkEnd` goes behind them. Not for 0: see `appendLastChunk`.
  public mutating func appendChunkHeader(_ count: Int) {
    precondition(count > 0)
    var shift = (Int.bitWidth - 1 - count.leadingZeroBitCount) & ~3
    while shift >= 0 {
      let digit = UInt8(truncatingIfNeeded: count >> shift & 0xF)
      append(digit < 10 ? 0x30 + digit : 0x57 + digit)
      shift -= 4
    }
    append("\r\n")
  }

  @inlinable public mutating func appendChunkEnd() { append("\r\n") }

  /// The end of a chunked body, without trailers.
  @inlinable public mutating func appendLastChunk() { append("0\r\n\r\n") }
}

/// The phrase of RFC 9110 §15 for a status, or of its class.
public func statusPhrase(_ status: Int) -> StaticString {
  switch status {
  case 100: "Continue"
  case 101: "Switching Protocols"
  case 102: "Processing"
  case 103: "Early Hints"
  case 200: "OK"
  case 201: "Created"
  case 202: "Accepted"
  case 203: "Non-Authoritative Information"
  case 204: "No Content"
  case 205: "Reset Content"
  case 206: "Partial Content"
  case 207: "Multi-Status"
  case 300: "Multiple Choices"
  case 301: "Moved Permanently"
  case 302: "Found"
  case 303: "See Other"
  case 304: "Not Modified"
  case 307: "Temporary Redirect"
  case 308: "Permanent Redirect"
  case 400: "Bad Request"
  case 401: "Unauthorized"
  case 402: "Payment Required"
  case 403: "Forbidden"
  case 404: "Not Found"
  case 405: "Method Not Allowed"
  case 406: "Not Acceptable"
  case 407: "Proxy Authentication Required"
  case 408: "Request Timeout"
  case 409: "Conflict"
  case 410: "Gone"
  case 411: "Length Required"
  case 412: "Precondition Failed"
  case 413: "Content Too Large"
  case 414: "URI Too Long"
  case 415: "Unsupported Media Type"
  case 416: "Range Not Satisfiable"
  case 417: "Expectation Failed"
  case 421: "Misdirected Request"
  case 422: "Unprocessable Content"
  case 423: "Locked"
  case 424: "Failed Dependency"
  case 425: "Too Early"
  case 426: "Upgrade Required"
  case 428: "Precondition Required"
  case 429: "Too Many Requests"
  case 431: "Request Header Fields Too Large"
  case 451: "Unavailable For Legal Reasons"
  case 500: "Internal Server Error"
  case 501: "Not Implemented"
  case 502: "Bad Gateway"
  case 503: "Service Unavailable"
  case 504: "Gateway Timeout"
  case 505: "HTTP Version Not Supported"
  case 507: "Insufficient Storage"
  case 511: "Network Authentication Required"
  case 100...199: "Informational"
  case 200...299: "Success"
  case 300...399: "Redirection"
  case 400...499: "Client Error"
  default: "Server Error"
  }
}
