/// A verb of the command line: what it takes, what it does, and what help says of it.
struct Verb: Sendable {
  /// One word, or two: `secret set`.
  let name: String
  /// As usage shows them: `ROUTE METHOD TARGET`.
  var operands = ""
  /// How many there may be.
  var operandCount = 0...0
  var options: [Option] = []
  /// Prints data, and takes `--json`.
  var printsData = false
  /// One line.
  let summary: String
  /// What a reader of `help` wants to know beyond that.
  var details = ""
  let run: @Sendable (Invocation, Console) throws(CommandError) -> Void

  struct Option: Sendable {
    /// With its dashes.
    let name: String
    /// What its value is called; nil: it has none.
    var value: String?
    let about: String

    var shown: String { value.map { "\(name) \($0)" } ?? name }
  }

  static let config = Option(
    name: "--config", value: "FILE", about: "the configuration, when it is not in its usual place")
  static let json = Option(name: "--json", about: "print the result as JSON")
  static let help = Option(name: "--help", about: "say what this is about")

  /// Options that may also stand before the verb.
  static let global = [config, json, help]

  var allOptions: [Option] {
    options + (printsData ? [Verb.json] : []) + (name == "version" || name == "help" ? [] : [Verb.config]) + [Verb.help]
  }

  var usage: String {
    var text = "chatelaine \(name)"
    if !operands.isEmpty { text += " \(operands)" }
    for option in options { text += " [\(option.shown)]" }
    return text
  }
}

/// A verb with what was written behind it.
struct Invocation {
  let verb: Verb
  var operands: [String] = []
  /// By name; an option without a value has an empty one.
  var options: [String: String] = [:]

  var isJSON: Bool { options["--json"] != nil }

  func has(_ option: String) -> Bool { options[option] != nil }

  /// The configuration that the command is about.
  /// - Throws: when there is none, or it is wrong.
  func setup() throws(CommandError) -> Setup {
    do throws(SetupError) {
      return try Setup.load(options["--config"])
    } catch {
      throw CommandError(error)
    }
  }
}
