import HTTP

/// A second reading of a head, by sections A, C, D, E and G of the rules: lines, then fields, then what they mean.
struct PlainHead {
  var first: [UInt8]
  var fields: [(name: [UInt8], value: [UInt8])] = []

  /// - Parameter bytes: a head with its empty line, and nothing behind it.
  init?(_ bytes: [UInt8], _ limits: HTTPLimits, isRequest: Bool) {
    var rest = bytes[...]
    if isRequest, rest.starts(with: [0x0D, 0x0A]) { rest.removeFirst(2) }
    guard bytes.count <= limits.head, rest.suffix(4) == [0x0D, 0x0A, 0x0D, 0x0A] else { return nil }
    var lines: [ArraySlice<UInt8>] = []
    while let end = rest.indices.first(where: { rest[$0...].starts(with: [0x0D, 0x0A]) }) {
      lines.append(rest[rest.startIndex..<end])
      rest = rest[(end + 2)...]
    }
    guard rest.isEmpty, lines.count >= 2, lines.removeLast().isEmpty, !lines.contains(where: \.isEmpty) else {
      return nil
    }
    first = Array(lines.removeFirst())
    guard lines.count <= limits.fields else { return nil }
    for line in lines {
      guard line.count <= limits.field, let colon = line.firstIndex(of: 0x3A) else { return nil }
      let name = line[..<colon]
      guard Plain.isToken(name), name.count <= 128 else { return nil }
      let blank: Set<UInt8> = [0x20, 0x09]
      let value = line[(colon + 1)...].drop(while: blank.contains).reversed().drop(while: blank.contains).reversed()
      guard value.allSatisfy({ $0 == 0x09 || $0 >= 0x20 && $0 != 0x7F }) else { return nil }
      fields.append((Array(name), Array(value)))
    }
    guard !first.contains(0x0A) else { return nil }
  }

  /// The values under a name.
  func values(_ name: String) -> [[UInt8]] { fields.filter { Plain.lowered($0.name) == name }.map(\.value) }

  /// Sections E and F: what follows the head; nil when that is in doubt.
  func framing(isHTTP10: Bool) -> BodyFraming? {
    let lengths = values("content-length")
    let codings = values("transfer-encoding")
    if !codings.isEmpty {
      return codings.count == 1 && lengths.isEmpty && !isHTTP10 && Plain.lowered(codings[0]) == "chunked"
        ? .chunked : nil
    }
    guard let length = lengths.first else { return BodyFraming.none }
    guard lengths.count == 1, !length.isEmpty, length.allSatisfy(Plain.digits.contains) else { return nil }
    guard length.count == 1 || length.first != 0x30 else { return nil }
    return Int64(String(decoding: length, as: UTF8.self)).map { .length(UInt64($0)) }
  }

  /// Row 101 and 102: a list of tokens, none of which names what we rely on.
  func hasSoundConnection(emptyElements: Bool) -> Bool {
    let relied: Set = [
      "host", "content-length", "transfer-encoding", "authorization", "expect", "connection", "cookie", "content-type",
      "x-chatelaine-token", "x-chatelaine-subject",
    ]
    return values("connection").allSatisfy { value in
      value.split(separator: 0x2C, omittingEmptySubsequences: false).allSatisfy { element in
        let token = element.filter { $0 != 0x20 && $0 != 0x09 }
        if token.isEmpty { return emptyElements }
        return Plain.isToken(token) && !relied.contains(Plain.lowered(token))
      }
    }
  }
}

/// The second reading of a request's head.
struct PlainRequest {
  var method: [UInt8]
  var path: [UInt8]
  var query: [UInt8]?
  var minorVersion: Int
  var host: [UInt8]
  var framing: BodyFraming
  var head: PlainHead

  init?(_ bytes: [UInt8], _ limits: HTTPLimits) {
    guard let head = PlainHead(bytes, limits, isRequest: true) else { return nil }
    self.head = head
    let parts = head.first.split(separator: 0x20, omittingEmptySubsequences: false).map(Array.init)
    guard parts.count == 3, Plain.isToken(parts[0]), parts[0].count <= limits.method, parts[1].count <= limits.target,
      let version = ["HTTP/1.0", "HTTP/1.1"].firstIndex(of: String(decoding: parts[2], as: UTF8.self)),
      let target = Plain.split(target: parts[1], method: String(decoding: parts[0], as: UTF8.self))
    else { return nil }
    method = parts[0]
    (path, query) = target
    minorVersion = version
    let hosts = head.values("host")
    guard hosts.count == 1, Plain.isHost(hosts[0]) else { return nil }
    host = hosts[0]
    guard let framing = head.framing(isHTTP10: version == 0), head.hasSoundConnection(emptyElements: false) else {
      return nil
    }
    self.framing = framing
    // Row 54: with `-` for `_` no name says what only the framing, the connection and we say.
    let ours: Set = ["host", "connection", "content-length", "transfer-encoding", "expect", "upgrade"]
    for name in head.fields.map({ Plain.lowered($0.name) }) where name.contains("_") {
      let meant = String(name.map { $0 == "_" ? "-" : $0 })
      if ours.contains(meant) || meant.hasPrefix("x-chatelaine-") { return nil }
    }
    // Row 63.
    for name in [
      "authorization", "content-type", "date", "origin", "x-chatelaine-token", "x-chatelaine-subject", "range",
    ]
    where head.values(name).count > 1 { return nil }
    // Row 59.
    for name in [
      "host", "connection", "content-length", "transfer-encoding", "expect", "authorization", "x-chatelaine-token",
    ]
    where head.values(name).contains(where: { $0.contains { $0 >= 0x80 } }) { return nil }
    // Rows 106 and 107.
    let expectations = head.values("expect")
    if version == 1, expectations.contains(where: { Plain.lowered($0) != "100-continue" }) || expectations.count > 1 {
      return nil
    }
  }
}
