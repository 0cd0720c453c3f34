import JSON

/// Reads the words behind `chatelaine`. Options may stand anywhere; `--` ends them.
///
/// No message repeats an operand: somebody may have put a secret there.
struct ArgumentReader {
  private var words: ArraySlice<String>
  private var verb: Verb?
  private var names: [String] = []
  private var operands: [String] = []
  private var options: [String: String] = [:]

  /// What was asked for.
  enum Request {
    case run(Invocation)
    /// Help about a verb or a group of verbs; nil about everything.
    case help(String?)
  }

  init(_ arguments: [String]) {
    words = arguments[...]
  }

  mutating func read() throws(CommandError) -> Request {
    var onlyOperands = false
    while let word = words.popFirst() {
      if word == "--", !onlyOperands {
        onlyOperands = true
      } else if word.hasPrefix("-"), word != "-", !onlyOperands {
        try readOption(word)
      } else if verb == nil {
        try readName(word)
      } else {
        operands.append(word)
      }
    }
    if has("--help") { return .help(names.isEmpty ? nil : names.joined(separator: " ")) }
    guard let verb else {
      guard let group = names.first else { throw .usage("what is to be done? For example: chatelaine demo") }
      let verbs = Verb.all.filter { $0.name.hasPrefix(group + " ") }.map(\.name)
      throw CommandError(
        CommandError.Status.usage, "\(group) what?", hint: verbs.map { "chatelaine \($0)" }.joined(separator: "\n"))
    }
    if verb.name == "help" {
      return .help(operands.isEmpty ? nil : operands.joined(separator: " "))
    }
    try checkOperands(verb)
    for name in options.keys where !verb.allOptions.contains(where: { $0.name == name }) {
      throw .usage("\(verb.name) has no \(name)", verb)
    }
    return .run(Invocation(verb: verb, operands: operands, options: options))
  }

  private func has(_ option: String) -> Bool { options[option] != nil }

  private mutating func readName(_ word: String) throws(CommandError) {
    let name = (names + [word]).joined(separator: " ")
    if let verb = Verb.all.first(where: { $0.name == name }) {
      self.verb = verb
    } else if !names.isEmpty || !Verb.all.contains(where: { $0.name.hasPrefix(word + " ") }) {
      let parts = Verb.all.filter { names.isEmpty || $0.name.hasPrefix(names[0] + " ") }
      let known = parts.map { verb in String(verb.name.split(separator: " ")[names.count]) }
      let meant = closest(to: word, among: known).map { ": did you mean \"\($0)\"?" } ?? ""
      let what = names.isEmpty ? "there is no such verb" : "\(names[0]) has no such verb"
      throw CommandError(
        CommandError.Status.usage, what + meant,
        hint: "\"\((["chatelaine help"] + names).joined(separator: " "))\" lists them")
    }
    names.append(word)
  }

  private mutating func readOption(_ word: String) throws(CommandError) {
    let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let short = ["-h": "--help", "-V": "--version"]
    let name = short[word] ?? String(parts[0])
    if name == "--version", names.isEmpty {
      verb = Verb.all.first { $0.name == "version" }
      return
    }
    let known = Verb.global + (verb?.allOptions ?? [])
    guard let option = known.first(where: { $0.name == name }) else {
      let meant = closest(to: name, among: known.map(\.name)).map { ": did you mean \"\($0)\"?" } ?? ""
      throw .usage((verb.map { "\($0.name) has" } ?? "there is") + " no such option" + meant, verb)
    }
    guard options[name] == nil else { throw .usage("\(name) is there twice", verb) }
    guard option.value != nil else {
      guard parts.count == 1 else { throw .usage("\(name) takes no value", verb) }
      options[name] = ""
      return
    }
    if parts.count == 2 {
      options[name] = String(parts[1])
    } else {
      options[name] = words.popFirst()
    }
    guard let value = options[name], !value.isEmpty else { throw .usage("\(name) needs a value", verb) }
  }

  private func checkOperands(_ verb: Verb) throws(CommandError) {
    if operands.count < verb.operandCount.lowerBound {
      throw .usage("\(verb.name) needs \(verb.operands)", verb)
    }
    if operands.count > verb.operandCount.upperBound {
      if verb.name == "secret set" {
        throw .usage("a value is never an argument: others could read it in ps and in the shell's history", verb)
      }
      throw .usage(operands.count == 1 ? "\(verb.name) takes nothing more" : "\(verb.name) takes fewer words", verb)
    }
  }
}
