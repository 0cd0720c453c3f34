import Bytes
import Crypto
import Testing

struct ES256KeyTests {
  @Test func `a thousand signatures verify, among them r and s that begin with zero bytes`() throws {
    let key = ES256Key.generate()
    var signed = 0
    var short = (r: 0, s: 0)
    while signed < 1_000 || short.r == 0 || short.s == 0 {
      // Each begins with a zero byte once in 256: 20,000 without one do not happen.
      try #require(signed < 20_000)
      let message = Array("message \(signed)".utf8)
      var signature = Buffer()
      signature.append("before")
      try key.sign(message.span, into: &signature)
      signature.consume(6)
      #expect(signature.count == 64)
      #expect(key.publicKey.accepts(signature.copy, of: message), "\(hex(signature.span))")
      if signature.span[0] == 0 { short.r += 1 }
      if signature.span[32] == 0 { short.s += 1 }
      signed += 1
    }
  }

  @Test func `another message, another key or one changed bit does not verify`() throws {
    let key = ES256Key.generate()
    let message = Array("the message".utf8)
    var signature = Buffer()
    try key.sign(message.span, into: &signature)
    #expect(key.publicKey.accepts(signature.copy, of: message))
    #expect(!key.publicKey.accepts(signature.copy, of: Array("the messagf".utf8)))
    #expect(!key.publicKey.accepts(signature.copy, of: []))
    #expect(!ES256Key.generate().publicKey.accepts(signature.copy, of: message))
    for index in 0..<64 {
      let byte = signature.span[index]
      signature.replace(at: index, with: byte ^ 1)
      #expect(!key.publicKey.accepts(signature.copy, of: message), "byte \(index)")
      signature.replace(at: index, with: byte)
    }
    #expect(!key.publicKey.accepts(signature.copy.dropLast(), of: message))
    signature.append(0)
    #expect(!key.publicKey.accepts(signature.copy, of: message))
  }

  @Test func `an empty message can be signed`() throws {
    let key = ES256Key.generate()
    var signature = Buffer()
    try key.sign([UInt8]().span, into: &signature)
    #expect(key.publicKey.accepts(signature.copy, of: []))
  }

  @Test func `two signatures of one message differ, and two keys`() throws {
    let key = ES256Key.generate()
    var signatures = Buffer()
    try key.sign([1].span, into: &signatures)
    try key.sign([1].span, into: &signatures)
    #expect(hex(signatures.span.extracting(first: 64)) != hex(signatures.span.extracting(last: 64)))
    #expect(key.publicKey != ES256Key.generate().publicKey)
  }

  @Test func `threads sign with one key at once`() async {
    let key = ES256Key.generate()
    let verified = await withTaskGroup(of: Bool.self) { group in
      for worker in 0..<8 {
        group.addTask {
          (0..<50).allSatisfy { turn in
            var signature = Buffer()
            let message = [UInt8(worker), UInt8(turn)]
            guard (try? key.sign(message.span, into: &signature)) != nil else { return false }
            return key.publicKey.accepts(signature.copy, of: message)
          }
        }
      }
      return await group.reduce(true) { $0 && $1 }
    }
    #expect(verified)
  }

  @Test func `a key prints as dots, however it is printed`() {
    let key = ES256Key.generate()
    var dumped = ""
    dump(["in a dictionary": key], to: &dumped)
    for text in ["\(key)", String(reflecting: key), "\([key])", "\(Optional(key) as Any)", dumped] {
      #expect(text.contains("•••") && !text.contains("0x") && !text.contains("publicKey"))
    }
  }
}
