import JSON

/// Resolves names and checks types: turns what was written into nodes of the program.
///
/// Every mistake of a string is reported, none twice: what depends on something already wrong stays silent.
struct Checker {
  var scope: Scope
  var program = Program()
  /// Mistakes in the string being compiled.
  private(set) var errors: [LanguageError] = []

  init(scope: Scope) {
    self.scope = scope
  }

  /// A string of the connector as one node: a lone expression keeps its type, anything else is text.
  /// - Returns: nil when it is wrong; `errors` then says why, or the reason was reported where it lies.
  mutating func compile(_ text: String) -> Int? {
    errors = []
    let template: Template
    do {
      template = try ExpressionParser.parse(text)
    } catch {
      errors = [error]
      return nil
    }
    if template.pieces.count == 1, case .expression(let only) = template.pieces[0] {
      return compile(only)
    }
    var children: [Int] = []
    for piece in template.pieces {
      switch piece {
      case .literal(let bytes): children.append(program.addLiteral(bytes))
      case .expression(let expression):
        guard let node = compile(expression) else { continue }
        children.append(node)
        if program.nodes[node].type == .pairs {
          _ = fail(
            "pairs inside text", expression.range, "form_encode(…) or join('&', …) writes pairs as text")
        }
      }
    }
    guard children.count == template.pieces.count else { return nil }
    guard errors.isEmpty else { return nil }
    return children.count == 1 ? children[0] : add(.concat, children)
  }

  private mutating func compile(_ expression: Expression) -> Int? {
    switch expression.kind {
    case .text(let bytes): return program.addLiteral(bytes)
    case .number(let value):
      return program.add(Node(operation: .number, type: .number, traits: .fixed, payload: value))
    case .name(let word, nil): return compileName(word)
    case .name(let family, let field?): return compileField(family, field, expression.range)
    case .call(let word, let arguments): return compileCall(word, arguments, expression.range)
    }
  }

  // MARK: Names

  private mutating func compileName(_ word: Expression.Word) -> Int? {
    if let known = scope.names[word.text] {
      note(known.operation)
      return program.add(Node(operation: known.operation, type: known.type, traits: known.traits))
    }
    if let index = scope.values.firstIndex(where: { $0.name == word.text }) {
      return compileValue(index, word)
    }
    if scope.families.contains(word.text) {
      return fail("\"\(word.text)\" needs a field", word.range, "write \(word.text).<name>")
    }
    if let function = Function.table[word.text] {
      return fail("\"\(word.text)\" is a function", word.range, "call it: \(function.usage)")
    }
    if let family = family(declaring: word.text) {
      return fail("unknown name \"\(word.text)\"", word.range, "did you mean \"\(family).\(word.text)\"?")
    }
    if OAuthLogin.names.contains(where: { $0.text == word.text }) {
      return fail(
        "unknown name \"\(word.text)\"", word.range,
        "a login's names stand in \"oauth\" alone, and the code in \"exchange\"")
    }
    let names = scope.names.keys.sorted() + scope.values.map(\.name) + scope.families
    let known =
      scope.names.isEmpty
      ? scope.meaning
      : "the names are " + scope.names.keys.sorted().joined(separator: ", ")
        + (scope.families.contains("header") ? " and earlier values" : "")
    return fail("unknown name \"\(word.text)\"", word.range, meant(word.text, names) ?? known)
  }

  private mutating func compileValue(_ index: Int, _ word: Expression.Word) -> Int? {
    let value = scope.values[index]
    guard value.isDefined else {
      if let cycle = cycle(from: index) {
        // A value of it that is defined already has told it.
        if scope.values.contains(where: { $0.isDefined && cycle.contains($0.name) }) { return nil }
        return fail("values that need each other: \(cycle.joined(separator: " → "))", word.range, nil)
      }
      return fail(
        "\"\(value.name)\" is not defined yet: values are evaluated in order", word.range,
        "move \"\(value.name)\" up, before what uses it")
    }
    guard let node = value.node else { return nil }
    return program.add(
      Node(
        operation: .value, type: program.nodes[node].type, traits: program.nodes[node].traits, payload: Int64(index)),
      children: [])
  }

  /// The way from a value that is not defined yet back to the one being defined, if there is one.
  private func cycle(from index: Int) -> [String]? {
    guard let current = scope.values.firstIndex(where: { !$0.isDefined }) else { return nil }
    let start = scope.values[current].name
    var paths = [[start, scope.values[index].name]]
    if index == current { return paths[0] }
    var seen: Set<String> = []
    while let path = paths.popLast() {
      guard let last = path.last, seen.insert(last).inserted,
        let value = scope.values.first(where: { $0.name == last })
      else { continue }
      if value.mentions.contains(start) { return path + [start] }
      for name in value.mentions { paths.append(path + [name]) }
    }
    return nil
  }

  private mutating func compileField(_ family: Expression.Word, _ field: Expression.Word, _ range: Range<Int>) -> Int? {
    if RequestName.families.contains(family.text), !scope.families.contains(family.text) {
      return fail("\"\(family.text)\" means nothing here", range, scope.meaning)
    }
    switch family.text {
    case "header": return compileHeader(field, range)
    case "secret":
      guard let index = scope.secrets.firstIndex(where: { $0.name == field.text }) else {
        return fail(
          "unknown secret \"\(field.text)\"", field.range,
          meant(field.text, scope.secrets.map(\.name)) ?? "declare it under \"secrets\"")
      }
      scope.usedSecrets.insert(field.text)
      let traits: Node.Traits = scope.secrets[index].required ? .fixed : [.fixed, .optional]
      return program.add(Node(operation: .secret, type: .bytes, traits: traits, payload: Int64(index)))
    case "option":
      guard let index = scope.options.firstIndex(where: { $0.name == field.text }) else {
        return fail(
          "unknown option \"\(field.text)\"", field.range,
          meant(field.text, scope.options.map(\.name)) ?? "declare it under \"options\"")
      }
      scope.usedOptions.insert(field.text)
      let option = scope.options[index]
      let isOptional = !option.required && option.defaultValue == nil
      return program.add(
        Node(
          operation: .option, type: .bytes, traits: isOptional ? [.fixed, .optional] : .fixed,
          payload: Int64(index)))
    case "token": return compileToken(field, range)
    default:
      if scope.names[family.text] != nil || scope.values.contains(where: { $0.name == family.text }) {
        return fail(
          "\"\(family.text)\" has no fields", family.range.lowerBound..<field.range.upperBound,
          "json(\(family.text), '\(field.text)') reads a field of a JSON text")
      }
      return fail("unknown name \"\(family.text)\"", family.range, meant(family.text, scope.families))
    }
  }

  private mutating func compileHeader(_ field: Expression.Word, _ range: Range<Int>) -> Int? {
    // Text, as all of a connector is while it is read; no request comes by here.
    let name = field.text.lowercased()
    if name == "host" { return fail("the Host header is the upstream's", range, "write host") }
    if scope.setHeaders.contains(name) {
      return fail("this connector sets \"\(field.text)\", so the caller's is removed and cannot be read", range, nil)
    }
    if HeaderName.isNeverForwarded(name) {
      return fail("the header \"\(field.text)\" is never forwarded, so it cannot be read", range, nil)
    }
    let index = scope.readHeaders.firstIndex(of: name) ?? scope.readHeaders.count
    if index == scope.readHeaders.count { scope.readHeaders.append(name) }
    return program.add(Node(operation: .header, type: .bytes, traits: .optional, payload: Int64(index)))
  }

  private mutating func compileToken(_ field: Expression.Word, _ range: Range<Int>) -> Int? {
    if scope.token.isEmpty { return fail("there is no token here: \(scope.tokenless)", range, nil) }
    guard let index = scope.token.firstIndex(where: { $0.name == field.text }) else {
      let known = scope.token.filter { if case .refused = $0.presence { false } else { true } }.map(\.name)
      return fail(
        "the token has no field \"\(field.text)\"", field.range,
        meant(field.text, known) ?? "its fields are \(known.joined(separator: ", ")); more come from \"read\"")
    }
    var traits: Node.Traits = []
    switch scope.token[index].presence {
    case .always: break
    case .perhaps: traits = .optional
    case .refused(let reason): return fail(reason, range, nil)
    }
    scope.reads.token = true
    return program.add(Node(operation: .token, type: .bytes, traits: traits, payload: Int64(index)))
  }

  private mutating func note(_ operation: Operation) {
    switch operation {
    case .body: scope.reads.body = true
    case .query: scope.reads.query = true
    case .nonce, .uuid: scope.reads.entropy = true
    case .subject: scope.reads.subject = true
    case .now, .nowMS, .time: scope.reads.time = true
    default: break
    }
  }

  private func family(declaring name: String) -> String? {
    if scope.secrets.contains(where: { $0.name == name }) { return "secret" }
    if scope.options.contains(where: { $0.name == name }) { return "option" }
    return scope.token.contains { $0.name == name } ? "token" : nil
  }

  // MARK: Calls

  private mutating func compileCall(_ word: Expression.Word, _ arguments: [Expression], _ range: Range<Int>) -> Int? {
    guard let function = Function.table[word.text] else {
      if scope.names[word.text] != nil || scope.values.contains(where: { $0.name == word.text }) {
        return fail("\"\(word.text)\" is a name, not a function", word.range, "write it without parentheses")
      }
      let functions = Function.table.keys.sorted()
      return fail(
        "unknown function \"\(word.text)\"", word.range,
        meant(word.text, functions) ?? "the functions are \(functions.joined(separator: ", "))")
    }
    let most = function.isVariadic ? Int.max : function.arguments.count
    guard arguments.count >= function.required, arguments.count <= most else {
      let wanted = function.required == most ? "\(most)" : "\(function.required) or more"
      return fail(
        "\(word.text) takes \(wanted) argument\(wanted == "1" ? "" : "s"), not \(arguments.count)", range,
        "usage: \(function.usage)")
    }
    if function.operation == .time { return compileTime(arguments) }
    var children: [Int] = []
    for (index, argument) in arguments.enumerated() {
      let wanted = function.arguments[min(index, function.arguments.count - 1)]
      if wanted == .literal {
        guard case .text = argument.kind else {
          _ = fail("this argument of \(word.text) is quoted text", argument.range, "usage: \(function.usage)")
          continue
        }
      }
      guard let node = compile(argument) else { continue }
      let type = program.nodes[node].type
      if wanted.accepts(type) {
        children.append(node)
      } else {
        _ = fail(
          "\(word.text) takes \(wanted.described) here, not \(type.described)", argument.range,
          hint(for: type, wanted, function))
      }
    }
    guard children.count == arguments.count else { return nil }
    switch function.operation {
    case .es256 where program.nodes[children[0]].operation == .literal:
      return fail(
        "a private key in the connector's file is no secret", arguments[0].range,
        "declare one under \"secrets\" and write secret.<name>")
    case .or: return compileOr(children, arguments)
    case .json, .jwtClaim: return compilePath(function, children, arguments)
    case .when:
      let node = add(.when, children, type: program.nodes[children[2]].type)
      program.nodes[node].traits.insert(.optional)
      return node
    default: return add(function.operation, children, type: function.result)
    }
  }

  private func hint(for type: ValueType, _ wanted: Function.Argument, _ function: Function) -> String {
    switch (type, wanted) {
    case (.number, _): "concat(…) writes a number as text"
    case (.pairs, .bytes): "form_encode(…) or join('&', …) writes pairs as text"
    default: "usage: \(function.usage)"
    }
  }

  private mutating func compileOr(_ children: [Int], _ arguments: [Expression]) -> Int? {
    let (first, second) = (program.nodes[children[0]], program.nodes[children[1]])
    guard first.traits.contains(.optional) else {
      return fail("this is never absent, so the second argument of or is never used", arguments[0].range, nil)
    }
    guard first.type == second.type else {
      return fail(
        "or takes two of a kind: this is \(second.type.described), the first \(first.type.described)",
        arguments[1].range, nil)
    }
    let node = add(.or, children, type: first.type)
    if !second.traits.contains(.optional) { program.nodes[node].traits.remove(.optional) }
    return node
  }

  private mutating func compilePath(_ function: Function, _ children: [Int], _ arguments: [Expression]) -> Int? {
    // Once a load, and part of the connector's text: a path is no secret. Requests walk the compiled one.
    let written = String(decoding: program.literal(program.nodes[children[1]]), as: UTF8.self)
    guard let path = JSONPath(written) else {
      return fail("not a path", arguments[1].range, "write names and array indexes with dots: 'data.items.0.id'")
    }
    let node = add(function.operation, [children[0]], payload: program.add(path))
    program.nodes[node].traits.insert(.optional)
    return node
  }

  private mutating func compileTime(_ arguments: [Expression]) -> Int? {
    var texts: [[UInt8]] = []
    for argument in arguments {
      guard case .text(let text) = argument.kind else {
        _ = fail("this argument of time is quoted text", argument.range, "usage: time('format', 'zone')")
        continue
      }
      texts.append(text)
    }
    guard texts.count == arguments.count else { return nil }
    note(.time)
    var offset = 0
    if texts.count == 2 {
      guard let zone = TimeFormat.offset(zone: texts[1]) else {
        return fail("not a time zone", arguments[1].range, "write 'UTC' or an offset like '+08:00'")
      }
      offset = zone
    }
    do {
      let format = try TimeFormat(texts[0], offset: offset)
      return add(.time, [], payload: program.add(format), traits: [])
    } catch {
      // The opening quote stands before the text; a doubled quote inside moves what follows, and no directive has one.
      let start = arguments[0].range.lowerBound + 1
      return fail(
        "time: \(error.message)", start + error.range.lowerBound..<start + error.range.upperBound, nil)
    }
  }

  // MARK: Nodes

  private mutating func add(
    _ operation: Operation, _ children: [Int], type: ValueType = .bytes, payload: Int64 = 0, traits: Node.Traits? = nil
  ) -> Int {
    let inherited = children.map { program.nodes[$0].traits }
    // A signature is another each time.
    let isFixed = operation != .es256 && inherited.allSatisfy { $0.contains(.fixed) }
    var result: Node.Traits = isFixed ? .fixed : []
    if inherited.contains(where: { $0.contains(.optional) }) { result.insert(.optional) }
    if operation.isOneWay {
      result.insert(.binary)
    } else {
      let keepsBinary = [.concat, .join, .lower, .upper, .or, .when].contains(operation)
      if keepsBinary, inherited.contains(where: { $0.contains(.binary) }) { result.insert(.binary) }
    }
    return program.add(
      Node(operation: operation, type: type, traits: traits ?? result, payload: payload), children: children)
  }

  private mutating func fail(_ message: String, _ range: Range<Int>, _ suggestion: String?) -> Int? {
    errors.append(LanguageError(message: message, range: range, suggestion: suggestion))
    return nil
  }

  private func meant(_ word: String, _ candidates: some Sequence<String>) -> String? {
    closest(to: word, among: candidates).map { "did you mean \"\($0)\"?" }
  }
}
