import Bytes
import Crypto
import Glibc
import JSON

extension Verb {
  static let explain = Verb(
    name: "explain", operands: "ROUTE METHOD TARGET", operandCount: 3...3,
    options: [
      Option(name: "--body", value: "FILE", about: "the request's body"),
      Option(name: "--header", value: "'NAME: VALUE'", about: "a header of the request"),
    ],
    printsData: true, summary: "show what would be sent, step by step, secrets masked; sends nothing",
    details: """
      TARGET is what follows the route's name: a path, and a query if there is one. Each value that the connector works out is
      shown in order, then what it sets. A secret is •••, and so is all that it could be read back from.

        chatelaine explain codegate GET '/api/v1/projects/p1/codes?page=1'
        chatelaine explain codegate POST /api/v1/projects/p1/codes/verify --body body.json
      """
  ) { invocation, console throws(CommandError) in
    let (route, method, target) = (invocation.operands[0], invocation.operands[1], invocation.operands[2])
    guard target.hasPrefix("/") else { throw CommandError.usage("TARGET begins with /", invocation.verb) }
    guard !route.isEmpty, !route.utf8.contains(UInt8(ascii: "/")) else {
      throw CommandError.usage("ROUTE is a route's name", invocation.verb)
    }
    let setup = try invocation.setup()
    var request = Buffer()
    let body = try body(invocation.options["--body"])
    request.append("\(method) /\(route)\(target) HTTP/1.1\r\nHost: localhost\r\n")
    if let header = invocation.options["--header"] { request.append("\(header)\r\n") }
    if !body.isEmpty { request.append("Content-Length: \(body.count)\r\n") }
    request.append("\r\n")
    request.append(body)
    let answer = try StoreAccess(setup).ask("POST", "/explain", Secret(copying: request.span))
    if invocation.isJSON { console.show(answer) } else { show(answer, console) }
    guard let error = answer["error"]?.string else { return }
    // As far as it went.
    try console.finish()
    throw CommandError(CommandError.Status.data, error)
  }

  private static func body(_ file: String?) throws(CommandError) -> [UInt8] {
    guard let file else { return [] }
    let descriptor = file == "-" ? 0 : unsafe open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY)
    guard descriptor >= 0 else { throw CommandError(CommandError.Status.inputOutput, "\(file): \(reason())") }
    defer { if descriptor != 0 { close(descriptor) } }
    var bytes: [UInt8] = []
    while bytes.count < 1 << 20 {
      var chunk = [UInt8](repeating: 0, count: 65536)
      let count = unsafe Glibc.read(descriptor, &chunk, chunk.count)
      guard count >= 0 else {
        if errno == EINTR { continue }
        throw CommandError(CommandError.Status.inputOutput, "\(file): \(reason())")
      }
      if count == 0 { return bytes }
      bytes += chunk[..<count]
    }
    throw CommandError(CommandError.Status.data, "\(file): explain takes bodies below 1 MiB")
  }

  private static func show(_ answer: JSONValue, _ console: Console) {
    func text(_ key: String, of value: JSONValue) -> String { value[key]?.string ?? "" }
    console.show("\(text("method", of: answer)) \(text("url", of: answer))")
    let steps = answer["steps"]?.array ?? []
    let values = steps.filter { text("part", of: $0) == "value" }
    if !values.isEmpty {
      console.show("\nWorked out by the connector \(text("connector", of: answer)):\n")
      for step in values { show(text("name", of: step), step["shown"]?.string, console) }
    }
    for (part, title) in [
      ("query", "Query parameters"), ("json", "Members of the body"), ("form", "Form fields"), ("header", "Headers"),
    ] {
      var set = steps.filter { text("part", of: $0) == part }
      if part == "header" { set = (answer["headers"]?.array ?? []) + set }
      if set.isEmpty { continue }
      console.show("\n\(title) added:\n")
      for step in set { show(text("name", of: step), step["shown"]?.string, console) }
    }
    console.tell("\nNothing was sent.")
  }

  /// A name, and its value at a column of its own; lines of the value stay below each other.
  private static func show(_ name: String, _ value: String?, _ console: Console) {
    let column = 20
    let padding = String(repeating: " ", count: max(column - name.unicodeScalars.count, 2))
    let lines = (value ?? "(absent)").split(separator: "\n", omittingEmptySubsequences: false)
    console.show("  \(name)\(padding)\(lines.first ?? "")")
    let rest = String(repeating: " ", count: max(column, name.unicodeScalars.count + 2) + 2)
    for line in lines.dropFirst() { console.show(rest + line) }
  }
}
