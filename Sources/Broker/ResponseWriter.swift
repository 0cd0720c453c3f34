public import Bytes
public import HTTP

extension Plan {
  /// Appends an interim response for a client that knows them (row 121). The caller leaves out 100.
  public func appendInterim(_ head: borrowing ResponseHead, _ bytes: Span<UInt8>, to buffer: inout Buffer) {
    buffer.appendStatusLine(head.status)
    appendFields(head, bytes, keepsLength: false, to: &buffer)
    buffer.append("\r\n")
  }

  /// Appends the response's head for the client, from the model, and says how the body is to be sent.
  ///
  /// - Parameters:
  ///   - closes: no further exchange on this connection; it becomes true where the body can end in no other way.
  ///   - skew: seconds by which the upstream's clock is ahead of ours. Who is refused is told: it may be the reason.
  public func appendResponse(
    _ head: borrowing ResponseHead, _ bytes: Span<UInt8>, id: RequestID, closes: inout Bool, skew: Int64 = 0,
    to buffer: inout Buffer
  ) -> BodyFraming {
    var framing = head.framing
    // A body without a length is chunked again (row 126); HTTP/1.0 has only the connection's end (row 14).
    if framing == .chunked || framing == .untilClose { framing = minorVersion > 0 ? .chunked : .untilClose }
    if wantsClose || framing == .untilClose { closes = true }
    buffer.appendStatusLine(head.status)
    appendFields(head, bytes, keepsLength: head.status != 204 && head.status != 205, to: &buffer)
    if skew != 0, head.status == 401 || head.status == 403 {
      buffer.append("X-Chatelaine-Clock-Skew: ")
      buffer.appendDecimal(skew)
      buffer.append("\r\n")
    }
    if head.status == 205 { buffer.append("Content-Length: 0\r\n") }
    buffer.append("X-Request-Id: ")
    buffer.append(id)
    buffer.append(framing == .chunked ? "\r\nTransfer-Encoding: chunked\r\n" : "\r\n")
    if head.status == 101 {
      buffer.append("Connection: upgrade\r\nUpgrade: websocket\r\n")
    } else if closes {
      buffer.append("Connection: close\r\n")
    }
    buffer.append("\r\n")
    return framing
  }

  /// What an upstream may tell the client (T3.8).
  private func appendFields(
    _ head: borrowing ResponseHead, _ bytes: Span<UInt8>, keepsLength: Bool, to buffer: inout Buffer
  ) {
    for i in head.fields.indices {
      let field = head.fields[i]
      if field.isHopByHop { continue }
      switch field.id {
      case .contentLength: if keepsLength { buffer.appendField(field, of: bytes) }
      case .setCookie: if route.passesCookies { buffer.appendField(field, of: bytes) }
      case .altSvc, .clearSiteData, .accessControl: break
      case .requestID: buffer.appendField(name: "X-Upstream-Request-Id", value: bytes.extracting(field.value))
      case .location:
        buffer.append(bytes.extracting(field.name))
        buffer.append(": ")
        appendLocation(bytes.extracting(field.value), to: &buffer)
        buffer.append("\r\n")
      default: buffer.appendField(field, of: bytes)
      }
    }
  }
}
