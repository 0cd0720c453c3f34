import Bytes
import Glibc
import Testing

@testable import Net

/// Runs a loop on the test's own thread until `stop` or two seconds have passed.
final class Turns: TimerOwner {
  let loop: Loop
  private(set) var timedOut = false

  init() throws { loop = try Loop() }

  func run(_ body: (Loop) throws -> Void) rethrows {
    let timer = Timer(owner: self)
    timer.set(Clock.milliseconds() + 5000, in: loop.timers)
    try body(loop)
    loop.run()
    timer.cancel(in: loop.timers)
    #expect(!timedOut, "nothing ended the loop")
  }

  func deadlinePassed(_ timer: Timer) {
    timedOut = true
    loop.stop()
  }
}

/// What came of dialling, in a form that can be compared.
enum Dialled: Equatable {
  case connected(resumed: Bool)
  case failed(DialError)
}

/// Dials and reads what the server says, up to `bytes` bytes.
func dial(_ destination: Destination, on turns: Turns, bytes: Int = 0, timeout: UInt64 = 3000) -> (Dialled?, String) {
  var result: Dialled?
  var reader: Reader?
  let resolver = Resolver()
  turns.run { loop in
    let dialer = Dialer(destination, loop: loop) { outcome in
      switch consume outcome {
      case .connected(let stream, let token, let resumed):
        result = .connected(resumed: resumed)
        let new = Reader(stream, loop: loop, wanted: bytes)
        reader = new
        loop.adopt(token, new)
        new.ready(.readable)
      case .failed(let error):
        result = .failed(error)
        loop.stop()
      }
    }
    dialer.start(resolver, timeout: timeout)
    #expect(result == nil, "told from within start")
  }
  return (result, reader?.text ?? "")
}

final class Reader: EventHandler {
  var buffer = Buffer()
  var text: String { buffer.withSpan { String($0) } }
  private var stream: Stream
  private let loop: Loop
  private let wanted: Int

  init(_ stream: consuming Stream, loop: Loop, wanted: Int) {
    self.stream = stream
    self.loop = loop
    self.wanted = wanted
  }

  func ready(_ events: Events) {
    var more = true
    while buffer.count < wanted {
      guard case .bytes = stream.read(into: &buffer, upTo: wanted - buffer.count, mayHaveMore: &more) else { return }
    }
    loop.stop()
  }
}

/// A certificate file that is removed with the test.
final class CertificateFile {
  let path: String

  init(_ certificate: SelfSignedCertificate) throws {
    path = "/tmp/chatelaine-test-\(getpid())-\(UInt64.random(in: 0...UInt64.max)).pem"
    let file = try #require(fopen(path, "w"))
    fputs(certificate.certificate, file)
    fclose(file)
  }

  deinit { unlink(path) }
}

private func settings(trusting file: CertificateFile? = nil, verifies: Bool = true) -> TLSSettings {
  var settings = TLSSettings()
  settings.authorities = file?.path
  settings.verifies = verifies
  return settings
}

@Test func `a dialler reaches a plain server`() throws {
  let server = try LoopbackServer(certificate: nil) { $0.write(Array("hello".utf8)) }
  let destination = Destination(host: "127.0.0.1", port: server.port, tls: nil, session: TLSSession())
  let (result, text) = dial(destination, on: try Turns(), bytes: 5)
  #expect(result == .connected(resumed: false))
  #expect(text == "hello")
}

@Test func `a name is resolved and its certificate checked, and the second connection resumes the first session`()
  throws
{
  let certificate = try SelfSignedCertificate()
  let file = try CertificateFile(certificate)
  let server = try LoopbackServer(certificate: certificate) {
    $0.write(Array("hello".utf8))
    _ = $0.read()
  }
  let session = TLSSession()
  let destination = Destination(
    host: "localhost", port: server.port, tls: try TLSContext(settings(trusting: file)), session: session)
  #expect(dial(destination, on: try Turns(), bytes: 5) == (.connected(resumed: false), "hello"))
  #expect(dial(destination, on: try Turns(), bytes: 5) == (.connected(resumed: true), "hello"))
}

@Test func `a certificate for another name is refused`() throws {
  let certificate = try SelfSignedCertificate(hosts: "DNS:elsewhere.example")
  let file = try CertificateFile(certificate)
  let server = try LoopbackServer(certificate: certificate) { _ = $0.read() }
  let tls = try TLSContext(settings(trusting: file))
  let named = Destination(host: "localhost", port: server.port, tls: tls, session: TLSSession())
  #expect(dial(named, on: try Turns()).0 == .failed(.tls("certificate verify failed: hostname mismatch")))
  let literal = Destination(host: "127.0.0.1", port: server.port, tls: tls, session: TLSSession())
  #expect(dial(literal, on: try Turns()).0 == .failed(.tls("certificate verify failed: IP address mismatch")))
}

@Test func `a certificate that nobody vouches for is refused, unless the route says so`() throws {
  let server = try LoopbackServer(certificate: try SelfSignedCertificate()) {
    $0.write(Array("hello".utf8))
    _ = $0.read()
  }
  let strict = Destination(
    host: "localhost", port: server.port, tls: try TLSContext(settings()), session: TLSSession())
  #expect(dial(strict, on: try Turns()).0 == .failed(.tls("certificate verify failed: self-signed certificate")))
  let lax = Destination(
    host: "localhost", port: server.port, tls: try TLSContext(settings(verifies: false)), session: TLSSession())
  #expect(dial(lax, on: try Turns(), bytes: 5).1 == "hello")
}

@Test func `each way of not connecting has its own error`() throws {
  let closed = try Listener(tcp: try #require(Address(literal: "127.0.0.1", port: 0)))
  let port = try #require(closed.address.port)
  _ = consume closed
  let refused = Destination(host: "127.0.0.1", port: port, tls: nil, session: TLSSession())
  #expect(dial(refused, on: try Turns()).0 == .failed(.unreachable("Connection refused")))

  let unknown = Destination(host: "no-such-host.invalid", port: 1, tls: nil, session: TLSSession())
  guard case .failed(.unresolved) = dial(unknown, on: try Turns()).0 else {
    Issue.record("resolved")
    return
  }

  // A server that accepts and says nothing keeps the handshake waiting.
  let silent = try LoopbackServer(certificate: nil) { while !$0.read().isEmpty {} }
  let tls = try TLSContext(settings())
  let slow = Destination(host: "127.0.0.1", port: silent.port, tls: tls, session: TLSSession())
  #expect(dial(slow, on: try Turns(), timeout: 50).0 == .failed(.timeout))
}

@Test func `a dialler that is cancelled tells nobody`() throws {
  let turns = try Turns()
  let server = try LoopbackServer(certificate: nil) { _ = $0.read() }
  let resolver = Resolver()
  turns.run { loop in
    let cancelled = Dialer(
      Destination(host: "localhost", port: server.port, tls: nil, session: TLSSession()), loop: loop
    ) { _ in Issue.record("told") }
    cancelled.start(resolver, timeout: 1000)
    cancelled.cancel()
    let other = Dialer(
      Destination(host: "localhost", port: server.port, tls: nil, session: TLSSession()), loop: loop
    ) { _ in loop.stop() }
    other.start(resolver, timeout: 1000)
  }
}
