public import Bytes

/// Names one exchange in answers, logs and errors: 32 hexadecimal digits, unique since the process started.
public struct RequestID: Sendable, Hashable, CustomStringConvertible {
  public var high: UInt64
  public var low: UInt64

  public init(high: UInt64 = 0, low: UInt64 = 0) {
    self.high = high
    self.low = low
  }

  public var description: String {
    var text = Buffer(capacity: 32)
    text.append(self)
    return String(text.span)
  }
}

extension Buffer {
  public mutating func append(_ id: RequestID) {
    var number = (id.high.bigEndian, id.low.bigEndian)
    unsafe withUnsafeBytes(of: &number) { appendHex(unsafe Span(_unsafeBytes: $0)) }
  }
}
