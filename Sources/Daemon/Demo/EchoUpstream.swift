import Bytes
import HTTP
import Net

/// An upstream that answers every request with the bytes that it received, over TLS: what the demo shows. It also gives out
/// tokens, to whoever asks at one of the two places where the demo's connectors do.
struct EchoUpstream {
  let port: UInt16

  init(certificate: SelfSignedCertificate) throws(LoopbackError) {
    let server = try LoopbackServer(certificate: certificate) { connection in
      var input = Buffer()
      while let received = EchoUpstream.request(on: connection, &input) {
        connection.write(EchoUpstream.answer(received))
      }
    }
    port = server.port
  }

  /// One whole request, its chunks undone; nil at the end of the connection or of its sense.
  private static func request(on connection: borrowing LoopbackServer.Connection, _ input: inout Buffer) -> [UInt8]? {
    var reader = RequestReader()
    do throws(HTTPError) {
      while try !reader.read(input.span) {
        guard receive(connection, &input) else { return nil }
      }
      let head = reader.head
      var received = Array(input.span.extracting(0..<head.byteCount))
      input.consume(head.byteCount)
      var body = BodyReader(head.framing)
      while !body.isFinished {
        let piece = try body.next(input.span)
        received += Array(input.span.extracting(piece.payload))
        input.consume(piece.consumed)
        guard received.count < 1 << 20 else { return nil }
        if piece.needsMore, !receive(connection, &input) { return nil }
      }
      return received
    } catch {
      return nil
    }
  }

  private static func receive(_ connection: borrowing LoopbackServer.Connection, _ input: inout Buffer) -> Bool {
    let bytes = connection.read()
    input.append(bytes)
    return !bytes.isEmpty
  }

  private static func answer(_ received: [UInt8]) -> [UInt8] {
    let bytes = received.span
    let asksForToken = bytes.hasPrefix("POST /v1/token ") || bytes.hasPrefix("POST /oauth/token ")
    let body = asksForToken ? token : received + [0x0A]
    var answer = Buffer()
    answer.append("HTTP/1.1 200 OK\r\nContent-Type: ")
    answer.append(asksForToken ? "application/json" : "text/plain; charset=utf-8")
    answer.append("\r\n")
    answer.appendField(name: "Content-Length", number: UInt64(body.count))
    answer.append("\r\n")
    answer.append(body)
    return Array(answer.span)
  }

  /// What FastMoss answers and what RFC 6749 has in one: a token for an hour.
  private static var token: [UInt8] {
    let end = Clock.wallMilliseconds() / 1000 + 3600
    return Array(
      """
      {"code":0,"data":{"access_token":"demo-fetched-token","expire_at":\(end)},\
      "access_token":"demo-fetched-token","token_type":"Bearer","expires_in":3600}
      """.utf8)
  }
}
