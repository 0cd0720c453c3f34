import Bytes
import Crypto
import Testing

struct AESGCMTests {
  @Test func `every Wycheproof case is sealed and opened, or refused, as published`() throws {
    var ran = 0
    for test in try Wycheproof.cases("aes_gcm_test.json") {
      let key = Secret(copying: test.bytes("key").span)
      let nonce = test.bytes("iv")
      let associated = test.bytes("aad")
      let message = test.bytes("msg")
      let sealed = test.bytes("ct") + test.bytes("tag")
      guard key.count == AESGCM.keyCount, nonce.count == AESGCM.nonceCount else {
        // Shapes that the store never uses are refused by their own name.
        let refusal: AEADError = key.count == AESGCM.keyCount ? .nonceLength : .keyLength
        #expect(throws: refusal) {
          try AESGCM.open(sealed.span, key: key, nonce: nonce.span, associated: associated.span)
        }
        continue
      }
      ran += 1
      guard test.isValid else {
        #expect(throws: AEADError.authentication, "case \(test.id)") {
          try AESGCM.open(sealed.span, key: key, nonce: nonce.span, associated: associated.span)
        }
        continue
      }
      let opened = try AESGCM.open(sealed.span, key: key, nonce: nonce.span, associated: associated.span)
      #expect(hex(opened.span) == hex(message.span), "case \(test.id)")
      var out = Buffer()
      try AESGCM.seal(message.span, key: key, nonce: nonce.span, associated: associated.span, to: &out)
      #expect(hex(out.span) == hex(sealed.span), "case \(test.id)")
    }
    #expect(ran >= 60)
  }

  @Test func `no flipped bit anywhere is accepted`() throws {
    let key = Random.secret(32)
    let nonce = Random.bytes(12)
    var out = Buffer()
    try AESGCM.seal([1, 2, 3].span, key: key, nonce: nonce.span, associated: [9].span, to: &out)
    for index in out.span.indices {
      var damaged = out.copy
      damaged[index] ^= 0x10
      #expect(throws: AEADError.authentication) {
        try AESGCM.open(damaged.span, key: key, nonce: nonce.span, associated: [9].span)
      }
    }
    #expect(throws: AEADError.authentication) {
      try AESGCM.open(out.span, key: key, nonce: nonce.span, associated: [8].span)
    }
    #expect(throws: AEADError.authentication) {
      try AESGCM.open([0, 1].span, key: key, nonce: nonce.span, associated: [9].span)
    }
  }
}
