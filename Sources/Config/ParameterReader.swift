import Bytes
import Connector
import JSON

/// Reads what a route gives its connector: names of secrets, and options.
struct ParameterReader {
  let report: Report
  let route: String

  /// Parameter → secret, with the default name `<route>/<parameter>` where none is given.
  func secrets(_ member: JSONMember?, of connector: Connector?) -> [String: String] {
    var names: [String: String] = [:]
    for parameter in connector?.secrets ?? [] { names[parameter.name] = "\(route)/\(parameter.name)" }
    guard let member, let given = Section(member, title: "\"secrets\"", report)?.value.members else { return names }
    for entry in given {
      guard let name = secretName(entry), let connector else { continue }
      if connector.secrets.contains(where: { $0.name == entry.key }) {
        names[entry.key] = name
      } else {
        let isOption = connector.options.contains { $0.name == entry.key }
        report.error(
          "connector \"\(connector.name)\" has no secret \"\(entry.key)\"", atKey: entry,
          help: isOption
            ? "it is an option: \"options\": { \"\(entry.key)\": … }"
            : connector.secrets.isEmpty
              ? "it needs no secrets" : report.suggestion(for: entry.key, among: connector.secrets.map(\.name)))
      }
    }
    return names
  }

  /// The name of a stored secret, given as a string or as `{ "secret": name }`.
  func secretName(_ member: JSONMember) -> String? {
    var named = member
    if member.value.members != nil, var section = Section(member, title: "\"\(member.key)\"", report) {
      let inner = section.required("secret", example: "\"\(route)/\(member.key)\"")
      section.finish()
      guard let inner else { return nil }
      named = inner
    }
    guard let name = report.string(named) else { return nil }
    let help = "store it with `chatelaine secret set \(route)/\(member.key.secretNamePart)`, and write that name here"
    if InlineSecret.looksLikeSecret(name) {
      report.error("this looks like a secret, and not like the name of one", at: named.value, help: help)
      return nil
    }
    guard SecretName.isValid(name) else {
      report.error(
        "this is not the name of a secret: letters, digits, \".\", \"_\" and \"-\", in parts between slashes",
        at: named.value,
        help: help)
      return nil
    }
    return name
  }

  /// nil when one is wrong or missing, so that the connector need not be asked.
  func options(_ member: JSONMember?, of connector: Connector?, at place: JSONMember?) -> [String: String]? {
    var values: [String: String] = [:]
    let errorsBefore = report.diagnostics.count
    let given = member.flatMap { Section($0, title: "\"options\"", report)?.value.members } ?? []
    for entry in given {
      guard let connector else { continue }
      if connector.secrets.contains(where: { $0.name == entry.key }) {
        report.error(
          "\"\(entry.key)\" is a secret of connector \"\(connector.name)\", not an option", atKey: entry,
          help: "store it with `chatelaine secret set \(route)/\(entry.key)`, and remove it from this file")
      } else if !connector.options.contains(where: { $0.name == entry.key }) {
        report.error(
          "connector \"\(connector.name)\" has no option \"\(entry.key)\"", atKey: entry,
          help: connector.options.isEmpty
            ? "it has no options" : report.suggestion(for: entry.key, among: connector.options.map(\.name)))
      } else if let text = optionText(entry.value, of: connector, entry.key) {
        if let secret = secret(in: entry.value) {
          report.error(
            "this looks like a secret, and options are in the open", at: secret,
            help: "if it is one, store it with `chatelaine secret set` and use a connector that has a secret for it")
        }
        if text.utf8.containsExpression {
          report.error(
            "\"${\" stands for itself here: an option is plain text", at: entry.value,
            help: "expressions are for the connector's own file")
        }
        values[entry.key] = text
      } else {
        let takesJSON = connector.options.contains { $0.name == entry.key && $0.isJSON }
        let _: String? = report.wrongKind(entry, takesJSON ? "a string, an object or an array" : "a string")
      }
    }
    if let connector, let place = member ?? place {
      let unknown = given.map(\.key).filter { key in !connector.options.contains { $0.name == key } }
      for option in connector.options where option.required && !given.contains(where: { $0.key == option.name }) {
        // A misspelt key says it better than a missing one.
        if unknown.contains(where: { closest(to: $0, among: [option.name]) != nil }) { continue }
        report.error(
          "connector \"\(connector.name)\" needs the option \"\(option.name)\"", atKey: place,
          help: "add \"options\": { \"\(option.name)\": … }")
      }
    }
    return report.diagnostics.count == errorsBefore ? values : nil
  }

  /// The first string in an option, at any depth, that looks like a secret.
  private func secret(in value: JSONValue) -> JSONValue? {
    if let text = value.string { return InlineSecret.looksLikeSecret(text) ? value : nil }
    let inner = value.array ?? value.members?.map(\.value) ?? []
    return inner.lazy.compactMap { secret(in: $0) }.first
  }

  /// A string, or the text of an object or array where the option is one.
  private func optionText(_ value: JSONValue, of connector: Connector, _ name: String) -> String? {
    let takesJSON = connector.options.contains { $0.name == name && $0.isJSON }
    guard takesJSON, value.members != nil || value.array != nil else { return value.string }
    var text = Buffer()
    text.appendJSON(value)
    return String(text.span)
  }

  /// Names of headers that mean something to the connector.
  struct Effect {
    var connector = ""
    var setHeaders: [String] = []
    var readHeaders: [String] = []
  }

  /// What the connector does with these options.
  func effect(
    of connector: Connector?, _ values: [String: String]?, _ member: JSONMember?, _ place: JSONMember?
  ) -> Effect {
    guard let connector, let values else { return Effect() }
    var effect = Effect(connector: connector.name, readHeaders: connector.readHeaders)
    do {
      effect.setHeaders = try connector.targets(options: values).headers.map(\.text)
      var seen: Set<String> = []
      for request in connector.endpoints {
        let origin = try request.location(options: values).origin
        if let origin, seen.insert("\(request.recipient) \(origin)").inserted {
          let entry = member?.value.members?.first { $0.key == request.locationOption }
          if let value = entry?.value ?? place?.value { check(origin, of: request.recipient, at: value) }
        }
      }
    } catch {
      var option: String?
      if case .invalid(let name, _) = error { option = name }
      let entry = member?.value.members?.first { $0.key == option }
      if let value = entry?.value ?? place?.value { report.error(error.message, at: value) }
    }
    return effect
  }
}

extension ParameterReader {
  /// Secrets go there, and users: the same rules as for an upstream, without a way around them.
  private func check(_ origin: String, of recipient: TokenRequest.Recipient, at value: JSONValue) {
    do {
      let upstream = try Upstream(origin)
      if upstream.scheme == .http, !upstream.isLoopback {
        let what = recipient == .tokenEndpoint ? "secrets" : "users"
        report.error(
          "http:// would send \(what) to the \(recipient.rawValue) endpoint in the open", at: value,
          help: "write https://")
      }
    } catch {
      report.error("this is no \(recipient.rawValue) endpoint's address: \(error.message)", at: value, help: error.help)
    }
  }
}

extension String.UTF8View {
  /// Somebody expects that `${…}` is replaced.
  var containsExpression: Bool { zip(self, dropFirst()).contains { $0 == (UInt8(ascii: "$"), UInt8(ascii: "{")) } }
}

extension String {
  /// `X-API-Key` → `x_api_key`: as parameters and secrets are usually called.
  var secretNamePart: String {
    String(lowercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
  }
}
