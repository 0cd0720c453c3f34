import Bytes
import Testing

@testable import Crypto

struct ES256SignerTests {
  @Test func `one signer signs message after message, however each came in pieces`() throws {
    let key = ES256Key.generate()
    let signer = ES256Signer(key)
    for count in 0..<200 {
      let message = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 7) }
      for byte in message { signer.update([byte].span) }
      var signature = Buffer()
      try signer.finish(into: &signature)
      #expect(signature.count == 64)
      #expect(key.publicKey.accepts(signature.copy, of: message))
      #expect(!key.publicKey.accepts(signature.copy, of: message + [0]))
    }
  }

  @Test func `what was added before a reset is not signed`() throws {
    let key = ES256Key.generate()
    let signer = ES256Signer(key)
    signer.update([1, 2].span)
    signer.reset()
    signer.update([3].span)
    var signature = Buffer()
    try signer.finish(into: &signature)
    #expect(key.publicKey.accepts(signature.copy, of: [3]))
  }

  @Test(arguments: [
    // r, s, DER
    (String(repeating: "00", count: 32), String(repeating: "00", count: 31) + "7f", "3006020100" + "02017f"),
    (
      String(repeating: "00", count: 31) + "80", "00" + String(repeating: "7f", count: 31),
      "302502020080" + "021f" + String(repeating: "7f", count: 31)
    ),
    (
      String(repeating: "ff", count: 32), "80" + String(repeating: "00", count: 31),
      "3046022100" + String(repeating: "ff", count: 32) + "022100" + "80" + String(repeating: "00", count: 31)
    ),
    (
      "7f" + String(repeating: "00", count: 31), "0080" + String(repeating: "01", count: 30),
      "3044" + "0220" + "7f" + String(repeating: "00", count: 31) + "0220" + "0080" + String(repeating: "01", count: 30)
    ),
  ])
  func `both forms become each other`(_ r: String, _ s: String, _ der: String) {
    #expect(pack(bytes(hex: r + s)) == der)
    #expect(unpack(bytes(hex: der)) == r + s)
  }

  @Test(arguments: [
    "", "30", "3000", "3103020101", "3006020101", "300602010102", "30060201010201", "3006020101020101ff",
    "3007020101020101", "3005020101020101", "3006030101020101", "3006020101030101",
    // Negative, with a zero too many, of no bytes, longer than 32.
    "3006020180020101", "300702020001020101", "3005020002" + "0101", "30060200020200" + "01",
    "302602210101" + String(repeating: "01", count: 31) + "020101",
    "3081060201010201" + "01",
  ])
  func `what is no DER of two such numbers is refused`(_ der: String) {
    #expect(unpack(bytes(hex: der)) == nil)
  }

  private func pack(_ raw: [UInt8]) -> String {
    var room = [UInt8](repeating: 0xAA, count: ES256Signature.longestDER)
    let count = unsafe raw.withUnsafeBytes { raw in
      unsafe room.withUnsafeMutableBufferPointer { room in unsafe ES256Signature.pack(raw, into: room) }
    }
    return hex(Array(room[..<count]).span)
  }

  private func unpack(_ der: [UInt8]) -> String? {
    var room = [UInt8](repeating: 0xAA, count: 64)
    let done = unsafe der.withUnsafeBufferPointer { der in
      unsafe room.withUnsafeMutableBytes { room in unsafe ES256Signature.unpack(der, into: room) }
    }
    return done ? hex(room.span) : nil
  }
}
