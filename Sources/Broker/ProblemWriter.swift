public import Bytes
internal import HTTP
internal import JSON

extension Problem {
  /// Appends the whole answer: `application/problem+json` (RFC 9457) with Proxy-Status (RFC 9209) and the fields that every
  /// answer of ours has (T2.7).
  ///
  /// - Parameters:
  ///   - now: seconds since 1970, UTC.
  ///   - closes: no further exchange on this connection; implied by the problem's own `closes`.
  ///   - withBody: false answers HEAD.
  public func append(id: RequestID, now: Int64, closes: Bool, withBody: Bool = true, to buffer: inout Buffer) {
    var body = Buffer(capacity: 512)
    appendBody(id, to: &body)
    buffer.appendOwnHead(
      status, contentType: "application/problem+json", id: id, now: now, closes: closes || self.closes)
    buffer.append("Proxy-Status: chatelaine; error=")
    buffer.append(code.proxyError)
    buffer.append("\r\n")
    if let retryAfter { buffer.appendField(name: "Retry-After", number: UInt64(max(retryAfter, 0))) }
    if let allow { buffer.appendField(name: "Allow", value: allow.text) }
    buffer.appendField(name: "Content-Length", number: UInt64(body.count))
    buffer.append("\r\n")
    if withBody { buffer.append(body.span) }
  }

  private func appendBody(_ id: RequestID, to body: inout Buffer) {
    body.appendObjectStart()
    body.appendMember("type", "urn:chatelaine:problem:\(code.rawValue)")
    body.appendMember("title", "\(code.title)")
    body.appendMember("status", status)
    body.appendMember("detail", detail)
    body.appendMember("code", code.rawValue)
    if let upstreamCode { body.appendMember("upstream_code", upstreamCode) }
    if let route { body.appendMember("route", route) }
    body.appendMember("instance", id.description)
    body.appendMember("hint", hint)
    body.appendMember("retryable", code.isRetryable)
    body.appendObjectEnd()
    body.append(0x0A)
  }
}

extension Buffer {
  /// Appends the status line and the fields that every answer of ours has; its length and the empty line are to follow.
  /// - Parameters:
  ///   - contentType: nil where there is no content.
  ///   - now: seconds since 1970, UTC.
  public mutating func appendOwnHead(
    _ status: Int, contentType: StaticString?, id: RequestID, now: Int64, closes: Bool,
    cacheControl: StaticString = "no-store"
  ) {
    appendStatusLine(status)
    append("Date: ")
    appendHTTPDate(now)
    append("\r\nX-Request-Id: ")
    append(id)
    append("\r\nCache-Control: ")
    append(cacheControl)
    append("\r\nX-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: same-origin\r\n")
    if let contentType { appendField(name: "Content-Type", value: contentType) }
    if closes { append("Connection: close\r\n") }
  }
}
