import Bytes
import Crypto
import Glibc
import JSON
import Net

extension Verb {
  static let login = Verb(
    name: "login", operands: "ROUTE", operandCount: 1...1,
    options: [
      Option(name: "--subject", value: "S", about: "who logs in, where a route has several users (default)"),
      Option(name: "--scope", value: "SCOPE", about: "what is asked for, in place of the route's own"),
      Option(name: "--no-browser", about: "only print the address"),
    ],
    printsData: true, summary: "log a user in to a route, through the running daemon",
    details: """
      Prints the provider's address, opens a browser there, and waits until the user is back. Where the browser cannot reach
      this machine (over ssh), let it fail, and paste the address that it ends at: it begins with the route's redirect URI.
      """
  ) { invocation, console throws(CommandError) in
    let setup = try invocation.setup()
    let route = invocation.operands[0]
    let subject = invocation.options["--subject"] ?? TokenKey.standard
    let begun = try StoreAccess.askDaemon(setup, "POST", place(route), wish(subject, invocation.options["--scope"]))
    guard let url = begun["authorization_url"]?.string, let state = begun["state"]?.string else {
      throw CommandError(CommandError.Status.unavailable, "the daemon's answer names no address")
    }
    console.tell("Log in here:\n\n  \(url)\n")
    if !invocation.has("--no-browser"), !Browser.open(url) { console.tell("No browser could be opened.") }
    if isatty(0) == 1 {
      console.tell("Waiting. If the browser cannot come back to this machine, paste the address that it ends at.")
    }
    let deadline = Clock.milliseconds() + UInt64(clamping: begun["expires_in"]?.int ?? 300) * 1000
    var lines = LineReader()
    while Clock.milliseconds() < deadline {
      if let line = try lines.next(within: 1000) {
        guard let mark = line.firstIndex(of: "?") else {
          console.tell("That is no address with a code. It has a \"?\", and \"code\" and \"state\" behind it.")
          continue
        }
        let query = Array(line[line.index(after: mark)...].prefix { $0 != "#" }.utf8)
        let answer = try StoreAccess.askDaemon(setup, "POST", place(route, "return"), Secret(copying: query.span))
        return show(answer, route, invocation, console)
      }
      let answer = try StoreAccess.askDaemon(
        setup, "POST", place(route, "state"), Secret(copying: Array(state.utf8).span))
      if answer["pending"] == nil { return show(answer, route, invocation, console) }
    }
    throw CommandError(
      CommandError.Status.unavailable, "nobody came back within five minutes", hint: "chatelaine login \(route)")
  }

  static let logout = Verb(
    name: "logout", operands: "ROUTE", operandCount: 1...1,
    options: [Option(name: "--subject", value: "S", about: "whose session, where a route has several users (default)")],
    summary: "end a user's session",
    details: "Its tokens are forgotten here, also those in the store. The provider is not told."
  ) { invocation, console throws(CommandError) in
    let route = invocation.operands[0]
    let subject = invocation.options["--subject"] ?? TokenKey.standard
    _ = try StoreAccess.askDaemon(try invocation.setup(), "DELETE", place(route, subject))
    console.show("logged out: \(subject) of \(route)")
  }

  private static func show(_ session: JSONValue, _ route: String, _ invocation: Invocation, _ console: Console) {
    if invocation.isJSON { return console.show(session) }
    var text = "logged in: \(session["subject"]?.string ?? "") to \(route)"
    if let seconds = session["expires_in"]?.int { text += ", for \(duration(seconds))" }
    if let scope = session["scope"]?.string { text += ", for \(scope)" }
    console.show(text)
  }

  static func duration(_ seconds: Int) -> String {
    switch seconds {
    case ..<120: "\(seconds) seconds"
    case ..<7200: "\(seconds / 60) minutes"
    case ..<172_800: "\(seconds / 3600) hours"
    default: "\(seconds / 86_400) days"
    }
  }

  private static func wish(_ subject: String, _ scope: String?) -> Secret {
    var text = Buffer()
    text.appendObjectStart()
    text.appendMember("subject", subject)
    if let scope { text.appendMember("scope", scope) }
    text.appendObjectEnd()
    return Secret(copying: text.span)
  }

  /// A login's place in the admin API.
  private static func place(_ parts: String...) -> String {
    var path = Buffer()
    path.append("/logins")
    for part in parts {
      path.append("/")
      path.appendPercentEncoded(Array(part.utf8).span)
    }
    return String(path.span)
  }
}

/// Lines that somebody may type while something else is waited for.
private struct LineReader {
  private var bytes: [UInt8] = []
  private var hasEnded = false

  /// The next line, without its end; nil when none has come in so many milliseconds.
  mutating func next(within milliseconds: Int32) throws(CommandError) -> String? {
    var asked = pollfd(fd: hasEnded ? -1 : 0, events: Int16(POLLIN), revents: 0)
    guard unsafe poll(&asked, 1, milliseconds) > 0 else { return nil }
    var room = [UInt8](repeating: 0, count: 4096)
    let count = unsafe read(0, &room, room.count)
    guard count > 0 else {
      hasEnded = true
      return nil
    }
    bytes += room[..<count]
    guard bytes.count <= 16 << 10 else {
      throw CommandError(CommandError.Status.data, "that is too long for an address", hint: "nothing was done")
    }
    guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
    defer { bytes.removeSubrange(...end) }
    let line = String(decoding: bytes[..<end], as: UTF8.self)
    return line.allSatisfy(\.isWhitespace) ? nil : line
  }
}
