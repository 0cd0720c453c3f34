internal import Bytes

/// The four forms of a request target (RFC 9112 §3.2).
public enum TargetForm: Sendable { case origin, absolute, asterisk, authority }

/// A request target taken apart. Nothing is decoded: the ranges are what goes upstream.
struct Target {
  var form = TargetForm.origin
  var isHTTPS = false
  var authority: HostPort?
  var path = 0..<0
  /// Behind the `?`, possibly empty.
  var query: Range<Int>?
  var hasEmptySegments = false

  init() {}

  /// - Parameter range: the target; its bytes are all of `Characters.isTarget`.
  init(_ bytes: Span<UInt8>, _ range: Range<Int>, _ method: Method) throws(HTTPError) {
    if method == .connect {
      form = .authority
      authority = try HostPort(bytes, in: range)
      guard authority?.port != nil else { throw .badHost }
      return
    }
    switch bytes[range.lowerBound] {
    case 0x2F:
      if range.count > 1, bytes[range.lowerBound + 1] == 0x2F { throw .emptyFirstSegment }
      path = range
    case 0x2A where range.count == 1 && method == .options:
      form = .asterisk
      return
    default:
      path = try absolute(bytes, range)
    }
    if let mark = bytes.extracting(path).firstOffset(of: 0x3F) {
      query = (path.lowerBound + mark + 1)..<path.upperBound
      path = path.lowerBound..<(path.lowerBound + mark)
    }
    hasEmptySegments = try PathRules.check(path: bytes.extracting(path))
    if let query { try PathRules.check(query: bytes.extracting(query)) }
  }

  /// - Returns: what is behind the authority.
  private mutating func absolute(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(HTTPError) -> Range<Int> {
    var at = range.lowerBound
    if bytes.matches("http://", in: at..<min(at + 7, range.upperBound)) {
      at += 7
    } else if bytes.matches("https://", in: at..<min(at + 8, range.upperBound)) {
      at += 8
      isHTTPS = true
    } else {
      throw .badTarget
    }
    form = .absolute
    let start = at
    while at < range.upperBound, bytes[at] != 0x2F, bytes[at] != 0x3F { at += 1 }
    authority = try HostPort(bytes, in: start..<at)
    if range.upperBound - at > 1, bytes[at] == 0x2F, bytes[at + 1] == 0x2F { throw .emptyFirstSegment }
    return at..<range.upperBound
  }
}
