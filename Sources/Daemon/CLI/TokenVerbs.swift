import Bytes
import Crypto
import JSON

extension Verb {
  static let tokenList = Verb(
    name: "token list", printsData: true, summary: "show the cached tokens: their state and expiry, never a value",
    details: """
      A token is fetched with a route's first request, renewed before it expires, and kept in the store over restarts. A
      generation counts how often that happened. Without a running daemon the list shows what is stored.
      """
  ) { invocation, console throws(CommandError) in
    let answer = try StoreAccess(try invocation.setup()).ask("GET", "/tokens")
    if invocation.isJSON { return console.show(answer) }
    var rows = [["ROUTE", "SUBJECT", "STATE", "EXPIRES", "GENERATION", "LAST ERROR"]]
    for token in answer.array ?? [] {
      rows.append([
        token["route"]?.string ?? "", token["subject"]?.string ?? "", token["state"]?.string ?? "",
        token["expires"]?.int.map(Verb.timeText) ?? "-", token["generation"]?.int.map { "\($0)" } ?? "-",
        token["last_error"]?.string ?? "-",
      ])
    }
    if rows.count == 1 { return console.tell("no token is cached; a route's first request fetches one") }
    console.table(rows)
  }

  static let tokenDrop = Verb(
    name: "token drop", operands: "ROUTE", operandCount: 1...1,
    options: [Option(name: "--subject", value: "S", about: "whose token, where a route has several (default)")],
    summary: "forget a cached token",
    details: """
      The next request fetches a new one. A session that somebody logged in to is over with its token: "chatelaine login"
      begins another. The vendor is not told.
      """
  ) { invocation, console throws(CommandError) in
    let route = invocation.operands[0]
    let subject = invocation.options["--subject"] ?? TokenKey.standard
    _ = try StoreAccess(try invocation.setup()).ask("DELETE", tokenPath(route, subject))
    console.show("dropped the token of \(route) for \(subject)")
  }

  /// A token's place in the admin API.
  static func tokenPath(_ route: String, _ subject: String) -> String {
    var path = Buffer()
    path.append("/tokens/")
    path.appendPercentEncoded(Array(route.utf8).span)
    path.append("/")
    path.appendPercentEncoded(Array(subject.utf8).span)
    return String(path.span)
  }
}
