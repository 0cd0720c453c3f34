/// What `chatelaine help` says; the verbs' table is its source.
enum Help {
  /// - Parameter name: of a verb or a group of verbs; nil: everything.
  /// - Throws: when there is no such verb.
  static func text(about name: String?) throws(CommandError) -> String {
    guard let name else { return overview }
    if let verb = Verb.all.first(where: { $0.name == name }) { return text(about: verb) }
    let group = Verb.all.filter { $0.name.hasPrefix(name + " ") }
    guard !group.isEmpty else {
      throw CommandError(CommandError.Status.usage, "there is no such verb", hint: "\"chatelaine help\" lists them")
    }
    return group.map { text(about: $0) }.joined(separator: "\n\n")
  }

  private static let agentVerbs = Verb.agentVerbs.map(\.name)

  private static let sections: [(title: String, verbs: [String])] = [
    ("Start", ["demo", "init"]),
    ("Secrets", ["secret set", "secret list", "secret rm", "key generate", "key rotate"]),
    ("Tokens", ["login", "logout", "token list", "token drop"]),
    ("Agents (Agent Trust Handshake)", agentVerbs),
    ("Before it runs", ["check", "explain"]),
    ("While it runs", ["serve", "status", "reload", "healthcheck"]),
    ("And", ["version", "help"]),
  ]

  private static var overview: String {
    var text = """
      Chatelaine keeps the credentials of this machine's programs. They send plain HTTP to http://127.0.0.1:7220/<route>/…;
      it signs each request with secrets from an encrypted store and forwards it over TLS.

      usage: chatelaine VERB [--config FILE]

      """
    for section in sections {
      text += "\n\(section.title)\n"
      for verb in Verb.all where section.verbs.contains(verb.name) {
        let usage = verb.operands.isEmpty ? verb.name : "\(verb.name) \(verb.operands)"
        let padding = String(repeating: " ", count: max(30 - usage.count, 2))
        text += "  \(usage)\(padding)\(verb.summary)\n"
      }
    }
    return text + """

      The configuration is --config FILE, $CHATELAINE_CONFIG, ~/.config/chatelaine/chatelaine.jsonc or
      /etc/chatelaine/chatelaine.jsonc. Results go to stdout, messages to stderr; --json prints data for programs.
      Exit status: 0, 64 usage, 65 data, 69 unavailable, 74 I/O, 77 permission, 78 configuration.

      First time here: chatelaine demo
      More about a verb: chatelaine help VERB
      """
  }

  private static func text(about verb: Verb) -> String {
    var text = "usage: \(verb.usage)\n\n\(verb.summary.prefix(1).uppercased())\(verb.summary.dropFirst()).\n"
    if !verb.details.isEmpty { text += "\n\(verb.details)\n" }
    text += "\nOptions\n"
    let width = verb.allOptions.map(\.shown.count).max() ?? 0
    text += verb.allOptions.map { option in
      "  \(option.shown)\(String(repeating: " ", count: width - option.shown.count + 2))\(option.about)"
    }.joined(separator: "\n")
    return text
  }
}
