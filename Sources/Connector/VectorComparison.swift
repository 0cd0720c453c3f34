import Bytes
import JSON

/// Holding what a connector did against what its vector expects: `null` means that it is not there.
extension VectorReader {
  mutating func compareValues(
    _ expected: JSONValue?, _ name: String, _ signer: Signer, _ request: borrowing ConnectorRequest,
    _ patch: inout Patch
  ) {
    for member in expected?.members ?? [] {
      guard let index = connector.values.firstIndex(where: { $0.name == member.key }) else {
        unknown(member, connector.values.map(\.name))
        continue
      }
      let start = patch.arena.count
      var found: String?
      if case .pairs(let row) = patch.state.values[index] {
        patch.scratch.clear()
        patch.encode(row, asForm: true)
        found = String(patch.scratch.span)
      } else if signer.append(patch.state.values[index], request, &patch) {
        found = String(patch.arena.span.extracting(start...))
      }
      compare(member.key, found, member.value, name)
    }
  }

  mutating func compareHeaders(_ expected: JSONValue?, _ name: String, _ signer: Signer, _ patch: borrowing Patch) {
    for member in expected?.members ?? [] {
      let names = signer.targets.headers.map(\.text)
      guard let index = names.firstIndex(where: { $0.lowercased() == member.key.lowercased() }) else {
        unknown(member, names)
        continue
      }
      let header = patch.headers.first { $0.name == index }
      compare(member.key, header.map { String(patch.bytes.extracting($0.value)) }, member.value, name)
    }
  }

  /// Fields of the query or form as sent, decoded; each is expected once.
  mutating func compareFields(_ expected: JSONValue?, _ part: String, _ name: String, _ sent: [UInt8]) {
    guard let members = expected?.members else { return }
    var form = Buffer()
    form.append(sent)
    var arena = Buffer()
    var pairs: [Pair] = []
    _ = Pair.decode(form, into: &arena, &pairs)
    for member in members {
      var found: [String] = []
      for pair in pairs where String(arena.span.extracting(pair.name)) == member.key {
        found.append(String(arena.span.extracting(pair.value)))
      }
      compare(
        "\(part) \(member.key)", found.isEmpty ? nil : found.joined(separator: " and "), member.value, name)
    }
  }

  /// Members of the JSON body as sent: a number is expected as a number.
  mutating func compareMembers(_ expected: JSONValue?, _ name: String, _ sent: [UInt8]) {
    guard let members = expected?.members else { return }
    let body = try? JSONReader.parse(sent)
    for member in members {
      if let text = body?[member.key]?.string, VectorReader.isSignature(member.value) {
        compareSignature("json \(member.key)", text, member.value, name)
        continue
      }
      let found = body?[member.key].map { written($0) }
      if found != written(member.value), found != nil || !member.value.isNull {
        differ("json \(member.key)", found, written(member.value), name, at: member.value)
      }
    }
  }

  mutating func compare(_ what: String, _ found: String?, _ expected: JSONValue, _ name: String) {
    if expected.isNull {
      if let found { differ(what, quoted(found), "nothing", name, at: expected) }
    } else if VectorReader.isSignature(expected) {
      compareSignature(what, found, expected, name)
    } else if let text = text(expected) {
      // By byte: strings that only look alike are not equal.
      if found?.utf8.elementsEqual(text.utf8) != true {
        differ(what, found.map { quoted($0) }, quoted(text), name, at: expected)
      }
    }
  }

  mutating func differ(
    _ what: String, _ found: String?, _ expected: String, _ name: String, at value: JSONValue
  ) {
    error("vector \(name): \(what) is \(found ?? "absent"), expected \(expected)", at: value)
  }

  func quoted(_ text: String) -> String { written(JSONValue(.string(text))) }

  func written(_ value: JSONValue) -> String {
    var buffer = Buffer()
    buffer.appendJSON(value)
    return String(buffer.span)
  }
}

extension JSONValue {
  fileprivate var isNull: Bool {
    if case .null = kind { true } else { false }
  }
}
