import Bytes
import Crypto

/// Walking the program for one request.
///
/// `value` answers with bytes that exist already wherever it can; `emit` appends a node's bytes to the arena and leaves
/// nothing else behind; `feed` gives them to a digest without gathering them first.
extension Signer {
  func value(
    of index: Int, _ request: borrowing ConnectorRequest, _ patch: inout Patch
  ) -> Value {
    let node = program.nodes[index]
    switch node.operation {
    case .literal: return .bytes(Slice(origin: .literals, range: node.index..<node.index + node.length))
    case .number: return .number(node.payload)
    case .method: return .bytes(Slice(origin: .block, range: request.method))
    case .path: return .bytes(Slice(origin: .block, range: request.path))
    case .rawQuery: return .bytes(patch.state.query ?? Slice(origin: .block, range: 0..<0))
    case .host: return .bytes(Slice(origin: .host, range: 0..<request.host.count))
    case .body: return .bytes(patch.state.body)
    case .subject: return .bytes(Slice(origin: .subject, range: 0..<request.subject.count))
    case .route: return .bytes(Slice(origin: .settings, range: route))
    case .secret:
      guard let secret = secrets[node.index] else { return .absent(index) }
      return .bytes(Slice(origin: .secret, range: 0..<secret.count, index: node.index))
    case .token:
      guard let field = token?.fields[node.index] else { return .absent(index) }
      return .bytes(Slice(origin: .token, range: 0..<field.count, index: node.index))
    case .state, .redirectURI, .scope, .code, .codeVerifier:
      guard let field = node.operation.loginField, let text = login[field] else { return .absent(index) }
      return .bytes(Slice(origin: .login, range: 0..<text.count, index: field))
    case .nonce: return .bytes(Slice(origin: .arena, range: patch.state.nonce))
    case .uuid: return .bytes(Slice(origin: .arena, range: patch.state.uuid))
    case .query: return .pairs(patch.state.decodedQuery)
    case .now: return .number(patch.state.time.seconds)
    case .nowMS: return .number(patch.state.time.seconds &* 1000 &+ Int64(patch.state.time.milliseconds))
    case .value: return patch.state.values[node.index]
    case .header:
      guard let range = request.headers[node.index] else { return .absent(index) }
      return .bytes(Slice(origin: .fields, range: range))
    case .option:
      guard let range = options[node.index] else { return .absent(index) }
      return .bytes(Slice(origin: .settings, range: range))
    case .or:
      let first = value(of: program.edges[node.firstChild], request, &patch)
      guard case .absent = first else { return first }
      return value(of: program.edges[node.firstChild + 1], request, &patch)
    case .when:
      guard holds(node, request, &patch) else { return .absent(patch.state.missing) }
      return value(of: program.edges[node.firstChild + 2], request, &patch)
    case .add: return sum(index, request, &patch)
    case .percentEncode, .formEncode:
      if let query = patch.state.canonicalQuery, program.isOfSortedQuery(node) { return .bytes(query) }
      return made(index, request, &patch)
    case .sort:
      let argument = value(of: program.edges[node.firstChild], request, &patch)
      guard case .pairs(let range) = argument else { return argument }
      return .pairs(patch.appendSorted(range))
    default: return made(index, request, &patch)
    }
  }

  /// Bytes that did not exist before.
  private func made(_ index: Int, _ request: borrowing ConnectorRequest, _ patch: inout Patch) -> Value {
    let start = patch.arena.count
    guard emit(index, request, &patch) else { return .absent(patch.state.missing) }
    return .bytes(Slice(origin: .arena, range: start..<patch.arena.count))
  }

  /// - Returns: false, with nothing appended, when the node is absent; `state.missing` is the reason.
  func emit(
    _ index: Int, _ request: borrowing ConnectorRequest, _ patch: inout Patch
  ) -> Bool {
    let node = program.nodes[index]
    let start = patch.arena.count
    switch node.operation {
    case .concat:
      for child in node.firstChild..<node.firstChild + node.childCount {
        guard emit(program.edges[child], request, &patch) else {
          patch.arena.truncate(to: start)
          return false
        }
      }
    case .join: return emitJoin(node, request, &patch)
    case .or:
      return emit(program.edges[node.firstChild], request, &patch)
        || emit(program.edges[node.firstChild + 1], request, &patch)
    case .when:
      return holds(node, request, &patch) && emit(program.edges[node.firstChild + 2], request, &patch)
    case .target:
      append(Slice(origin: .block, range: request.path), request, &patch)
      if let query = patch.state.query {
        patch.arena.append(UInt8(ascii: "?"))
        append(query, request, &patch)
      }
    case .md5, .sha1, .sha256, .sha384, .sha512:
      let digest = digests[node.index]
      guard feed(program.edges[node.firstChild], to: digest, request, &patch) else {
        digest.reset()
        return false
      }
      digest.finish(into: &patch.arena)
    case .hmacSHA1, .hmacSHA256, .hmacSHA384, .hmacSHA512:
      guard let mac = keyed(node, request, &patch) else { return false }
      guard feed(program.edges[node.firstChild + 1], to: mac, request, &patch) else {
        mac.reset()
        return false
      }
      mac.finish(into: &patch.arena)
    case .es256: return emitSignature(index, request, &patch)
    case .hex, .base64, .base64URL, .lower, .upper, .percentEncode, .formEncode, .jsonString, .json, .jwtClaim:
      if let query = patch.state.canonicalQuery, program.isOfSortedQuery(node) {
        append(query, request, &patch)
        return true
      }
      let argument = value(of: program.edges[node.firstChild], request, &patch)
      patch.scratch.clear()
      switch argument {
      case .absent(let reason):
        patch.state.missing = reason
        return false
      case .bytes(let slice):
        guard transform(node, slice, request, patch.arena, to: &patch.scratch) else {
          patch.arena.truncate(to: start)
          patch.state.missing = index
          if node.operation == .jsonString {
            patch.fail(.notUTF8(found: described(program.edges[node.firstChild])), at: index)
          }
          return false
        }
      case .pairs(let pairs): patch.encode(pairs, asForm: node.operation == .formEncode)
      case .number: break
      }
      patch.arena.truncate(to: start)
      patch.appendScratch()
    case .time: program.formats[node.index].append(patch.state.time, to: &patch.arena)
    default: return append(value(of: index, request, &patch), request, &patch)
    }
    return true
  }

  /// Whether the first argument of a `when` is its text; if not, `state.missing` says why.
  private func holds(_ node: Node, _ request: borrowing ConnectorRequest, _ patch: inout Patch) -> Bool {
    let start = patch.arena.count
    guard emit(program.edges[node.firstChild], request, &patch) else { return false }
    let wanted = program.nodes[program.edges[node.firstChild + 1]]
    let literals = program.literals
    let holds = patch.arena.span.extracting(start...).equals(
      literals.span.extracting(wanted.index..<wanted.index + wanted.length))
    patch.arena.truncate(to: start)
    if !holds { patch.state.missing = program.edges[node.firstChild + 1] }
    return holds
  }

  /// The items with the separator between them; pairs are `name=value` each, and no item when there are none.
  private func emitJoin(
    _ node: Node, _ request: borrowing ConnectorRequest, _ patch: inout Patch
  ) -> Bool {
    let before = patch.arena.count
    let separator: Slice
    switch value(of: program.edges[node.firstChild], request, &patch) {
    case .bytes(let slice): separator = slice
    case .absent(let reason):
      patch.state.missing = reason
      return false
    case .number, .pairs: return false
    }
    let start = patch.arena.count
    var isFirst = true
    for edge in node.firstChild + 1..<node.firstChild + node.childCount {
      let child = program.edges[edge]
      if program.nodes[child].type == .pairs, case .pairs(let pairs) = value(of: child, request, &patch) {
        for pair in pairs where patch.hasRoom(for: patch.pairs[pair].count + 1) {
          if !isFirst { append(separator, request, &patch) }
          isFirst = false
          patch.arena.append(own: patch.pairs[pair].name)
          patch.arena.append(UInt8(ascii: "="))
          patch.arena.append(own: patch.pairs[pair].value)
        }
      } else {
        if !isFirst { append(separator, request, &patch) }
        isFirst = false
        guard emit(child, request, &patch) else {
          patch.arena.truncate(to: before)
          return false
        }
      }
    }
    if start > before {
      patch.scratch.clear()
      patch.scratch.append(patch.arena, from: start)
      patch.arena.truncate(to: before)
      patch.appendScratch()
    }
    return true
  }

  /// Gives a node's bytes to a digest.
  /// - Returns: false when the node is absent; the digest has then seen a part and must be reset.
  func feed(
    _ index: Int, to sink: some MessageSink, _ request: borrowing ConnectorRequest, _ patch: inout Patch
  ) -> Bool {
    let node = program.nodes[index]
    if node.operation == .concat {
      for edge in node.firstChild..<node.firstChild + node.childCount {
        guard feed(program.edges[edge], to: sink, request, &patch) else { return false }
      }
      return true
    }
    let start = patch.arena.count
    let result = value(of: index, request, &patch)
    if case .bytes(let slice) = result {
      sink.update(span(of: slice, request, patch.arena))
    } else {
      guard append(result, request, &patch) else { return false }
      sink.update(patch.arena.span.extracting(start...))
    }
    patch.arena.truncate(to: start)
    return true
  }

  /// The context for a call of a MAC, ready for its message; nil when its key is absent.
  func keyed(
    _ node: Node, _ request: borrowing ConnectorRequest, _ patch: inout Patch
  ) -> HMAC? {
    let mac = macs[node.index]
    if isKeyed[node.index] { return mac }
    let start = patch.arena.count
    switch value(of: program.macs[node.index].key, request, &patch) {
    case .bytes(let slice): mac.rekey(span(of: slice, request, patch.arena))
    case .absent(let reason):
      patch.state.missing = reason
      return nil
    case .number, .pairs: return nil
    }
    patch.arena.truncate(to: start)
    return mac
  }

  private func sum(_ index: Int, _ request: borrowing ConnectorRequest, _ patch: inout Patch) -> Value {
    var sum: Int64 = 0
    for child in program.children(of: index) {
      let term = value(of: child, request, &patch)
      guard case .number(let number) = term else { return term }
      let (next, isTooLarge) = sum.addingReportingOverflow(number)
      if isTooLarge {
        patch.fail(.sumTooLarge, at: index)
        return .absent(index)
      }
      sum = next
    }
    return .number(sum)
  }

  // MARK: Bytes

  func append(_ slice: Slice, _ request: borrowing ConnectorRequest, _ patch: inout Patch) {
    guard patch.hasRoom(for: slice.range.count) else { return }
    if slice.origin == .arena {
      patch.arena.append(own: slice.range)
    } else {
      append(slice, request, patch.scratch, to: &patch.arena)
    }
  }

  func append(
    _ slice: Slice, _ request: borrowing ConnectorRequest, _ arena: borrowing Buffer, to buffer: inout Buffer
  ) {
    buffer.append(span(of: slice, request, arena))
  }

  /// - Returns: false when the value is absent.
  func append(_ value: Value, _ request: borrowing ConnectorRequest, _ patch: inout Patch) -> Bool {
    switch value {
    case .absent(let reason):
      patch.state.missing = reason
      return false
    case .bytes(let slice): append(slice, request, &patch)
    case .number(let number): patch.arena.appendDecimal(number)
    case .pairs(let pairs):
      for pair in pairs where patch.hasRoom(for: patch.pairs[pair].count) {
        patch.arena.append(own: patch.pairs[pair].name)
        patch.arena.append(own: patch.pairs[pair].value)
      }
    }
    return true
  }

  /// - Parameter arena: the patch's; any other buffer will do for a slice that lies elsewhere.
  @_lifetime(borrow self, copy request, borrow arena)
  func span(of slice: Slice, _ request: borrowing ConnectorRequest, _ arena: borrowing Buffer) -> Span<UInt8> {
    switch slice.origin {
    case .arena: return arena.span.extracting(slice.range)
    case .block: return request.block.extracting(slice.range)
    case .fields: return request.fields.extracting(slice.range)
    case .host: return request.host.extracting(slice.range)
    case .body: return request.body.extracting(slice.range)
    case .subject: return request.subject.extracting(slice.range)
    // Constants, which live as long as the signer: the compiler only sees the access to the property end.
    case .literals:
      let literals = program.literals
      return unsafe _overrideLifetime(literals.span.extracting(slice.range), borrowing: self)
    case .settings:
      let settings = settings
      return unsafe _overrideLifetime(settings.span.extracting(slice.range), borrowing: self)
    case .secret:
      guard let secret = secrets[slice.index] else { return Span() }
      return unsafe _overrideLifetime(secret.span, borrowing: self)
    case .token:
      guard let field = token?.fields[slice.index] else { return Span() }
      return unsafe _overrideLifetime(field.span, borrowing: self)
    case .login:
      guard let field = login[slice.index] else { return Span() }
      return unsafe _overrideLifetime(field.span, borrowing: self)
    }
  }
}

extension Buffer {
  /// Appends another buffer's bytes from an offset on.
  mutating func append(_ other: borrowing Buffer, from start: Int) {
    append(other.span.extracting(start...))
  }

  /// Appends bytes of another buffer as a name or value of a query or form.
  mutating func appendEncoded(_ other: borrowing Buffer, _ range: Range<Int>, asForm: Bool) {
    appendPercentEncoded(other.span.extracting(range), plusForSpace: asForm)
  }
}

/// What takes a message piece by piece.
protocol MessageSink: AnyObject {
  func update(_ bytes: Span<UInt8>)
}

extension Digest: MessageSink {}
extension HMAC: MessageSink {}
extension ES256Signer: MessageSink {}
