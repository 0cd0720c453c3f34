import JSON

/// Google's Wycheproof vectors, as they lie in Tests/Vectors/wycheproof.
enum Wycheproof {
  struct Case {
    let group: JSONValue
    let fields: JSONValue

    var id: Int { fields["tcId"]?.int ?? -1 }
    var isValid: Bool { fields["result"]?.string == "valid" }

    func bytes(_ key: String) -> [UInt8] {
      guard let text = fields[key]?.string else { fatalError("case \(id) has no \(key)") }
      return CryptoTests.bytes(hex: text)
    }
  }

  /// Every case of one file; fewer than it says it has is a mistake of the test.
  static func cases(_ file: String) throws -> [Case] {
    let document = try JSONReader.parse(vectors("wycheproof/\(file)"))
    let groups = document["testGroups"]?.array ?? []
    let cases = groups.flatMap { group in (group["tests"]?.array ?? []).map { Case(group: group, fields: $0) } }
    precondition(!cases.isEmpty && cases.count == document["numberOfTests"]?.int)
    return cases
  }
}
