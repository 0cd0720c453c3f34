import Bytes
import Connector
import JSON

/// What servers said of an agent, as people read it.
extension Verb {
  /// A text of a server's: one line, and nothing that a terminal would obey.
  static func said(_ value: JSONValue?) -> String {
    value?.string.map { TokenRecipe.clean($0, hiding: []) } ?? "-"
  }

  /// Its texts, with spaces between.
  static func words(_ value: JSONValue?) -> String {
    let words = value?.array?.compactMap(\.string) ?? []
    return words.isEmpty ? "-" : words.map { TokenRecipe.clean($0, hiding: []) }.joined(separator: " ")
  }

  /// A word as a shell takes it for just that, to be part of a command that somebody copies.
  static func shellWord(_ text: String) -> String {
    let isPlain = text.utf8.allSatisfy {
      ByteSet.unreserved.contains($0) || ":@%+=/".utf8.contains($0)
    }
    if isPlain, !text.isEmpty { return text }
    return "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
  }

  /// What `status` tells of agents: a line for each session, or one for an agent without.
  static func showAgents(_ routes: [JSONValue], _ console: Console) {
    var rows = [["AGENT", "REGISTERED", "SUBJECT", "STATE", "ASKED", "APPROVED", "EFFECTIVE"]]
    for route in routes {
      guard let agent = route["agent"] else { continue }
      let registered =
        agent["registration"].map { said($0["agent_status"]) } ?? (agent["has_key"]?.bool == true ? "no" : "no key")
      let start = [route["name"]?.string ?? "-", registered]
      let sessions = agent["sessions"]?.array ?? []
      if sessions.isEmpty { rows.append(start + ["-", "-", "-", "-", "-"]) }
      for session in sessions {
        rows.append(
          start + [said(session["subject"]), said(session["state"])]
            + ["asked", "approved", "effective"].map { words(session[$0]) })
      }
    }
    guard rows.count > 1 else { return }
    console.show()
    console.table(rows)
  }
}
