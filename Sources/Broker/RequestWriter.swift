public import Bytes
public import Connector
internal import Crypto
public import HTTP

/// Where the parts of an upstream request's target are in a buffer, for a connector to read.
public struct OutgoingTarget: Sendable, Equatable {
  public var method: Range<Int>
  public var path: Range<Int>
  public var query: Range<Int>?
}

extension Plan {
  /// Appends method, path and query as they are sent upstream, for the connector: it signs these bytes (T3.6).
  /// - Returns: offsets into all of `block`.
  public func appendTarget(_ bytes: Span<UInt8>, to block: inout Buffer) -> OutgoingTarget {
    let start = block.count
    block.append(bytes.extracting(methodName))
    let methodEnd = block.count
    appendPath(bytes, to: &block)
    let pathEnd = block.count
    guard let query else { return OutgoingTarget(method: start..<methodEnd, path: methodEnd..<pathEnd, query: nil) }
    block.append(bytes.extracting(query))
    return OutgoingTarget(method: start..<methodEnd, path: methodEnd..<pathEnd, query: pathEnd..<block.count)
  }

  private func appendPath(_ bytes: Span<UInt8>, to buffer: inout Buffer) {
    buffer.append(route.basePath)
    buffer.append(bytes.extracting(path))
    if path.isEmpty, route.basePath.isEmpty { buffer.append(0x2F) }
  }

  /// Finds the values of the headers that the connector reads, as they are forwarded.
  /// - Parameter values: becomes one for each of the connector's names; nil for one that is absent.
  public func findReadHeaders(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, into values: inout [Range<Int>?]) {
    values.removeAll(keepingCapacity: true)
    for name in route.readHeaders {
      var value: Range<Int>?
      for field in head.fields where Int(field.nameCount) == name.count {
        let found = name.span.equalsIgnoringCase(bytes.extracting(field.name))
        if found, isForwarded(field, bytes) {
          value = field.value
          break
        }
      }
      values.append(value)
    }
  }

  /// Appends the request's head for the upstream, from the model (I3): what is stripped goes first, what is set comes after (T3.5).
  ///
  /// - Parameters:
  ///   - patch: what the connector changes; its headers are in the order of the connector's targets.
  ///   - framing: of the body as it is sent: as received while it streams, a length when it was held (row 100).
  public func appendRequest(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, patch: borrowing Patch, framing: BodyFraming,
    to buffer: inout Buffer
  ) {
    buffer.append(bytes.extracting(methodName))
    buffer.append(0x20)
    appendPath(bytes, to: &buffer)
    if patch.changesQuery {
      if let query = patch.query {
        buffer.append(0x3F)
        buffer.append(patch.bytes.extracting(query))
      }
    } else if let query {
      buffer.append(0x3F)
      buffer.append(bytes.extracting(query))
    }
    buffer.append(" HTTP/1.1\r\nHost: ")
    buffer.append(route.authority)
    buffer.append("\r\n")
    // Nobody here undoes what a client can: the answer must say by itself that a token is dead.
    let readsAnswers = route.readsAnswers
    if readsAnswers { buffer.append("Accept-Encoding: identity\r\n") }
    for i in head.fields.indices {
      let field = head.fields[i]
      guard isForwarded(field, bytes) else { continue }
      if readsAnswers, bytes.extracting(field.name).equalsIgnoringCase("accept-encoding") { continue }
      buffer.appendField(field, of: bytes)
    }
    if upgradesToWebSocket { buffer.append("Connection: upgrade\r\nUpgrade: websocket\r\n") }
    for index in route.headers.indices { route.headers[index].append(to: &buffer) }
    for index in patch.headers.indices {
      let header = patch.headers[index]
      let name = route.connectorHeaders[header.name]
      buffer.appendField(name: name.span, value: patch.bytes.extracting(header.value))
    }
    switch framing {
    case .length(let length): buffer.appendField(name: "Content-Length", number: length)
    case .chunked: buffer.append("Transfer-Encoding: chunked\r\n")
    case .none, .untilClose: if method.expectsBody { buffer.append("Content-Length: 0\r\n") }
    }
    buffer.append("\r\n")
  }

  /// T3.4: what may go on from a caller to the upstream.
  private func isForwarded(_ field: Field, _ bytes: Span<UInt8>) -> Bool {
    switch field.id {
    case .host, .contentLength, .expect: return false
    case .cookie: if !route.passesCookies || field.isHopByHop { return false }
    case .other: if field.marks.contains(.nominated) { return false }
    default: if field.isHopByHop || field.id.isStrippedFromRequests { return false }
    }
    return !route.setNames.contains(bytes.extracting(field.name))
  }
}

extension Route.Header {
  func append(to buffer: inout Buffer) {
    switch value {
    case .literal(let value): buffer.appendField(name: name.span, value: value.span)
    case .secret(let value): buffer.appendField(name: name.span, value: value.span)
    }
  }
}
