import Crypto

// Spans cannot be arguments of what `#expect` and `#require` take apart; arrays can.
extension ES256PublicKey {
  static func at(_ x: some Collection<UInt8>, _ y: some Collection<UInt8>) -> ES256PublicKey? {
    ES256PublicKey(x: Array(x).span, y: Array(y).span)
  }

  func accepts(_ signature: [UInt8], of message: [UInt8]) -> Bool {
    verify(signature.span, of: message.span)
  }
}
