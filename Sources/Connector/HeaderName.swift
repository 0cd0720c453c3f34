import Bytes

/// Rules for the names and values of the headers that a connector touches.
enum HeaderName {
  /// Framing and hop-by-hop headers, and our own: the proxy's business, which no connector sets (RFC 9110 §7.6.1).
  private static let proxys: Set<String> = [
    "connection", "content-length", "expect", "host", "http2-settings", "keep-alive", "proxy-authenticate",
    "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
  ]
  /// Removed from every request before it goes on, so what they say is not part of what is signed.
  private static let stripped: Set<String> = [
    "authorization", "cookie", "forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
    "x-http-method-override", "x-original-url", "x-real-ip", "x-rewrite-url",
  ]

  static func belongsToProxy(_ name: String) -> Bool {
    proxys.contains(folded(name)) || folded(name).hasPrefix("x-chatelaine-")
  }

  static func isNeverForwarded(_ name: String) -> Bool {
    belongsToProxy(name) || stripped.contains(folded(name))
  }

  /// What upstreams may take for the same header: any case, and `_` for `-`.
  private static func folded(_ name: String) -> String {
    String(decoding: name.utf8.map { $0 == 0x5F ? 0x2D : $0.asciiLowercased }, as: UTF8.self)
  }

  /// `token` of RFC 9110 §5.6.2.
  static func isToken(_ name: String) -> Bool {
    !name.isEmpty
      && name.utf8.allSatisfy { byte in
        (byte | 0x20) &- UInt8(ascii: "a") < 26 || byte &- UInt8(ascii: "0") < 10
          || "!#$%&'*+-.^_`|~".utf8.contains(byte)
      }
  }

  /// Without spaces and tabs around it: they are no part of a field's value (RFC 9110 §5.5).
  static func trimmed(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Range<Int> {
    var (lower, upper) = (range.lowerBound, range.upperBound)
    while lower < upper, bytes[lower] == 0x20 || bytes[lower] == 0x09 { lower += 1 }
    while lower < upper, bytes[upper - 1] == 0x20 || bytes[upper - 1] == 0x09 { upper -= 1 }
    return lower..<upper
  }

  /// `field-value` of RFC 9110 §5.5: no control characters but the tab.
  static func isValue(_ bytes: Span<UInt8>) -> Bool {
    var start = 0
    while let found = bytes.firstControl(from: start) {
      guard bytes[found] == 0x09 else { return false }
      start = found + 1
    }
    return true
  }
}
