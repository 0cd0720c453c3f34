/// What is wrong with a file that someone wrote, as a compiler would say it.
public struct Diagnostic: Sendable, Equatable {
  public enum Severity: String, Sendable { case error, warning }

  public var file: String
  public var position: Position
  public var severity: Severity
  public var message: String
  /// The line at fault, what looks like a secret masked; it may differ from the file in length.
  public var sourceLine: String
  /// Characters of `sourceLine` before the fault.
  public var caretOffset: Int
  /// Characters of `sourceLine` at fault, at least 1.
  public var length: Int
  /// What to do: `did you mean "upstream"?`
  public var help: String?

  /// `file:line:column: error: message`.
  public var headline: String { "\(file):\(position.lineAndColumn): \(severity.rawValue): \(message)" }

  /// The headline, the source line, a caret under the fault, and the help, if there is one. No line feed at the end.
  public var rendered: String {
    // Tabs stay tabs, so that the caret stands where the terminal puts the character.
    let before = sourceLine.unicodeScalars.prefix(caretOffset).map { $0 == "\t" ? "\t" : " " }
    var text = headline + "\n  " + sourceLine + "\n  " + before.joined() + "^"
    text += String(repeating: "~", count: max(length - 1, 0))
    if let help { text += "\n  help: " + help }
    return text
  }
}

extension Diagnostic {
  /// Errors before warnings' neighbours: in the order of the file, as an editor lists them.
  public static func sorted(_ diagnostics: [Diagnostic]) -> [Diagnostic] {
    diagnostics.sorted { ($0.file, $0.position.offset) < ($1.file, $1.position.offset) }
  }
}
