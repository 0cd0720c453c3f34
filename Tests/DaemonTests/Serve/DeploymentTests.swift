import Broker
import Config
import Crypto
import HTTP
import Testing

@testable import Daemon
@testable import Net

@Test func `what a route leaves out has its default`() throws {
  let text = """
    {
      "version": 1, "store": { "path": "/s", "key": { "file": "/k" } },
      "routes": {
        "a": { "connector": "bearer", "upstream": "https://a.example" },
        "b": { "connector": "codegate", "upstream": "https://[2001:db8::1]:8443/base/" },
      },
    }
    """
  let deployment = try Bed.deployment(text)
  let routes = deployment.snapshot.routes
  #expect(routes.map(\.name) == ["a", "b"])
  #expect(routes.map(\.index) == [0, 1])
  #expect(routes[0].timeouts == Route.Timeouts())
  #expect(routes[0].bodyLimit == nil, "a body that streams has no limit")
  #expect(routes[1].bodyLimit == 8 << 20, "a body that is held has one")
  #expect(routes[0].retries == 0)
  #expect(routes[1].upstream.host == "2001:db8::1")
  #expect(routes[1].upstream.port == 8443)
  #expect(routes[1].upstream.authority == "[2001:db8::1]:8443")
  #expect(routes[1].upstream.basePath == "/base")
  #expect(deployment.tls.count == 2)
  #expect(deployment.tls[0].settings == TLSSettings())
  #expect(deployment.limits.connections == 10_000)
  #expect(deployment.requestLimits == HTTPLimits.request)
  #expect(deployment.strangerLimits == HTTPLimits.request)
  #expect(deployment.patience == Patience())
  #expect(deployment.pool == PoolState.Limits())
}

@Test func `what a stranger may send stays within 64 KiB, whatever is configured`() throws {
  let text = """
    {
      "version": 1, "store": { "path": "/s", "key": { "file": "/k" } }, "limits": { "head": "1MiB", "fields": 1000 },
      "routes": {},
    }
    """
  let deployment = try Bed.deployment(text)
  #expect(deployment.requestLimits.head == 1 << 20)
  #expect(deployment.strangerLimits.head + Exchange.headRoom == 64 << 10)
  #expect(deployment.requestLimits.fields == 1000 && deployment.strangerLimits.fields == 100)
}

@Test func `what a route says arrives where it is read`() throws {
  let text = """
    {
      "version": 1, "store": { "path": "/s", "key": { "file": "/k" } },
      "limits": { "connections": 7, "connections_per_caller": 3, "head": "4KiB", "buffered": "1MiB", "fields": 5,
                  "field": "6KiB", "target": "7KiB", "chunk_extension": "8B", "chunk_extensions": "9B", "trailer_fields": 10,
                  "trailers": "11B", "head_time": "12s", "body_grace": "13s", "body_rate": "14B", "client_idle": "15s",
                  "upstream_idle": "16s", "upstream_requests": 17 },
      "routes": {
        "a": {
          "connector": "bearer", "upstream": "https://a.example", "hosts": ["Other.example:81"], "cookies": "pass",
          "timeouts": { "connect": "1s", "first_byte": "2s", "idle": "3s" }, "limits": { "body": "5KiB" },
          "retry": { "attempts": 2 }, "empty_segments": true,
          "tls": { "ca": "/ca.pem", "client_certificate": "/c.pem", "client_key": "a/pem", "verify": false },
        },
      },
    }
    """
  let deployment = try Bed.deployment(text)
  let route = try #require(deployment.snapshot.routes.first)
  #expect([route.timeouts.connect, route.timeouts.firstByte, route.timeouts.idle] == [1000, 2000, 3000])
  #expect(route.bodyLimit == 5 << 10)
  #expect(route.retries == 2)
  #expect(route.passesCookies && route.allowsEmptySegments)
  let tls = try #require(deployment.tls.first)
  #expect(tls.settings.authorities == "/ca.pem")
  #expect(tls.settings.certificate == "/c.pem")
  #expect(!tls.settings.verifies)
  #expect(tls.key?.span.count == "value-of-a/pem".utf8.count)
  var limits = HTTPLimits(head: 4 << 10, fields: 5, field: 6 << 10)
  (limits.target, limits.chunkExtension, limits.chunkExtensions) = (7 << 10, 8, 9)
  (limits.trailerFields, limits.trailers) = (10, 11)
  #expect(deployment.requestLimits == limits)
  #expect(deployment.strangerLimits == limits)
  #expect(deployment.patience == Patience(head: 12_000, idle: 15_000, bodyGrace: 13_000, slowestBody: 14))
  #expect([deployment.pool.idleTime, UInt64(deployment.pool.requests)] == [16_000, 17])
  #expect(deployment.limits.connectionsPerCaller == 3)
}

@Test func `a route without its secrets refuses every request by the secret's name, and no other route does`() throws {
  let upstream = try Upstream.answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
  let text = Bed.configuration(
    port: upstream.port, route: #""headers": { "X-User": { "secret": "r/user" } },"#)
  for missing in ["r/token", "r/user"] {
    let deployment = try Bed.deployment(text, without: [missing])
    #expect(deployment.snapshot.routes.first?.missingSecrets == [missing])
    let bed = try Bed(deployment, upstream)
    let answer = try bed.ask(request("GET", "/x"))
    #expect(answer.status == 424)
    #expect(answer.problem == "secret_missing")
    #expect(answer.text.contains("chatelaine secret set \(missing)"))
    #expect(try bed.ask("GET /-/readyz HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200)
  }
  #expect(upstream.connections.isEmpty)
  let bed = try Bed(try Bed.deployment(text), upstream)
  #expect(try bed.ask(request("GET", "/x")).text == "hello")
  #expect(upstream.connections.first?.text.contains("X-User: value-of-r/user\r\n") == true)
}

@Test func `a route whose TLS cannot be set up says so, and does not keep the others from serving`() throws {
  let upstream = try Upstream.answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
  let text = """
    {
      "version": 1, "store": { "path": "/s", "key": { "file": "/k" } },
      "routes": {
        "broken": { "connector": "bearer", "upstream": "https://a.example", "tls": { "ca": "/nowhere/ca.pem" } },
        "r": { "connector": "bearer", "upstream": "http://127.0.0.1:\(upstream.port)" },
      },
    }
    """
  let bed = try Bed(try Bed.deployment(text), upstream)
  let answer = try bed.ask("GET /broken/x HTTP/1.1\r\nHost: localhost\r\n\r\n")
  #expect(answer.problem == "upstream_tls")
  #expect(answer.text.contains("/nowhere/ca.pem"))
  #expect(try bed.ask(request("GET", "/x")).text == "hello")
}
