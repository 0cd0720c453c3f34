import Bytes

/// The bytes that a hexadecimal text stands for; a text that is none is a mistake of the test.
func bytes(hex text: String) -> [UInt8] {
  var buffer = Buffer()
  precondition(buffer.appendDecodedHex(Array(text.utf8).span))
  return buffer.copy
}

func hex(_ bytes: Span<UInt8>) -> String {
  var buffer = Buffer()
  buffer.appendHex(bytes)
  return String(decoding: buffer.copy, as: UTF8.self)
}

extension Buffer {
  /// The readable bytes, as an array.
  var copy: [UInt8] { span.indices.map { span[$0] } }
}
