import Bytes
import JSON

/// Checks `callers` and `allow`, and refuses them: they must be right before the day they are obeyed.
enum CallerRules {
  static let feature = "rules for several callers"
  private static let help =
    "without \"callers\" and \"allow\" only processes of the daemon's own uid may call; remove them"

  /// - Returns: the callers' names.
  static func callers(_ member: JSONMember, _ report: Report) -> [String] {
    report.error("\(feature) are not in this version yet", atKey: member, help: help)
    guard let members = Section(member, title: "\"callers\"", report)?.value.members else { return [] }
    for entry in members {
      if entry.key.isEmpty || !SecretName.isValid(entry.key) {
        report.error(
          "\"\(entry.key)\" cannot be a caller's name", atKey: entry, help: "letters, digits, \".\", \"_\" and \"-\"")
      }
      guard var section = Section(entry, title: "caller \"\(entry.key)\"", report) else { continue }
      let uid = section.optional("uid")
      let token = section.optional("token")
      let errorsBefore = report.diagnostics.count
      section.finish()
      if let uid { _ = report.integer(uid, in: 0...4_294_967_294) }
      if let token { check(token: token, report) }
      if uid == nil, token == nil, report.diagnostics.count == errorsBefore {
        report.error(
          "caller \"\(entry.key)\" has nothing to be known by", atKey: entry,
          help: "\"uid\": 1001, \"token\": true or both")
      }
    }
    return members.map(\.key)
  }

  private static func check(token: JSONMember, _ report: Report) {
    if token.value.string != nil {
      report.error(
        "a secret stands here in the open", at: token.value, help: "\"token\": true, and the daemon makes one")
    } else if report.bool(token) == false {
      report.error("\"token\" is true or not there", at: token.value)
    }
  }

  static func allow(_ member: JSONMember, _ callers: [String], _ report: Report) {
    report.error("\(feature) are not in this version yet", atKey: member, help: help)
    for element in report.array(member) ?? [] {
      guard var rule = Section(element, title: "a rule of \"allow\"", report) else { continue }
      let (names, methods, paths) = (rule.optional("callers"), rule.optional("methods"), rule.optional("paths"))
      rule.finish()
      each(names, report) { value, text in
        if callers.contains(text) { return }
        report.error(
          "unknown caller \"\(text)\"", at: value,
          help: callers.isEmpty ? "there are no \"callers\"" : report.suggestion(for: text, among: callers))
      }
      each(methods, report) { value, text in
        let token = ByteSet.letters.union(.digits).union(ByteSet("!#$%&'*+-.^_`|~"))
        if !text.utf8.allSatisfy({ token.contains($0) }) {
          report.error("\"\(text)\" is no method", at: value)
        } else if ["get", "head", "post", "put", "patch", "delete", "options"].contains(text.lowercased()),
          text != text.uppercased()
        {
          report.error("methods are upper-case", at: value, help: "did you mean \"\(text.uppercased())\"?")
        }
      }
      each(paths, report) { value, text in check(path: text, value, report) }
    }
  }

  private static func each(_ member: JSONMember?, _ report: Report, _ body: (JSONValue, String) -> Void) {
    guard let member, let elements = report.array(member) else { return }
    if elements.isEmpty {
      report.error(
        "\"\(member.key)\" is empty: the rule would allow nothing", at: member.value, help: "leave it out for all")
    }
    for element in elements {
      if let text = report.string(JSONMember(member.key, element)) { body(element, text) }
    }
  }

  /// Segments between slashes: literal, `*` for one, `**` at the end for all that follow.
  private static func check(path text: String, _ value: JSONValue, _ report: Report) {
    let bytes = Array(text.utf8)
    guard bytes.first == UInt8(ascii: "/") else {
      report.error("a path rule begins with \"/\"", at: value)
      return
    }
    var start = 1
    let segments = bytes[1...].split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    for (index, segment) in segments.enumerated() {
      let range = start..<(start + max(segment.count, 1))
      start += segment.count + 1
      let isLast = index == segments.count - 1
      switch String(decoding: segment, as: UTF8.self) {
      case "*", "": if segment.isEmpty, !isLast { report.error("a segment is empty", in: value, decoded: range) }
      case "**":
        if !isLast {
          report.error("\"**\" can only be the last segment", in: value, decoded: range, help: "\"*\" is one segment")
        }
      case let text where text.contains("*"):
        report.error(
          "\"*\" stands for a whole segment", in: value, decoded: range, help: "write \"*\" between two slashes")
      case let text where text.contains("?") || text.contains("#"):
        report.error("a path rule has no query and no fragment", in: value, decoded: range)
      default:
        if let why = PathSegment.mistake(in: segment) { report.error(why, in: value, decoded: range) }
      }
    }
  }
}
