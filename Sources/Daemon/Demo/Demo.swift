import Bytes
import Crypto
import Glibc
import Net
import Vault

/// `chatelaine demo`: everything in one command. A throw-away store, an upstream that shows what it receives, a route of
/// each kind, and the daemon itself between them: what runs here is what `serve` runs.
enum Demo {
  private struct Sample {
    var route: String
    var about: String
    var options = "{}"
    var secrets: [(name: String, value: String)]
    var curl: String
  }

  /// The values are made up, so that they can be found again in what the upstream received.
  private static let samples = [
    Sample(
      route: "codegate", about: "an HMAC over method, path, query, body and time",
      secrets: [
        ("codegate/api_key", "0123456789abcdef0123456789abcdef"),
        ("codegate/secret", "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90"),
      ], curl: "codegate/api/v1/projects/demo/codes?page=1&search=summer%20sale"),
    Sample(
      route: "bearer", about: "a token in Authorization", secrets: [("bearer/token", "demo-bearer-token")],
      curl: "bearer/v1/me"),
    Sample(
      route: "basic", about: "a user name and a password",
      secrets: [("basic/username", "demo"), ("basic/password", "opensesame")],
      curl: "basic/reports"),
    Sample(
      route: "header", about: "a secret in a header", options: "{ \"name\": \"X-Api-Key\" }",
      secrets: [("header/value", "demo-header-key")], curl: "header/v2/items"),
    Sample(
      route: "query", about: "a secret in the query", options: "{ \"name\": \"key\" }",
      secrets: [("query/value", "demo-query-key")], curl: "query/search?q=lamp"),
    Sample(
      route: "fastmoss", about: "a token that is fetched once and renewed, and a signature with it",
      secrets: [("fastmoss/client_id", "demo-app"), ("fastmoss/client_secret", "demo-app-secret")],
      curl: "fastmoss/product/v1/rank"),
    Sample(
      route: "oauth2-client-credentials", about: "OAuth 2.0 client credentials",
      options: "{ \"token_url\": \"https://localhost:PORT/oauth/token\" }",
      secrets: [
        ("oauth2-client-credentials/client_id", "demo-app"),
        ("oauth2-client-credentials/client_secret", "demo-app-secret"),
      ], curl: "oauth2-client-credentials/v1/me"),
  ]

  /// Serves until SIGINT or SIGTERM, and leaves nothing behind.
  static func run() throws(Serve.Failure) {
    // Before any thread: the signals must not end the process before it has cleaned up.
    Signals.block([SIGTERM, SIGINT, SIGHUP])
    let directory = try makeDirectory()
    defer { clean(directory) }
    let certificate: SelfSignedCertificate
    let upstream: EchoUpstream
    do throws(LoopbackError) {
      certificate = try makeCertificate()
      upstream = try EchoUpstream(certificate: certificate)
    } catch {
      throw Serve.Failure(message: error.description, exitStatus: 69)
    }
    try write(certificate.certificate, to: directory + "/upstream.pem")
    try makeStore(in: directory)
    try write(configuration(in: directory, upstream.port), to: directory + "/chatelaine.jsonc")
    let setup: Setup
    do throws(SetupError) {
      setup = try Setup.read(directory + "/chatelaine.jsonc")
    } catch {
      throw Serve.Failure(message: error.message, exitStatus: 70)
    }
    try Serve.run(setup) { addresses in show(addresses.first ?? "") }
  }

  // MARK: What is printed

  private static func show(_ address: String) {
    var text = """
      Chatelaine is serving on http://\(address) with a throw-away store.
      The upstream behind every route answers, over TLS, with the request as it received it.


      """
    for sample in samples {
      text += "# \(sample.about)\ncurl 'http://\(address)/\(sample.curl)'\n\n"
    }
    text += """
      # a body is signed too
      curl -X POST -H 'Content-Type: application/json' -d '{"code":"PROMO"}' 'http://\(address)/codegate/api/v1/projects/demo/codes/verify'

      Ctrl-C ends it and removes everything.

      """
    var out = Buffer()
    out.append(text)
    while !out.isEmpty {
      let count = unsafe out.span.withUnsafeBytes { unsafe Glibc.write(1, $0.baseAddress, $0.count) }
      if count > 0 { out.consume(count) } else if errno != EINTR { return }
    }
  }

  // MARK: What is made

  private static func configuration(in directory: String, _ port: UInt16) -> String {
    let routes = samples.map { sample in
      let options = sample.options.split(separator: "PORT").joined(separator: "\(port)")
      return """
            "\(sample.route)": {
              "connector": "\(sample.route)", "upstream": "https://localhost:\(port)", "options": \(options),
              "tls": { "ca": "\(directory)/upstream.pem" },
            },
        """
    }
    return """
      {
        "version": 1,
        "listen": [ { "tcp": "127.0.0.1:\(isFree(7220) ? 7220 : 0)" } ],
        "admin": { "unix": "\(directory)/admin.sock" },
        "store": { "path": "\(directory)/store.db", "key": { "file": "\(directory)/master.key" } },
        "routes": {
      \(routes.joined(separator: "\n"))
        },
      }

      """
  }

  private static func isFree(_ port: UInt16) -> Bool {
    guard let address = Address(literal: "127.0.0.1", port: port) else { return false }
    return (try? Listener(tcp: address).number) != nil
  }

  private static func makeCertificate() throws(LoopbackError) -> SelfSignedCertificate {
    do throws(TLSError) {
      return try SelfSignedCertificate()
    } catch {
      throw .tls(error)
    }
  }

  private static func makeStore(in directory: String) throws(Serve.Failure) {
    do throws(VaultError) {
      let source = MasterKeySource.file(directory + "/master.key")
      try MasterKeySource.generateFile(directory + "/master.key")
      let key = try source.load(credentialsDirectory: nil)
      let now = Clock.wallMilliseconds() / 1000
      try Vault.create(path: directory + "/store.db", key: key, now: now)
      let vault = try Vault(path: directory + "/store.db", key: key)
      for sample in samples {
        for (name, value) in sample.secrets {
          let bytes = Array(value.utf8)
          _ = try vault.setSecret(name, Secret(copying: bytes.span), now: now)
        }
      }
    } catch {
      throw Serve.Failure(message: error.message, hint: error.hint, exitStatus: error.exitStatus)
    }
  }

  private static func makeDirectory() throws(Serve.Failure) -> String {
    let parent = ServiceManager.environment("TMPDIR").flatMap { $0.isEmpty ? nil : $0 } ?? "/tmp"
    var template = Array((parent + "/chatelaine-demo.XXXXXX").utf8CString)
    guard unsafe mkdtemp(&template) != nil else {
      throw Serve.Failure(message: "\(parent): \(unsafe String(cString: strerror(errno)))", exitStatus: 74)
    }
    return String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  private static func write(_ text: String, to path: String) throws(Serve.Failure) {
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    let bytes = Array(text.utf8)
    guard descriptor >= 0, unsafe Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
      throw Serve.Failure(message: "\(path): \(unsafe String(cString: strerror(errno)))", exitStatus: 74)
    }
    close(descriptor)
  }

  private static func clean(_ directory: String) {
    let names = [
      "upstream.pem", "master.key", "store.db", "store.db-wal", "store.db-shm", "store.db.lock", "chatelaine.jsonc",
      "admin.sock",
    ]
    for name in names { unsafe unlink(directory + "/" + name) }
    unsafe rmdir(directory)
  }
}
