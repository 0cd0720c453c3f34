/// `host [":" port]` (RFC 9110 §7.2, RFC 3986 §3.2), without user information: what `Host` and a target may say.
public struct HostPort: Sendable, Equatable {
  /// Host and port as they came.
  public let all: Range<Int>
  /// The name or address; an IPv6 address with its brackets.
  public let name: Range<Int>
  /// 0–65535, or nil.
  public let port: Int?

  init() {
    all = 0..<0
    name = 0..<0
    port = nil
  }

  /// Checks the whole of `range`: a name of letters, digits, `-`, `.`, `_` without a dot at its end, or `[` IPv6 `]` without a
  /// zone. Tighter than RFC 3986: no percent-encoding, no empty port.
  /// - Throws: `HTTPError.badHost`.
  public init(_ bytes: Span<UInt8>, in range: Range<Int>) throws(HTTPError) {
    var at = range.lowerBound
    let end = range.upperBound
    guard at < end else { throw .badHost }
    if bytes[at] == 0x5B {
      at += 1
      var colons = 0
      while at < end, Characters.hex(bytes[at]) != nil || bytes[at] == 0x3A || bytes[at] == 0x2E {
        if bytes[at] == 0x3A { colons += 1 }
        at += 1
      }
      guard at < end, bytes[at] == 0x5D, colons >= 2 else { throw .badHost }
      at += 1
    } else {
      while at < end, Characters.isHost(bytes[at]) { at += 1 }
      guard at > range.lowerBound, bytes[at - 1] != 0x2E else { throw .badHost }
      guard bytes[range.lowerBound] != 0x2E else { throw .badHost }
    }
    all = range
    name = range.lowerBound..<at
    if at == end {
      port = nil
      return
    }
    guard bytes[at] == 0x3A, end - at >= 2, end - at <= 6 else { throw .badHost }
    at += 1
    var value = 0
    while at < end {
      guard Characters.isDigit(bytes[at]) else { throw .badHost }
      value = value * 10 + Int(bytes[at] - 0x30)
      at += 1
    }
    guard value <= 65535 else { throw .badHost }
    port = value
  }
}
