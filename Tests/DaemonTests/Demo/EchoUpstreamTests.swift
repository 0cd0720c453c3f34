import Broker
import Glibc
import Testing

@testable import Daemon
@testable import Net

@Test func `the echo shows over TLS what it received, chunks undone, and goes on`() async throws {
  let directory = Directory()
  let certificate = try SelfSignedCertificate()
  let echo = try EchoUpstream(certificate: certificate)
  let authority = directory.write("ca.pem", certificate.certificate)
  let text = """
    {
      "version": 1, "store": { "path": "/s", "key": { "file": "/k" } },
      "routes": {
        "r": {
          "connector": "bearer", "upstream": "https://localhost:\(echo.port)", "tls": { "ca": "\(authority)" },
        },
      },
    }
    """
  let bed = try Bed(try Bed.deployment(text), try Upstream.answering(""))
  let client = try bed.connect()
  let host = "Host: localhost:\(echo.port)\r\n"
  for _ in 0..<2 {
    let answer = client.ask(
      request("POST", "/a?b", "Transfer-Encoding: chunked\r\n") + "2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n")
    #expect(answer.status == 200)
    #expect(
      answer.text == "POST /a?b HTTP/1.1\r\n\(host)Authorization: Bearer value-of-r/token\r\n"
        + "Transfer-Encoding: chunked\r\n\r\nbody\n")
  }
  #expect(bed.numbers().dialled == 1)
  #expect(bed.idle() == 1)
  // Another connection resumes the session of the first.
  try await bed.crew.adopt(Bed.deployment(text))
  #expect(client.ask(request("GET", "/")).status == 200)
}

@Test func `a certificate that nobody vouches for is told as that, and the request is not sent`() throws {
  let echo = try EchoUpstream(certificate: try SelfSignedCertificate())
  let text = """
    {
      "version": 1, "store": { "path": "/s", "key": { "file": "/k" } },
      "routes": { "r": { "connector": "bearer", "upstream": "https://localhost:\(echo.port)" } },
    }
    """
  let bed = try Bed(try Bed.deployment(text), try Upstream.answering(""))
  let answer = try bed.ask(request("GET", "/x"))
  #expect(answer.status == 502)
  #expect(answer.problem == "upstream_tls")
  #expect(answer.text.contains("self-signed certificate"))
}
