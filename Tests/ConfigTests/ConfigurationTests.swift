import JSON
import Testing

@testable import Config

func configuration(_ text: String) throws -> Configuration {
  let (configuration, diagnostics) = Configuration.read(
    Source(file: "test.jsonc", bytes: Array(text.utf8)), catalog: testCatalog)
  return try #require(configuration, "\(diagnostics.map(\.rendered).joined(separator: "\n"))")
}

@Suite struct ConfigurationTests {
  static let minimal = #"{ "version": 1, "store": { "path": "/s.db", "key": { "file": "/k" } }, "routes": {"#

  @Test func `what is left out has its default`() throws {
    let read = try configuration(
      Self.minimal + #""codegate": { "connector": "codegate", "upstream": "https://API.example.com:443/" } } }"#)
    #expect(read.listen.map(\.description) == ["127.0.0.1:7220"])
    #expect(read.admin == "/run/chatelaine/admin.sock")
    #expect(read.loops == nil)
    #expect(read.metrics == nil)
    #expect(read.connectors == [])
    #expect(read.log == Configuration.Log(level: .info, format: .auto))
    #expect(
      read.limits
        == Configuration.Limits(
          connections: 10_000, connectionsPerCaller: 1_000, head: 32_768, buffered: 268_435_456, fields: 100,
          field: 8192,
          target: 16_384, chunkExtension: 256, chunkExtensions: 4096, trailerFields: 16, trailers: 4096,
          headTime: 10_000,
          bodyGrace: 10_000, bodyRate: 1024, clientIdle: 60_000, upstreamIdle: 60_000, upstreamRequests: 1000))
    let route = try #require(read.routes.first)
    #expect(route.secrets == ["api_key": "codegate/api_key", "secret": "codegate/secret"])
    #expect(route.secretNames == ["codegate/api_key", "codegate/secret"])
    #expect(route.upstream.description == "https://api.example.com")
    #expect(route.upstream.port == 443)
    #expect(route.timeouts == RouteConfiguration.Timeouts(connect: 5_000, firstByte: 60_000, idle: 90_000))
    #expect(route.tls == RouteConfiguration.TLS())
    #expect(route.bodyLimit == nil)
    #expect(route.retries == 0)
    #expect(!route.passesCookies && !route.upgradesWebSocket && !route.scrubs && !route.allowsEmptySegments)
  }

  @Test func `a secret is required or not, as its connector and the options say`() throws {
    let read = try configuration(
      Self.minimal + #"""
          "basic": { "connector": "basic", "upstream": "https://a.example.com", "secrets": { "password": "shared" } },
          "cc": {
            "connector": "oauth2-client-credentials", "upstream": "https://a.example.com",
            "options": { "token_url": "https://b.example.com/t" },
          },
          "public": {
            "connector": "oauth2-client-credentials", "upstream": "https://a.example.com",
            "options": { "token_url": "https://b.example.com/t", "client_auth": "none" },
          },
          "both": {
            "connector": "basic", "upstream": "https://a.example.com",
            "secrets": { "username": "shared", "password": "shared" },
          },
        } }
        """#)
    let routes = Dictionary(uniqueKeysWithValues: read.routes.map { ($0.name, $0) })
    #expect(routes["basic"]?.secretNames == ["basic/username", "shared"])
    #expect(routes["basic"]?.requiredSecretNames == ["basic/username"])
    #expect(routes["cc"]?.requiredSecretNames == ["cc/client_id", "cc/client_secret"])
    #expect(routes["public"]?.secretNames == ["public/client_id", "public/client_secret"])
    #expect(routes["public"]?.requiredSecretNames == ["public/client_id"])
    #expect(routes["both"]?.requiredSecretNames == ["shared"])
  }

  @Test func `every key is read`() throws {
    let read = try configuration(
      """
      {
        "version": 1,
        "listen": [
          { "tcp": "127.0.0.1:7220" }, { "tcp": "[::1]:7220" }, { "unix": "/run/chatelaine/chatelaine.sock", "mode": "0640" },
          { "unix": "/run/plain.sock" },
        ],
        "admin": { "unix": "/run/admin.sock" },
        "store": { "path": "/var/lib/store.db", "key": { "credential": "master" } },
        "loops": 4,
        "log": { "level": "debug", "format": "json" },
        "metrics": { "tcp": "127.0.0.1:7221" },
        "connectors": [ "/more" ],
        "limits": {
          "connections": 20, "connections_per_caller": 10, "head": "64KiB", "buffered": "1GiB", "fields": 11, "field": "1KiB",
          "target": "2KiB", "chunk_extension": "0B", "chunk_extensions": "12B", "trailer_fields": 13, "trailers": "14B",
          "head_time": "15ms", "body_grace": "16s", "body_rate": "17B", "client_idle": "18s", "upstream_idle": "19s",
          "upstream_requests": 21,
        },
        "routes": {
          "second": { "connector": "none", "upstream": "http://127.0.0.1:8080/base/v2/" },
          "codegate": {
            "connector": "codegate",
            "upstream": "http://API.example.com:8080/v1",
            "insecure_upstream": true,
            "secrets": { "secret": "shared/secret" },
            "options": {},
            "headers": { "X-Tenant": "123e4567-e89b-12d3-a456-426614174000", "X-User-Token": { "secret": "ath/user_token" } },
            "tls": { "ca": "/ca.pem", "client_certificate": "/c.pem", "client_key": "codegate/tls", "verify": true },
            "timeouts": { "connect": "500ms", "first_byte": "2m", "idle": "1h" },
            "limits": { "body": "512B" },
            "retry": { "attempts": 2 },
            "listen": [ 7301, { "unix": "/run/codegate.sock" } ],
            "hosts": [ "api.Vendor.example", "[2001:db8::1]:8443" ],
            "cookies": "pass",
            "empty_segments": true,
            "scrub": false,
            "upgrade": [],
          },
        },
      }
      """)
    #expect(
      read.listen == [
        .tcp(try #require(IPAddress("127.0.0.1")), port: 7220), .tcp(try #require(IPAddress("::1")), port: 7220),
        .unix(path: "/run/chatelaine/chatelaine.sock", mode: 0o640), .unix(path: "/run/plain.sock", mode: 0o660),
      ])
    #expect(read.admin == "/run/admin.sock")
    #expect(read.store == Configuration.Store(path: "/var/lib/store.db", key: .credential("master")))
    #expect(read.loops == 4)
    #expect(read.log == Configuration.Log(level: .debug, format: .json))
    #expect(read.metrics?.description == "127.0.0.1:7221")
    #expect(read.connectors == ["/more"])
    #expect(
      read.limits
        == Configuration.Limits(
          connections: 20, connectionsPerCaller: 10, head: 65_536, buffered: 1 << 30, fields: 11, field: 1024,
          target: 2048,
          chunkExtension: 0, chunkExtensions: 12, trailerFields: 13, trailers: 14, headTime: 15, bodyGrace: 16_000,
          bodyRate: 17, clientIdle: 18_000, upstreamIdle: 19_000, upstreamRequests: 21))
    #expect(read.routes.map(\.name) == ["second", "codegate"])
    #expect(read.routes[0].upstream.basePath == "/base/v2")
    #expect(read.routes[0].secretNames == [])
    let route = read.routes[1]
    #expect(route.position.line == 21)
    #expect(route.upstream.scheme == .http)
    #expect(route.upstream.authority == "api.example.com:8080")
    #expect(route.upstream.basePath == "/v1")
    #expect(route.secrets == ["api_key": "codegate/api_key", "secret": "shared/secret"])
    #expect(
      route.headers == [
        HeaderConfiguration(name: "X-Tenant", value: .literal("123e4567-e89b-12d3-a456-426614174000")),
        HeaderConfiguration(name: "X-User-Token", value: .secret("ath/user_token")),
      ])
    #expect(route.secretNames == ["ath/user_token", "codegate/api_key", "codegate/tls", "shared/secret"])
    #expect(
      route.tls
        == RouteConfiguration.TLS(ca: "/ca.pem", clientCertificate: "/c.pem", clientKey: "codegate/tls", verify: true))
    #expect(route.timeouts == RouteConfiguration.Timeouts(connect: 500, firstByte: 120_000, idle: 3_600_000))
    #expect(route.bodyLimit == 512)
    #expect(route.retries == 2)
    #expect(route.listen.map(\.description) == ["127.0.0.1:7301", "/run/codegate.sock"])
    #expect(route.hosts.map(\.description) == ["api.vendor.example", "[2001:db8::1]:8443"])
    #expect(route.passesCookies && route.allowsEmptySegments)
  }

  @Test func `the connector's options come through, an empty one too`() throws {
    let read = try configuration(
      Self.minimal
        + #""a": { "connector": "bearer", "upstream": "https://a.example.com", "options": { "prefix": "" } } } }"#)
    #expect(read.routes[0].options == ["prefix": ""])
  }

  @Test func `origins to return to are read as browsers write them`() throws {
    let read = try configuration(
      Self.minimal + #"""
          "users": {
            "connector": "shangcloud", "upstream": "https://api.example.com",
            "return_to": [
              "https://App.example.com", "https://app.example.com:443", "https://app.example.com:80",
              "http://localhost:3000", "http://[0:0::1]:80", "http://127.0.0.1:443",
            ],
          },
          "nowhere": { "connector": "shangcloud", "upstream": "https://api.example.com" },
        } }
        """#)
    #expect(
      read.routes[0].returnTo == [
        "https://app.example.com", "https://app.example.com", "https://app.example.com:80", "http://localhost:3000",
        "http://[::1]", "http://127.0.0.1:443",
      ])
    #expect(read.routes[1].returnTo.isEmpty)
  }

  @Test func `the example that init writes is right, and so is what it has commented out`() throws {
    let path =
      String(#filePath.dropLast("Tests/ConfigTests/ConfigurationTests.swift".utf8.count)) + "config/chatelaine.jsonc"
    let text = String(decoding: try load(path), as: UTF8.self)
    #expect(text == Configuration.example())
    #expect(try configuration(text).routes.isEmpty)
    // Lines that are keys, brackets or the end of one, but not prose.
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line -> Substring in
      guard let mark = line.firstRange(of: "// "), line[..<mark.lowerBound].allSatisfy({ $0 == " " }) else {
        return line
      }
      let rest = line[mark.upperBound...].drop { $0 == " " }
      return rest.hasPrefix("\"") || rest.hasPrefix("}") ? rest : line
    }
    let read = try configuration(lines.joined(separator: "\n"))
    #expect(read.routes.map(\.name) == ["codegate", "vendor"])
    #expect(read.metrics != nil)
    #expect(read.routes[1].secrets == ["token": "shared/vendor"])
  }

  @Test func `the example takes other directories, whatever they are called`() throws {
    let read = try configuration(
      Configuration.example(
        runtime: "/run/user/1000/my \"x\"", state: "/home/me/.local/state/é", settings: "/home/me/a\\b"))
    #expect(read.admin == "/run/user/1000/my \"x\"/admin.sock")
    #expect(
      read.store
        == Configuration.Store(path: "/home/me/.local/state/é/store.db", key: .file("/home/me/a\\b/master.key")))
    #expect(read.listen.map(\.description) == ["127.0.0.1:7220", "/run/user/1000/my \"x\"/chatelaine.sock"])
  }
}
