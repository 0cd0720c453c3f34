import Bytes
import Crypto
import Glibc
import JSON
import Testing
import Vault
@testable import Daemon

/// The endpoints of the admin socket, without the socket.
struct AdminServiceTests {
  private let directory: String
  private let service: AdminService

  init() throws {
    var template = Array("/tmp/chatelaine-admin-XXXXXX".utf8CString)
    precondition(mkdtemp(&template) != nil)
    directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let config = """
      {
        "version": 1,
        "store": { "path": "\(directory)/store.db", "key": { "file": "\(directory)/master.key" } },
        "routes": {
          "vendor": {
            "connector": "codegate", "upstream": "https://api.example.com/base",
            "headers": { "X-Tenant": "t1", "X-User": { "secret": "vendor/user" } },
          },
        },
      }
      """
    let key = MasterKey.generate()
    try Vault.create(path: directory + "/store.db", key: key, now: 1)
    service = AdminService(
      vault: try Vault(path: directory + "/store.db", key: key),
      setup: try Setup.checked(directory + "/chatelaine.jsonc", Array(config.utf8)))
  }

  private func clean() {
    for name in ["store.db", "store.db-wal", "store.db.lock", "next.key"] { unlink(directory + "/" + name) }
    rmdir(directory)
  }

  private func secret(_ text: String) -> Secret { Secret(copying: Array(text.utf8).span) }

  private func ask(_ method: String, _ path: String, _ body: String = "") -> (
    outcome: AdminService.Outcome, json: JSONValue?
  ) {
    let outcome = service.answer(method: method, path: path, body: Secret(copying: Array(body.utf8).span))
    return (outcome, try? JSONReader.parse(outcome.body))
  }

  @Test func `a secret is set, listed and removed, and the routes are told`() throws {
    defer { clean() }
    let set = ask("PUT", "/secrets/vendor%2Fsecret", "canary-1")
    #expect(set.outcome.status == 200 && set.outcome.changesSecrets && set.json?["version"]?.int == 1)
    #expect(ask("PUT", "/secrets/vendor%2Fsecret", "canary-2").json?["version"]?.int == 2)
    let list = ask("GET", "/secrets")
    #expect(list.outcome.status == 200 && !list.outcome.changesSecrets)
    #expect(list.json?.array?.compactMap { $0["name"]?.string } == ["vendor/secret"])
    #expect(!String(decoding: list.outcome.body, as: UTF8.self).contains("canary"))
    #expect(try service.vault.secret("vendor/secret") == secret("canary-2"))
    #expect(ask("DELETE", "/secrets/vendor%2Fsecret").outcome.changesSecrets)
    #expect(try service.vault.secretList().isEmpty)
  }

  @Test(arguments: [
    ("PUT", "/secrets/vendor%2Fsecret", "", 422, 65), ("PUT", "/secrets/not%20a%20name", "v", 400, 64),
    ("PUT", "/secrets/%zz", "v", 400, 64), ("DELETE", "/secrets/nothing", "", 422, 65),
    ("POST", "/key/rotate", "{}", 400, 64), ("POST", "/key/rotate", "{\"key\":{\"file\":\"/no/such/key\"}}", 422, 78),
    ("POST", "/key/rotate", "{\"key\":{\"secret\":\"x\"}}", 400, 64), ("POST", "/explain", "nonsense", 400, 64),
    ("POST", "/explain", "GET /nowhere/x HTTP/1.1\r\nHost: localhost\r\n\r\n", 422, 78),
    ("GET", "/nothing", "", 400, 64), ("PATCH", "/secrets", "", 400, 64),
  ]) func `what cannot be done is a problem with the command line's exit status`(
    _ method: String, _ path: String, _ body: String, _ status: Int, _ exitStatus: Int
  ) {
    defer { clean() }
    let (outcome, json) = ask(method, path, body)
    #expect(outcome.status == status)
    #expect(!outcome.changesSecrets)
    #expect(json?["exit_status"]?.int == exitStatus)
    #expect(json?["detail"]?.string?.isEmpty == false)
  }

  @Test func `a rotation opens the store with the new key only`() throws {
    defer { clean() }
    try MasterKeySource.generateFile(directory + "/next.key")
    _ = ask("PUT", "/secrets/a", "1")
    #expect(ask("POST", "/key/rotate", "{\"key\":{\"file\":\"\(directory)/next.key\"}}").json?["generation"]?.int == 2)
    #expect(try service.vault.secret("a") == secret("1"))
  }

  @Test func `explain says which secrets are missing, then shows every step without them`() throws {
    defer { clean() }
    let request = "POST /vendor/api/v1/x?b=2&a=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
    let missing = ask("POST", "/explain", request)
    #expect(missing.json?["exit_status"]?.int == 78)
    for name in ["vendor/api_key", "vendor/secret", "vendor/user"] {
      #expect(missing.json?["hint"]?.string?.contains("chatelaine secret set \(name)") == true)
      _ = ask("PUT", StoreAccess.path(of: name), "canary-of-\(name)")
    }
    let (outcome, json) = ask("POST", "/explain", request)
    #expect(outcome.status == 200)
    #expect(json?["url"]?.string == "https://api.example.com/base/api/v1/x?b=2&a=1")
    let steps = json?["steps"]?.array ?? []
    func shown(_ name: String) -> String? { steps.first { $0["name"]?.string == name }?["shown"]?.string }
    #expect(shown("canonical_query") == "a=1&b=2")
    #expect(shown("string_to_sign")?.hasPrefix("POST\n/base/api/v1/x\na=1&b=2\n44136fa355b3678a") == true)
    #expect(shown("X-API-Key") == "•••")
    #expect(shown("X-Signature")?.utf8.count == 64)
    #expect(json?["headers"]?.array?.compactMap { $0["shown"]?.string } == ["t1", "•••"])
    #expect(!String(decoding: outcome.body, as: UTF8.self).contains("canary"))
  }
}
