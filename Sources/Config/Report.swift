import Bytes
import JSON

/// What was found wrong so far. Reading goes on after a mistake, so that all are told at once.
final class Report {
  private let plain: Source
  /// The source with what may be a secret masked. To find that takes longer than all else, and is needed only to say what is
  /// wrong.
  private(set) lazy var source = SecretMask.masked(plain)
  private(set) var diagnostics: [Diagnostic] = []
  /// What the source masks, as text: a message that quotes the file must not quote that.
  private lazy var hidden = source.masked.filter { $0.count >= 4 }.map {
    String(decoding: plain.bytes[$0], as: UTF8.self)
  }

  init(_ source: Source) { plain = source }

  var hasErrors: Bool { diagnostics.contains { $0.severity == .error } }

  func add(_ diagnostic: Diagnostic) {
    var diagnostic = diagnostic
    for secret in hidden {
      diagnostic.message = diagnostic.message.split(separator: secret, omittingEmptySubsequences: false).joined(
        separator: "•••")
      diagnostic.help = diagnostic.help?.split(separator: secret, omittingEmptySubsequences: false).joined(
        separator: "•••")
    }
    diagnostics.append(diagnostic)
  }

  func error(_ message: String, at value: JSONValue, help: String? = nil) {
    add(source.diagnostic(message, at: value, help: help))
  }

  func error(_ message: String, atKey member: JSONMember, help: String? = nil) {
    add(source.diagnostic(message, atKey: member, help: help))
  }

  func error(_ message: String, in value: JSONValue, decoded range: Range<Int>, help: String? = nil) {
    add(source.diagnostic(message, in: value, decoded: range, help: help))
  }

  func warning(_ message: String, at value: JSONValue, help: String? = nil) {
    add(source.diagnostic(message, at: value, severity: .warning, help: help))
  }

  // MARK: values of one kind, or an error and nil

  func string(_ member: JSONMember) -> String? {
    guard let text = member.value.string else { return wrongKind(member, "a string") }
    guard !text.isEmpty else {
      error("\"\(member.key)\" is empty", at: member.value)
      return nil
    }
    return text
  }

  func bool(_ member: JSONMember) -> Bool? {
    member.value.bool ?? wrongKind(member, "true or false")
  }

  func integer(_ member: JSONMember, in range: ClosedRange<Int>) -> Int? {
    guard case .number = member.value.kind else { return wrongKind(member, "a number") }
    guard let number = member.value.int, range.contains(number) else {
      error(
        "\"\(member.key)\" is a whole number from \(range.lowerBound) to \(range.upperBound)", at: member.value)
      return nil
    }
    return number
  }

  func array(_ member: JSONMember) -> [JSONValue]? {
    member.value.array ?? wrongKind(member, "an array")
  }

  func choice<Choice: RawRepresentable & CaseIterable>(_ member: JSONMember, _: Choice.Type) -> Choice?
  where Choice.RawValue == String {
    guard let text = string(member) else { return nil }
    if let choice = Choice(rawValue: text) { return choice }
    let words = Choice.allCases.map(\.rawValue)
    error("\"\(member.key)\" cannot be \"\(text)\"", at: member.value, help: suggestion(for: text, among: words))
    return nil
  }

  /// An absolute path: the daemon has no directory that a relative one would start from.
  func path(_ member: JSONMember, limit: Int = 4095) -> String? {
    guard let text = string(member) else { return nil }
    if !text.hasPrefix("/") {
      error(
        "\"\(member.key)\" is not an absolute path", at: member.value,
        help: text.hasPrefix("~") ? "\"~\" is not expanded; write the whole path" : "write the whole path, from \"/\"")
      return nil
    }
    if text.utf8.contains(0) || text.utf8.count > limit {
      error("\"\(member.key)\" is a path of at most \(limit) bytes, without NUL", at: member.value)
      return nil
    }
    return text
  }

  func wrongKind<Value>(_ member: JSONMember, _ wanted: String, help: String? = nil) -> Value? {
    error("\"\(member.key)\" is \(wanted), not \(member.value.kindName)", at: member.value, help: help)
    return nil
  }

  /// `did you mean "a"?`, or all that there is to choose from.
  func suggestion(for word: String, among words: [String]) -> String {
    if let close = closest(to: word, among: words) { return "did you mean \"\(close)\"?" }
    let quoted = words.map { "\"\($0)\"" }
    guard let last = quoted.last, quoted.count > 1 else { return "the only one is \(quoted.first ?? "none")" }
    return "one of \(quoted.dropLast().joined(separator: ", ")) and \(last)"
  }
}
