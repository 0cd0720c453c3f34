import Connector
import JSON

/// One object of the file. Each key is asked for by its name; what nobody asked for is unknown.
struct Section {
  let report: Report
  /// For messages: `route "codegate"`; empty for the file itself.
  let title: String
  /// Where a missing key is reported.
  let place: JSONMember?
  let value: JSONValue
  private let members: [JSONMember]
  private var asked: [String] = []

  /// nil, with an error, when the value is no object.
  init?(_ member: JSONMember, title: String, _ report: Report) {
    guard let members = member.value.members else {
      report.error("\(title) is an object, not \(member.value.kindName)", at: member.value)
      return nil
    }
    self.report = report
    self.title = title
    self.place = member
    self.value = member.value
    self.members = members
  }

  /// An object that has no key: the file, or an element of an array.
  init?(_ value: JSONValue, title: String, _ report: Report) {
    guard let members = value.members else {
      report.error("\(title.isEmpty ? "the file" : title) is an object, not \(value.kindName)", at: value)
      return nil
    }
    self.report = report
    self.title = title
    self.place = nil
    self.value = value
    self.members = members
  }

  mutating func optional(_ key: String) -> JSONMember? {
    asked.append(key)
    return members.first { $0.key.utf8.elementsEqual(key.utf8) }
  }

  /// - Parameter example: what to write, as a help.
  mutating func required(_ key: String, example: String) -> JSONMember? {
    if let member = optional(key) { return member }
    let message = "\"\(key)\" is missing" + (title.isEmpty ? "" : " in \(title)")
    let help = "for example \"\(key)\": \(example)"
    // A misspelt key says it better than a missing one.
    let isMisspelt = members.contains { !asked.contains($0.key) && closest(to: $0.key, among: [key]) != nil }
    if isMisspelt { return nil }
    if let place {
      report.error(message, atKey: place, help: help)
    } else {
      report.error(message, at: value, help: help)
    }
    return nil
  }

  /// Reports the keys that nobody asked for.
  consuming func finish() {
    for member in members where !asked.contains(where: { $0.utf8.elementsEqual(member.key.utf8) }) {
      if InlineSecret.isSecretName(member.key), let text = member.value.string, !text.isEmpty {
        report.error(
          "a secret stands here in the open", at: member.value,
          help: "store it with `chatelaine secret set`, and remove it from this file")
        continue
      }
      let place = title.isEmpty ? "" : " in \(title)"
      report.error(
        "unknown key \"\(member.key)\"\(place)", atKey: member, help: report.suggestion(for: member.key, among: asked))
    }
  }
}
