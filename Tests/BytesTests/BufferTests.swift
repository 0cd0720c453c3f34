import Testing

@testable import Bytes

@Suite struct BufferTests {
  @Test func `bytes come out in the order they went in`() {
    var buffer = Buffer()
    for round in 0..<1000 {
      buffer.appendDecimal(round)
      buffer.append(0x2C)
      if round.isMultiple(of: 3), buffer.count > 8 { buffer.consume(4) }
    }
    #expect(String(buffer.span).hasSuffix("997,998,999,"))
  }

  @Test func `consuming everything gives the room back`() {
    var buffer = Buffer(capacity: 64)
    let capacity = buffer.capacity
    for _ in 0..<100 {
      buffer.append("sixteen bytes ok")
      buffer.append("sixteen bytes ok")
      buffer.consume(32)
    }
    #expect(buffer.isEmpty == true)
    #expect(buffer.capacity == capacity)
  }

  @Test func `a part of itself can be appended while it grows`() {
    var buffer = Buffer()
    buffer.append("0123456789")
    for _ in 0..<20 { buffer.append(own: 2..<5) }
    #expect(String(buffer.span) == "0123456789" + String(repeating: "234", count: 20))
  }

  @Test func `wiping leaves no byte behind`() {
    var buffer = Buffer()
    buffer.append("secret")
    buffer.wipe()
    #expect(buffer.isEmpty == true)
    buffer.write(upTo: 6) { room in
      #expect(room.allSatisfy { $0 == 0 })
      return 6
    }
    #expect(buffer.count == 6)
  }

  @Test func `wiping leaves nothing of what was moved, cut off, consumed or only written beside`() {
    var buffer = Buffer(capacity: 64)
    buffer.append("0123456789secret")
    buffer.consume(10)
    buffer.reserve(50)
    buffer.truncate(to: 2)
    buffer.consume(2)
    buffer.write(upTo: 40) { room in
      room.initializeMemory(as: UInt8.self, repeating: 0x2A)
      return 1
    }
    buffer.wipe()
    buffer.write(upTo: 40) { room in
      #expect(room.allSatisfy { $0 == 0 })
      return 0
    }
    #expect(buffer.capacity == 64)
  }
}
