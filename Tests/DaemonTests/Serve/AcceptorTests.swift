import Broker
import Glibc
import Testing

@testable import Daemon
@testable import Net

private let hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

extension Bed {
  /// Listens for real, on the first loop as the daemon does, and gives the port.
  fileprivate func listen(_ entrance: @escaping @Sendable (UInt16?) -> Entrance) throws -> UInt16 {
    let port = look { [crew] worker -> UInt16? in
      do {
        guard let address = Address(literal: "127.0.0.1", port: 0) else { return nil }
        let listener = try Net.Listener(tcp: address)
        let port = listener.address.port
        let floor = try Floor(crew: crew, log: crew.log)
        _ = try Acceptor(listener, entrance: entrance, loop: worker.loop, floor: floor)
        return port
      } catch {
        return nil
      }
    }
    return try #require(port)
  }

  /// Client connections of each loop.
  fileprivate var clients: [Int] {
    crew.workers.indices.map { loop in
      look(loop) { worker in
        var count = 0
        worker.loop.forEachHandler { if $0 is ClientConnection { count += 1 } }
        return count
      }
    }
  }
}

@Test func `connections are spread evenly over the loops, and the kernel says whose they are`() throws {
  let bed = try Bed(try Upstream.answering(hello))
  let port = try bed.listen { .data(.everyone(port: $0)) }
  let clients = try (0..<10).map { _ in Client(try Socket.connect(port: port)) }
  for client in clients {
    #expect(client.ask("GET /r/x HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\n\r\n").text == "hello")
  }
  #expect(bed.clients == [5, 5])
  #expect(bed.crew.budget.total == 10)
}

@Test func `a connection too many is told so in full, and one that goes makes room`() throws {
  let bed = try Bed(
    try Upstream.answering(hello), top: #""limits": { "connections": 3, "connections_per_caller": 2 },"#)
  let port = try bed.listen { .data(.everyone(port: $0)) }
  let ask = "GET /r/x HTTP/1.1\r\nHost: localhost:\(port)\r\n\r\n"
  var clients = try (0..<2).map { _ in Client(try Socket.connect(port: port)) }
  for client in clients { #expect(client.ask(ask).text == "hello") }
  let extra = Client(try Socket.connect(port: port)).ask(ask)
  #expect(extra.status == 503)
  #expect(extra.problem == "overloaded")
  #expect(extra.field("retry-after") != nil)
  #expect(extra.field("connection") == "close")
  clients = []
  bed.settle()
  #expect(Client(try Socket.connect(port: port)).ask(ask).text == "hello")
}

@Test func `the admin socket has room where the programs have none, and stays with the first loop`() throws {
  let bed = try Bed(try Upstream.answering(hello), top: #""limits": { "connections": 1 },"#)
  let port = try bed.listen { .data(.everyone(port: $0)) }
  let admin = try bed.listen { _ in .admin }
  let only = Client(try Socket.connect(port: port))
  #expect(only.ask("GET /r/x HTTP/1.1\r\nHost: localhost:\(port)\r\n\r\n").text == "hello")
  for _ in 0..<3 {
    // Nobody keeps the store here: it is there, and has nothing to say yet.
    let answer = Client(try Socket.connect(port: admin)).ask("GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")
    #expect(answer.problem == "overloaded")
  }
  #expect(bed.clients[1] == 0)
}
