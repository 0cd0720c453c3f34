/// A second reading of targets and hosts by section B and C of the rules, as plain as can be: everything is taken apart into
/// arrays, nothing is fast. What our readers accept, this has to accept, too.
enum Plain {
  static let digits = Set("0123456789".utf8)
  static let letters = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)
  static let hexDigits = digits.union("abcdefABCDEF".utf8)
  static let tokens = letters.union(digits).union("!#$%&'*+-.^_`|~".utf8)
  static let unreserved = letters.union(digits).union("-._~".utf8)
  static let targets = unreserved.union(":/?[]@!$&'()*+,;=%".utf8)

  static func isToken(_ bytes: some Collection<UInt8>) -> Bool { !bytes.isEmpty && bytes.allSatisfy(tokens.contains) }

  static func lowered(_ bytes: some Collection<UInt8>) -> String {
    String(decoding: bytes.map { $0 >= 0x41 && $0 <= 0x5A ? $0 + 32 : $0 }, as: UTF8.self)
  }

  /// Row 46.
  static func isHost(_ bytes: some Collection<UInt8>, needsPort: Bool = false) -> Bool {
    let text = Array(bytes)
    var name = text
    var port: [UInt8]?
    let colon = text.lastIndex(of: 0x3A)
    if let colon, text.last != 0x5D {
      name = Array(text[..<colon])
      port = Array(text[(colon + 1)...])
    }
    if let port {
      guard (1...5).contains(port.count), port.allSatisfy(digits.contains) else { return false }
      guard let number = Int(String(decoding: port, as: UTF8.self)), number <= 65535 else { return false }
    } else if needsPort {
      return false
    }
    if name.first == 0x5B {
      let inside = name.dropFirst().dropLast()
      return name.last == 0x5D && inside.contains(0x3A)
        && inside.allSatisfy { hexDigits.contains($0) || $0 == 0x3A || $0 == 0x2E }
    }
    return !name.isEmpty && name.allSatisfy { letters.contains($0) || digits.contains($0) || "-._".utf8.contains($0) }
      && name.first != 0x2E && name.last != 0x2E
  }

  /// Rows 22–40. The path and query of a valid target; nil when it is none.
  static func split(target: [UInt8], method: String) -> (path: [UInt8], query: [UInt8]?)? {
    guard !target.isEmpty, target.allSatisfy(targets.contains) else { return nil }
    if method == "CONNECT" { return isHost(target, needsPort: true) ? ([], nil) : nil }
    if target == [0x2A] { return method == "OPTIONS" ? ([], nil) : nil }
    var rest = target
    if rest.first != 0x2F {
      let scheme = ["http://", "https://"].first { lowered(rest.prefix($0.utf8.count)) == $0 }
      guard let scheme else { return nil }
      rest.removeFirst(scheme.utf8.count)
      let authority = rest.prefix { $0 != 0x2F && $0 != 0x3F }
      guard isHost(authority) else { return nil }
      rest.removeFirst(authority.count)
    }
    let path = Array(rest.prefix { $0 != 0x3F })
    let query = path.count < rest.count ? Array(rest[(path.count + 1)...]) : nil
    guard !path.starts(with: [0x2F, 0x2F]), isPath(path), query.map(isEncoded) ?? true else { return nil }
    return (path, query)
  }

  /// Rows 36–40.
  private static func isPath(_ path: [UInt8]) -> Bool {
    guard isEncoded(path) else { return false }
    let once = decoded(path)
    guard !once.contains(where: { $0 < 0x20 || $0 == 0x7F || $0 == 0x5C }) else { return false }
    return [path, once, decoded(once)].allSatisfy { text in
      text.split(omittingEmptySubsequences: false) { $0 == 0x2F || $0 == 0x5C }
        .allSatisfy { $0 != [0x2E] && $0 != [0x2E, 0x2E] }
    }
  }

  /// Rows 35 and 40: every `%` has its two digits, and what comes out is UTF-8.
  private static func isEncoded(_ bytes: [UInt8]) -> Bool {
    for (i, byte) in bytes.enumerated() where byte == 0x25 {
      guard i + 2 < bytes.count, hexDigits.contains(bytes[i + 1]), hexDigits.contains(bytes[i + 2]) else {
        return false
      }
    }
    return String(validating: decoded(bytes), as: UTF8.self) != nil
  }

  private static func decoded(_ bytes: [UInt8]) -> [UInt8] {
    var out: [UInt8] = []
    var rest = bytes[...]
    while let byte = rest.popFirst() {
      if byte == 0x25, rest.count >= 2, let value = UInt8(hex: rest.prefix(2)) {
        out.append(value)
        rest.removeFirst(2)
      } else {
        out.append(byte)
      }
    }
    return out
  }
}

extension UInt8 {
  init?(hex digits: ArraySlice<UInt8>) {
    guard digits.allSatisfy(Plain.hexDigits.contains) else { return nil }
    self.init(String(decoding: digits, as: UTF8.self), radix: 16)
  }
}
