import Bytes
import Testing

/// What `write` appends, as text.
func written(_ write: (inout Buffer) -> Void) -> String {
  var buffer = Buffer()
  write(&buffer)
  return String(buffer.span)
}

/// What `write` appends, or nil when it refuses; a refusal must leave what was there.
func decoded(_ text: String, _ write: (inout Buffer, Span<UInt8>) -> Bool) -> [UInt8]? {
  var buffer = Buffer()
  buffer.append("kept")
  guard write(&buffer, Array(text.utf8).span) else {
    #expect(String(buffer.span) == "kept")
    return nil
  }
  buffer.consume(4)
  return Array(buffer.span)
}
