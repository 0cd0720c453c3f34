import Bytes

/// The fixed base that a route leads to.
public struct Upstream: Sendable, Hashable, CustomStringConvertible {
  public enum Scheme: String, Sendable {
    case http, https

    public var defaultPort: UInt16 { self == .https ? 443 : 80 }
  }

  public var scheme: Scheme
  public var host: Authority.Host
  public var port: UInt16
  /// What `Host` says upstream: without the port where it is the scheme's own.
  public var authority: String
  /// Empty, or begins with `/` and does not end with one: it stands before every path, byte for byte.
  public var basePath: String

  /// Why a text is no upstream, and where in its UTF-8.
  public struct Mistake: Error {
    var message: String
    var range: Range<Int>
    var help: String?
  }

  public init(_ text: String) throws(Mistake) {
    let bytes = Array(text.utf8)
    func mistake(_ message: String, _ range: Range<Int>? = nil, help: String? = nil) -> Mistake {
      Mistake(message: message, range: range ?? 0..<bytes.count, help: help)
    }
    if bytes.span.hasPrefix("https://") {
      scheme = .https
    } else if bytes.span.hasPrefix("http://") {
      scheme = .http
    } else {
      throw mistake(
        "an upstream begins with https:// or http://", help: "for example \"https://api.example.com\"")
    }
    let start = scheme.rawValue.utf8.count + 3
    let end = bytes[start...].firstIndex { ByteSet("/?#").contains($0) } ?? bytes.count
    let parsed: Authority
    do {
      parsed = try Authority(String(decoding: bytes[start..<end], as: UTF8.self))
    } catch {
      throw mistake(error.message, start..<end)
    }
    host = parsed.host
    port = parsed.port ?? scheme.defaultPort
    if parsed.port == 0 { throw mistake("a server does not listen on port 0", start..<end) }
    authority = Authority(host: host, port: port == scheme.defaultPort ? nil : port).description
    if let mark = bytes[end...].firstIndex(where: { ByteSet("?#").contains($0) }) {
      throw mistake("an upstream has no query and no fragment", mark..<bytes.count)
    }
    var path = bytes[end...]
    if path.last == UInt8(ascii: "/") { path = path.dropLast() }
    var segmentStart = path.startIndex + 1
    for segment in path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).dropFirst() {
      if let why = PathSegment.mistake(in: segment) {
        throw mistake(why, segmentStart..<(segmentStart + max(segment.count, 1)))
      }
      segmentStart += segment.count + 1
    }
    basePath = String(decoding: path, as: UTF8.self)
  }

  public var isLoopback: Bool { Authority(host: host, port: nil).isLoopback }

  public var description: String { "\(scheme)://\(authority)\(basePath)" }
}

/// One piece of a path between slashes, as a configuration writes it.
enum PathSegment {
  private static let allowed = ByteSet.unreserved.union(ByteSet("!$&'()*+,;=:@%"))

  /// Why the segment cannot be part of a path; nil when it can.
  static func mistake(in segment: ArraySlice<UInt8>) -> String? {
    if segment.isEmpty { return "a segment is empty" }
    guard segment.allSatisfy({ allowed.contains($0) }) else { return "a character here must be percent-encoded" }
    var decoded = Buffer()
    guard decoded.appendPercentDecoded(segment.span) else { return "a \"%\" needs two hexadecimal digits" }
    let once = Array(decoded.span)
    guard String(validating: once, as: UTF8.self) != nil else { return "what is percent-encoded here is no UTF-8" }
    if once.contains(where: { $0 < 0x20 || $0 == 0x7F || $0 == UInt8(ascii: "\\") }) {
      return "a control character or a backslash cannot be in a path"
    }
    for text in [once, decodedAgain(once)] {
      for part in text.split(whereSeparator: { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") }) {
        let part = String(decoding: part, as: UTF8.self)
        if part == "." || part == ".." { return "\"\(part)\" cannot be a segment" }
      }
    }
    return nil
  }

  /// As a server sees it that decodes twice: what is no escape stays.
  private static func decodedAgain(_ text: [UInt8]) -> [UInt8] {
    var out: [UInt8] = []
    var rest = text[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "%"), rest.count >= 2, let high = hexValue(rest[rest.startIndex]),
        let low = hexValue(rest[rest.startIndex + 1])
      {
        out.append(high << 4 | low)
        rest = rest.dropFirst(2)
      } else {
        out.append(byte)
      }
    }
    return out
  }
}

extension Upstream {
  /// Stands in a route whose own is wrong; such a route leaves no reader.
  static let none = Upstream()

  private init() {
    scheme = .https
    host = .name("")
    port = 443
    authority = ""
    basePath = ""
  }
}
