import Bytes
import Crypto
import Glibc
import JSON
import Vault

/// What the command line asks of the store through the admin socket. Synchronous: it runs on the keeper's thread.
struct AdminService {
  let vault: Vault

  struct Outcome {
    var status: Int
    /// JSON.
    var body: [UInt8]
    /// The routes have to be given their secrets anew.
    var changesSecrets = false
  }

  func answer(method: String, path: String, body: Secret) -> Outcome {
    do throws(VaultError) {
      let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
      switch (method, parts.first, parts.count) {
      case ("GET", "secrets", 1): return try list()
      case ("PUT", "secrets", 2): return try set(parts.last ?? "", body)
      case ("DELETE", "secrets", 2): return try remove(parts.last ?? "")
      default: return Outcome(status: 404, body: AdminService.problem(404, "there is nothing at \(method) \(path)"))
      }
    } catch {
      return Outcome(status: 500, body: AdminService.problem(500, error.message, exitStatus: error.exitStatus))
    }
  }

  private func list() throws(VaultError) -> Outcome {
    var text = Buffer()
    text.appendArrayStart()
    for secret in try vault.secretList() {
      text.appendObjectStart()
      text.appendMember("name", secret.name)
      text.appendMember("version", secret.version)
      text.appendMember("created", secret.created)
      text.appendMember("updated", secret.updated)
      text.appendObjectEnd()
    }
    text.appendArrayEnd()
    return Outcome(status: 200, body: Array(text.span))
  }

  private func set(_ encoded: Substring, _ value: Secret) throws(VaultError) -> Outcome {
    guard let name = AdminService.decoded(encoded), Vault.isSecretName(name) else { return badName }
    let version = try vault.setSecret(name, value, now: Int64(time(nil)))
    return Outcome(status: 200, body: Array("{\"version\":\(version)}".utf8), changesSecrets: true)
  }

  private func remove(_ encoded: Substring) throws(VaultError) -> Outcome {
    guard let name = AdminService.decoded(encoded) else { return badName }
    guard try vault.removeSecret(name) else {
      return Outcome(status: 404, body: AdminService.problem(404, "there is no secret \"\(name)\"", exitStatus: 65))
    }
    return Outcome(status: 200, body: Array("{}".utf8), changesSecrets: true)
  }

  private var badName: Outcome {
    Outcome(status: 400, body: AdminService.problem(400, "that is no name for a secret", exitStatus: 64))
  }

  private static func decoded(_ text: Substring) -> String? {
    let bytes = Array(text.utf8)
    var decoded = Buffer()
    guard decoded.appendPercentDecoded(bytes.span) else { return nil }
    return String(decoded.span)
  }

  /// An error as the command line reads it: RFC 9457, with the exit status to end with.
  static func problem(_ status: Int, _ detail: String, hint: String? = nil, exitStatus: Int32 = 69) -> [UInt8] {
    var text = Buffer()
    text.appendObjectStart()
    text.appendMember("status", status)
    text.appendMember("detail", detail)
    if let hint { text.appendMember("hint", hint) }
    text.appendMember("exit_status", exitStatus)
    text.appendObjectEnd()
    return Array(text.span)
  }
}
