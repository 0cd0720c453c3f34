import JSON
import Vault

/// Why a command did not do what it was told: a message, the next step, and the status to exit with (sysexits.h).
struct CommandError: Error {
  var message: String
  var hint: String?
  var exitStatus: Int32

  /// The statuses that the command line exits with.
  enum Status {
    static let usage: Int32 = 64
    static let data: Int32 = 65
    static let unavailable: Int32 = 69
    static let inputOutput: Int32 = 74
    static let permission: Int32 = 77
    static let configuration: Int32 = 78
  }

  init(_ exitStatus: Int32, _ message: String, hint: String? = nil) {
    self.message = message
    self.hint = hint
    self.exitStatus = exitStatus
  }

  init(_ error: VaultError) {
    self.init(error.exitStatus, error.message, hint: error.hint)
  }

  init(_ error: SetupError) {
    self.init(
      error.exitStatus, error.message, hint: error.hint.map { $0.hasPrefix("chatelaine ") ? "run \"\($0)\"" : $0 })
    if case .invalid(let diagnostics) = error {
      let count = diagnostics.filter { $0.severity == .error }.count
      message += "\n\(count) error\(count == 1 ? "" : "s")"
      isReport = true
    }
  }

  init(_ error: Serve.Failure) {
    self.init(error.exitStatus, error.message, hint: error.hint)
  }

  /// Runs a step of the vault.
  @discardableResult
  static func wrap<Result: ~Copyable>(_ body: () throws(VaultError) -> Result) throws(CommandError) -> Result {
    do throws(VaultError) { return try body() } catch { throw CommandError(error) }
  }

  static func usage(_ message: String, _ verb: Verb? = nil) -> CommandError {
    let usage = verb.map { "usage: \($0.usage)\n" } ?? ""
    let help = verb.map { "chatelaine help \($0.name)" } ?? "chatelaine help"
    return CommandError(Status.usage, message, hint: "\(usage)\"\(help)\" says more")
  }

  /// A list of diagnostics, each with its own place: nothing stands before it.
  private var isReport = false

  /// As it goes to stderr.
  var rendered: String {
    var text = isReport ? message : "chatelaine: \(message)"
    for line in (hint ?? "").split(separator: "\n") { text += "\n  \(line)" }
    return text + "\n"
  }
}
