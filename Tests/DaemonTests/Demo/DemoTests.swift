import Glibc
import Testing

@testable import Daemon
@testable import Net

/// Reads a pipe to the end of `text`.
private func read(_ descriptor: Int32, until text: StaticString) -> String {
  var bytes: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 4096)
  while bytes.firstIndex(ofSequence: text) == nil {
    let count = Glibc.read(descriptor, &chunk, chunk.count)
    guard count > 0 else { break }
    bytes += chunk[..<count]
  }
  return String(decoding: bytes, as: UTF8.self)
}

/// What a curl line of the demo asks for, asked for here.
private func run(_ line: Substring, port: UInt16) throws -> Answer {
  let url = try #require(line.split(separator: "'").last { $0.hasPrefix("http://") })
  let path = url.dropFirst("http://".count).drop { $0 != "/" }
  let body = line.contains("-d '") ? String(String(line).components(of: "-d '")[1].prefix { $0 != "'" }) : nil
  let client = Client(try Socket.connect(port: port))
  return client.ask(
    "\(body == nil ? "GET" : "POST") \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\n"
      + (body.map { "Content-Length: \($0.utf8.count)\r\n\r\n\($0)" } ?? "\r\n"))
}

@Test func `every line that the demo prints works as printed, and it leaves nothing behind`() async {
  await #expect(processExitsWith: .success) {
    let directory = Directory()
    setenv("TMPDIR", directory.path, 1)
    var ends: [Int32] = [0, 0]
    pipe(&ends)
    dup2(ends[1], 1)
    let output = ends[0]
    let answers = Lock<[String]>([])
    // The thread that serves: the test's process has others, which do not hold signals back.
    let server = pthread_self()
    try Thread.start("reader") {
      let text = read(output, until: "Ctrl-C")
      let place = text.components(of: "http://127.0.0.1:").dropFirst().first ?? ""
      let port = UInt16(place.prefix { $0.isNumber }) ?? 0
      for line in text.split(separator: "\n") where line.hasPrefix("curl ") {
        let answer = try? run(line, port: port)
        answers.withLock { $0.append(answer.map { "\($0.status) \($0.text)" } ?? "nothing: \(line)") }
      }
      pthread_kill(server, SIGTERM)
    }
    try Demo.run()
    let received = answers.withLock { $0 }
    let secrets = [
      "X-Signature: ", "Authorization: Bearer demo-bearer-token", "Authorization: Basic ", "X-Api-Key: demo-header-key",
      "key=demo-query-key", "access_token=demo-fetched-token&sign=", "Authorization: Bearer demo-fetched-token",
      "{\"code\":\"PROMO\"}",
    ]
    #expect(received.count == secrets.count)
    for (answer, secret) in zip(received, secrets) {
      #expect(answer.hasPrefix("200 ") && answer.contains(secret), "\(answer)")
    }
    var left = 0
    let stream = opendir(directory.path)
    while let entry = readdir(try #require(stream)) { if entry.pointee.d_type == UInt8(DT_DIR) { left += 1 } }
    #expect(left == 2, "only . and .. are left")
  }
}
