/// A second reading of the chunked coding, rows 87–99: line after line.
enum PlainChunks {
  /// - Parameter bytes: a chunked body from its first size to its last line end, and nothing behind it.
  /// - Returns: what it carries; nil when it is not valid.
  static func decode(_ bytes: [UInt8]) -> [UInt8]? {
    var rest = bytes[...]
    var body: [UInt8] = []
    var extensionBytes = 0
    while true {
      guard let line = line(&rest), let (size, tail) = head(line) else { return nil }
      extensionBytes += tail
      guard tail <= 256, extensionBytes <= 4096 else { return nil }
      if size == 0 { return trailers(&rest) && rest.isEmpty ? body : nil }
      guard rest.count >= size + 2 else { return nil }
      body += rest.prefix(size)
      rest = rest.dropFirst(size)
      guard rest.starts(with: [0x0D, 0x0A]) else { return nil }
      rest = rest.dropFirst(2)
    }
  }

  private static func line(_ rest: inout ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    guard let end = rest.indices.first(where: { rest[$0...].starts(with: [0x0D, 0x0A]) }) else { return nil }
    let line = rest[rest.startIndex..<end]
    rest = rest[(end + 2)...]
    return line.contains(0x0D) || line.contains(0x0A) ? nil : line
  }

  /// A size and the bytes of its extensions.
  private static func head(_ line: ArraySlice<UInt8>) -> (size: Int, tail: Int)? {
    let digits = line.prefix(while: Plain.hexDigits.contains)
    guard (1...15).contains(digits.count), digits.prefix(while: { $0 == 0x30 }).count <= 8,
      let size = Int(String(decoding: digits, as: UTF8.self), radix: 16)
    else { return nil }
    let tail = line.dropFirst(digits.count)
    return tail.isEmpty || areExtensions(tail) ? (size, tail.count) : nil
  }

  /// `*( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] )`
  private static func areExtensions(_ bytes: ArraySlice<UInt8>) -> Bool {
    var rest = bytes
    func skip() { rest = rest.drop { $0 == 0x20 || $0 == 0x09 } }
    func token() -> Bool {
      let token = rest.prefix(while: Plain.tokens.contains)
      rest = rest.dropFirst(token.count)
      return !token.isEmpty
    }
    while !rest.isEmpty {
      skip()
      guard rest.popFirst() == 0x3B else { return false }
      skip()
      guard token() else { return false }
      let behind = rest
      skip()
      guard rest.first == 0x3D else {
        rest = behind
        continue
      }
      rest = rest.dropFirst()
      skip()
      if rest.first == 0x22 {
        guard quoted(&rest) else { return false }
      } else if !token() {
        return false
      }
    }
    return true
  }

  private static func quoted(_ rest: inout ArraySlice<UInt8>) -> Bool {
    rest = rest.dropFirst()
    while let byte = rest.popFirst() {
      if byte == 0x22 { return true }
      let meant = byte == 0x5C ? rest.popFirst() : byte
      guard let meant, meant == 0x09 || meant >= 0x20 && meant != 0x7F else { return false }
    }
    return false
  }

  private static func trailers(_ rest: inout ArraySlice<UInt8>) -> Bool {
    let before = rest.count
    let forbidden = [
      "content-length", "transfer-encoding", "host", "authorization", "content-type", "cookie", "x-chatelaine-token",
      "trailer", "te", "connection", "content-encoding", "content-range", "set-cookie", "expect", "range",
    ]
    var fields = 0
    while let line = line(&rest) {
      if line.isEmpty { return fields <= 16 && before - rest.count <= 4096 }
      fields += 1
      guard let colon = line.firstIndex(of: 0x3A), Plain.isToken(line[..<colon]) else { return false }
      let name = Plain.lowered(line[..<colon].map { $0 == 0x5F ? 0x2D : $0 })
      guard !forbidden.contains(name) else { return false }
      guard line[colon...].allSatisfy({ $0 == 0x09 || $0 >= 0x20 && $0 != 0x7F }) else { return false }
    }
    return false
  }
}
