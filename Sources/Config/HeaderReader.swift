import Bytes
import Connector
import JSON

/// Reads the headers that a route adds by itself.
struct HeaderReader {
  let report: Report
  let route: String
  /// What the connector sets and reads.
  let effect: ParameterReader.Effect

  /// Framing, connection and authority, which are ours to decide (RFC 9110 §7.6.1, RFC 9112 §6), and the headers that
  /// would say otherwise.
  private static let ours: Set<String> = [
    "connection", "content-length", "expect", "forwarded", "host", "http2-settings", "keep-alive", "proxy-authenticate",
    "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "via",
  ]

  func headers(_ member: JSONMember) -> [HeaderConfiguration] {
    guard let members = Section(member, title: "\"headers\"", report)?.value.members else { return [] }
    var seen: [String: Position] = [:]
    var headers: [HeaderConfiguration] = []
    for entry in members {
      guard check(name: entry) else { continue }
      if let first = seen.updateValue(entry.keyPosition, forKey: entry.key.headerKey) {
        report.error(
          "header \"\(entry.key)\" is already set at \(first.lineAndColumn)", atKey: entry,
          help: "names of headers are the same in upper and lower case")
        continue
      }
      if let value = value(entry) { headers.append(HeaderConfiguration(name: entry.key, value: value)) }
    }
    return headers
  }

  private func check(name entry: JSONMember) -> Bool {
    let token = ByteSet.letters.union(.digits).union(ByteSet("!#$%&'*+-.^_`|~"))
    guard (1...128).contains(entry.key.utf8.count), entry.key.utf8.allSatisfy({ token.contains($0) }) else {
      report.error(
        "\"\(entry.key)\" cannot be a header's name", atKey: entry, help: "letters, digits and any of !#$%&'*+-.^_`|~")
      return false
    }
    let key = entry.key.headerKey
    if HeaderReader.ours.contains(key) || key.hasPrefix("x-chatelaine-") {
      report.error("header \"\(entry.key)\" is the daemon's to set", atKey: entry, help: "remove it")
      return false
    }
    if effect.setHeaders.contains(where: { $0.headerKey == key }) {
      report.error(
        "header \"\(entry.key)\" is set by the connector \"\(effect.connector)\"", atKey: entry, help: "remove it")
      return false
    }
    if effect.readHeaders.contains(where: { $0.headerKey == key }) {
      report.error(
        "header \"\(entry.key)\" is read by the connector \"\(effect.connector)\" as the caller sends it", atKey: entry,
        help: "remove it")
      return false
    }
    return true
  }

  private func value(_ entry: JSONMember) -> HeaderConfiguration.Value? {
    if entry.value.members != nil {
      return ParameterReader(report: report, route: route).secretName(entry).map { .secret($0) }
    }
    guard let text = entry.value.string else {
      return report.wrongKind(entry, "a string or { \"secret\": name }")
    }
    if InlineSecret.isSecretName(entry.key) || InlineSecret.looksLikeSecret(text) {
      let name = "\(route)/\(entry.key.secretNamePart)"
      report.error(
        "a secret stands here in the open", at: entry.value,
        help: "store it with `chatelaine secret set \(name)`, and write { \"secret\": \"\(name)\" }")
      return nil
    }
    if text.utf8.containsExpression {
      report.error(
        "\"${\" stands for itself here: a header is plain text or a stored secret", at: entry.value,
        help: "write { \"secret\": name }, or set the header in a connector's file")
      return nil
    }
    guard text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) || $0 == 0x09 }), text.utf8.count <= 8 << 10 else {
      report.error("a header's value is printable ASCII, at most 8KiB", at: entry.value)
      return nil
    }
    if let first = text.utf8.first, let last = text.utf8.last, first <= 0x20 || last <= 0x20 {
      report.error("a header's value neither begins nor ends with a space", at: entry.value)
      return nil
    }
    return .literal(text)
  }
}

extension String {
  /// What upstreams may take for the same header: any case, and `_` for `-`.
  fileprivate var headerKey: String {
    String(decoding: utf8.map { $0 == 0x5F ? 0x2D : $0.asciiLowercased }, as: UTF8.self)
  }
}
