import Bytes
import JSON

/// Holding what a connector did against what its vector expects; both values stand in the message.
extension VectorReader {
  mutating func compareValues(
    _ expected: JSONValue?, _ name: String, _ signer: Signer, _ request: borrowing ConnectorRequest,
    _ patch: inout Patch
  ) {
    for member in expected?.members ?? [] {
      guard let text = text(member.value) else { continue }
      guard let index = connector.values.firstIndex(where: { $0.name == member.key }) else {
        unknown(member, connector.values.map(\.name))
        continue
      }
      let start = patch.arena.count
      let isThere = signer.append(patch.state.values[index], request, &patch)
      let found = isThere ? String(patch.arena.span.extracting(start...)) : "absent"
      compare(member.key, found, text, name, at: member.value)
    }
  }

  mutating func compareHeaders(
    _ expected: JSONValue?, _ name: String, _ signer: Signer, _ patch: borrowing Patch
  ) {
    for member in expected?.members ?? [] {
      guard let text = text(member.value) else { continue }
      let names = signer.targets.headers.map(\.text)
      guard let index = names.firstIndex(where: { $0.lowercased() == member.key.lowercased() }) else {
        unknown(member, names)
        continue
      }
      let header = patch.headers.first { $0.name == index }
      let found = header.map { String(patch.bytes.extracting($0.value)) } ?? "absent"
      compare(member.key, found, text, name, at: member.value)
    }
  }

  /// Fields of the query or form as sent, decoded; each is expected once.
  mutating func compareFields(_ expected: JSONValue?, _ part: String, _ name: String, _ sent: [UInt8]?) {
    guard let members = expected?.members else { return }
    var form = Buffer()
    form.append(sent ?? [])
    var arena = Buffer()
    var pairs: [Pair] = []
    _ = Pair.decode(form, into: &arena, &pairs)
    for member in members {
      guard let wanted = text(member.value) else { continue }
      var found: [String] = []
      for pair in pairs where String(arena.span.extracting(pair.name)) == member.key {
        found.append(String(arena.span.extracting(pair.value)))
      }
      compare(
        "\(part) \(member.key)", found.isEmpty ? "absent" : found.joined(separator: " and "), wanted, name,
        at: member.value)
    }
  }

  /// Members of the JSON body as sent: a number is expected as a number.
  mutating func compareMembers(_ expected: JSONValue?, _ name: String, _ sent: [UInt8]?) {
    guard let members = expected?.members else { return }
    let body = sent.flatMap { try? JSONReader.parse($0) }
    for member in members {
      compare(
        "json \(member.key)", body?[member.key].map(json) ?? "absent", json(member.value), name, at: member.value)
    }
  }

  private func json(_ value: JSONValue) -> String {
    var buffer = Buffer()
    buffer.appendJSON(value)
    return String(buffer.span)
  }

  mutating func compare(
    _ what: String, _ found: String, _ expected: String, _ name: String, at value: JSONValue
  ) {
    // By byte: strings that only look alike are not equal.
    if !found.utf8.elementsEqual(expected.utf8) {
      error("vector \(name): \(what) is \(quoted(found)), expected \(quoted(expected))", at: value)
    }
  }
}
