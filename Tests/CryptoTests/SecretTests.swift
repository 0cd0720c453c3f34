import Crypto
import Testing

struct SecretTests {
  let secret = Secret(copying: Array("hunter2-canary".utf8).span)

  @Test func `a secret prints as dots, however it is printed`() {
    var dumped = ""
    dump(secret, to: &dumped)
    dump(["in a dictionary": secret], to: &dumped)
    let printed = ["\(secret)", String(reflecting: secret), "\([secret])", "\(Optional(secret) as Any)", dumped]
    for text in printed {
      #expect(text.contains("•••"))
      #expect(!text.contains("hunter2"))
    }
  }

  @Test func `equal bytes are equal, one changed byte or a different length is not`() {
    #expect(secret == Secret(copying: Array("hunter2-canary".utf8).span))
    #expect(secret != Secret(copying: Array("hunter2-canarY".utf8).span))
    #expect(secret != Secret(copying: Array("hunter2-canar".utf8).span))
    #expect(Secret(count: 0) { _ in } == Secret(copying: [UInt8]().span))
  }

  @Test func `a filler that fails leaves no secret`() {
    struct Refused: Error {}
    #expect(throws: Refused.self) {
      try Secret(count: 8) { _ throws(Refused) in throw Refused() }
    }
  }

  @Test func `more secrets than the secure heap holds are kept all the same`() {
    let many = (0..<40).map { Secret(copying: [UInt8](repeating: UInt8($0), count: 50_000).span) }
    for (index, secret) in many.enumerated() {
      #expect(secret.count == 50_000 && secret.span[49_999] == UInt8(index))
    }
  }

  @Test func `two random keys differ`() {
    #expect(Random.secret(32) != Random.secret(32))
    #expect(Random.bytes(16) != Random.bytes(16))
  }
}
