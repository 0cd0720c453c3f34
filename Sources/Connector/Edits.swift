import Bytes
import JSON

/// Carrying out a connector's `set`.
extension Signer {
  func setHeaders(_ request: borrowing ConnectorRequest, _ patch: inout Patch) throws(EvaluationError) {
    for index in headers.indices {
      let target = headers[index]
      let start = patch.arena.count
      let isThere = emit(target.node, request, &patch)
      if trace != nil { explain(.header, targets.headers[index].text, target.node, request, &patch) }
      guard isThere else {
        if target.isOptional { continue }
        throw missing(patch.state.missing, "the header \(targets.headers[index].text)")
      }
      let value = HeaderName.trimmed(patch.arena.span, start..<patch.arena.count)
      guard HeaderName.isValue(patch.arena.span.extracting(value)) else {
        throw .invalidHeaderValue(header: targets.headers[index].text)
      }
      patch.headers.append(Patch.Header(name: index, value: value))
    }
  }

  /// What the caller sent under names that will be set is gone before anything reads the query.
  func removeSetNames(_ request: borrowing ConnectorRequest, _ patch: inout Patch) throws(EvaluationError) {
    patch.changesQuery = true
    guard let query = patch.state.query else { return }
    let start = patch.arena.count
    try appendOthers(request.block.extracting(query.range), targets.query, &patch)
    patch.state.query =
      patch.arena.count == start ? nil : Slice(origin: .arena, range: start..<patch.arena.count)
    patch.query = patch.state.query?.range
  }

  func setQuery(_ request: borrowing ConnectorRequest, _ patch: inout Patch) throws(EvaluationError) {
    let start = patch.arena.count
    if let sent = patch.state.query { append(sent, request, &patch) }
    try appendFields(query, targets.query, .query, from: start, request, &patch)
    guard patch.arena.count > start else { return }
    patch.query = start..<patch.arena.count
    patch.state.query = Slice(origin: .arena, range: start..<patch.arena.count)
  }

  func setBody(_ request: borrowing ConnectorRequest, _ patch: inout Patch) throws(EvaluationError) {
    let start = patch.arena.count
    switch connector.bodyKind {
    case .form:
      try appendOthers(request.body, targets.body, &patch)
      try appendFields(body, targets.body, .form, from: start, request, &patch)
    case .json: try appendObject(request, &patch)
    }
    patch.body = start..<patch.arena.count
    patch.state.body = Slice(origin: .arena, range: start..<patch.arena.count)
  }

  private func appendFields(
    _ fields: [Connector.Target], _ names: [Targets.Name], _ part: ExplainStep.Part, from start: Int,
    _ request: borrowing ConnectorRequest, _ patch: inout Patch
  ) throws(EvaluationError) {
    for index in fields.indices {
      let before = patch.arena.count
      let isThere = emit(fields[index].node, request, &patch)
      if trace != nil { explain(part, names[index].text, fields[index].node, request, &patch) }
      guard isThere else {
        if fields[index].isOptional { continue }
        throw missing(patch.state.missing, "the \(part.described) \(names[index].text)")
      }
      patch.scratch.clear()
      if before > start { patch.scratch.append(UInt8(ascii: "&")) }
      patch.scratch.append(names[index].encoded)
      patch.scratch.append(UInt8(ascii: "="))
      patch.scratch.appendEncoded(
        patch.arena, before..<patch.arena.count, asForm: part == .form || connector.queryIsForm)
      patch.arena.truncate(to: before)
      patch.arena.append(patch.scratch, from: 0)
    }
  }

  /// Whether a server that ignores case may take one name for the other. Of ASCII, as nearly all are, nothing is allocated.
  static func isAlike(_ one: String, _ other: String) -> Bool {
    if one.utf8.elementsEqual(other.utf8, by: { $0.asciiLowercased == $1.asciiLowercased }) { return true }
    if one.utf8.allSatisfy({ $0 < 0x80 }), other.utf8.allSatisfy({ $0 < 0x80 }) { return false }
    // Both ways: the long s and the Kelvin sign are letters of ASCII to servers that fold case.
    return one.uppercased().lowercased() == other.uppercased().lowercased()
  }

  /// Appends the caller's object without the members that will be set, and then those. No body is an empty object.
  private func appendObject(_ request: borrowing ConnectorRequest, _ patch: inout Patch) throws(EvaluationError) {
    var kept: [JSONMember] = []
    if !request.body.isEmpty {
      guard let members = (try? JSONReader.parse(request.body))?.members else { throw .bodyNotObject }
      kept = members.filter { member in
        !targets.body.contains { Signer.isAlike($0.text, member.key) }
      }
    }
    var object = Buffer()
    object.appendObjectStart()
    for member in kept {
      object.appendKey(member.key)
      object.appendJSON(member.value)
    }
    for index in body.indices {
      let target = body[index]
      let before = patch.arena.count
      let isThere = emit(target.node, request, &patch)
      if trace != nil { explain(.json, targets.body[index].text, target.node, request, &patch) }
      guard isThere else {
        if target.isOptional { continue }
        throw missing(patch.state.missing, "the body's member \(targets.body[index].text)")
      }
      guard patch.hasRoom(for: object.count) else { throw .tooLarge }
      object.appendKey(targets.body[index].text)
      if program.nodes[target.node].type == .number {
        object.append(patch.arena.span.extracting(before...))
      } else {
        let text = patch.arena.span.extracting(before...)
        guard (try? UTF8Span(validating: text)) != nil else { throw .notText(member: targets.body[index].text) }
        object.appendJSON(text)
      }
      patch.arena.truncate(to: before)
    }
    object.appendObjectEnd()
    patch.arena.append(object.span)
  }

  private func missing(_ node: Int, _ target: String) -> EvaluationError {
    .missing(needed: described(node), target: target)
  }

  /// What a node is, for messages: never what is in it, but for a literal, which the connector's file shows anyhow.
  func described(_ node: Int) -> String {
    let found = program.nodes[node]
    return switch found.operation {
    case .header: "the request header \(connector.readHeaders[found.index])"
    case .option: "the option \(connector.options[found.index].name)"
    case .secret: "the secret \(connector.secrets[found.index].name)"
    case .token: "the token's field \(connector.tokenFields[found.index])"
    case .state, .redirectURI, .scope, .code, .codeVerifier:
      "the login's \(OAuthLogin.names[found.operation.loginField ?? 0].text)"
    case .literal: "\"\(String(decoding: program.literal(found), as: UTF8.self))\" where when(…) looks for it"
    case .value where program.nodes[values[found.index].node].childCount == 0: described(values[found.index].node)
    case .value: "the value \(values[found.index].name)"
    case .json: "the field \(program.paths[found.index].written) of a JSON text"
    case .jwtClaim: "the claim \(program.paths[found.index].written) of a token"
    default: "a value"
    }
  }
}

/// Appends the caller's form without the fields that will be set, whatever their case; what stays is not touched.
private func appendOthers(
  _ form: Span<UInt8>, _ names: [Targets.Name], _ patch: inout Patch
) throws(EvaluationError) {
  let start = patch.arena.count
  var lower = 0
  while lower < form.count {
    let end = form.firstOffset(of: UInt8(ascii: "&"), from: lower) ?? form.count
    let field = form.extracting(lower..<end)
    lower = end + 1
    patch.scratch.clear()
    let equals = field.firstOffset(of: UInt8(ascii: "=")) ?? field.count
    guard patch.scratch.appendFormDecoded(field.extracting(..<equals)) else { throw .malformedForm }
    if Targets.contains(patch.scratch.span, names) { continue }
    if patch.arena.count > start { patch.arena.append(UInt8(ascii: "&")) }
    patch.arena.append(field)
  }
}
