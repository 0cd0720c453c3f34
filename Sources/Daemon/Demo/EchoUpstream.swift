import Bytes
import HTTP
import Net

/// An upstream that answers every request with the bytes that it received, over TLS: what the demo shows.
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
    var answer = Buffer()
    answer.append("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n")
    answer.appendField(name: "Content-Length", number: UInt64(received.count + 1))
    answer.append("\r\n")
    answer.append(received)
    answer.append("\n")
    return Array(answer.span)
  }
}
