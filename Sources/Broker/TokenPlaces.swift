internal import Bytes
internal import Config
internal import Connector

/// The token endpoints of one upstream, and those of agents' handshakes, whichever routes ask them: no caller's request goes
/// there (T3.9).
///
/// Servers differ in which spellings of a path they take for one. Here all are that some server takes so: case, percent-encoding,
/// slashes that are repeated or at the end, and a segment's parameters behind `;` make no difference.
struct TokenPlaces: Sendable {
  private struct Place: Sendable {
    /// As `walk` gives it.
    var path: [UInt8] = []
    /// Pairs of the address's own query, decoded: where there are some, they tell the endpoint from others at its path.
    var pairs: [[UInt8]] = []
    /// Whether what lies below is meant, too.
    var isSubtree = false
  }

  private var places: [Place] = []

  /// By the authority that `Host` says.
  static func all(of routes: [Route]) -> [String: TokenPlaces] {
    var all: [String: TokenPlaces] = [:]
    for route in routes {
      if let agent = route.agent {
        for endpoint in Agent.endpoints {
          all[agent.service.authority, default: TokenPlaces()].add(agent.service.basePath + endpoint, isSubtree: true)
        }
      }
      let requests = (route.connector.token?.requests ?? []) + (route.connector.oauth.map { [$0.exchange] } ?? [])
      for request in requests {
        guard let location = try? request.location(options: route.options) else { continue }
        let origin = location.origin.flatMap { try? Config.Upstream($0) }
        let target = (location.origin == nil ? route.upstream.basePath : "") + location.target
        all[origin?.authority ?? route.upstream.authority, default: TokenPlaces()].add(target)
      }
    }
    return all
  }

  private mutating func add(_ target: String, isSubtree: Bool = false) {
    let bytes = Array(target.utf8)
    let mark = bytes.firstIndex(of: UInt8(ascii: "?"))
    var place = Place(isSubtree: isSubtree)
    var walk = Walk()
    _ = walk.through(bytes.span.extracting(..<(mark ?? bytes.count))) { byte in
      place.path.append(byte)
      return true
    }
    if let mark {
      for pair in bytes[(mark + 1)...].split(separator: UInt8(ascii: "&")) {
        let encoded = Array(pair)
        var decoded: [UInt8] = []
        _ = TokenPlaces.decode(encoded.span) { byte in
          decoded.append(byte)
          return true
        }
        place.pairs.append(decoded)
      }
    }
    places.append(place)
  }

  /// - Parameters:
  ///   - base: the upstream's base path; `path` follows it.
  func contain(base: Span<UInt8>, path: Span<UInt8>, query: Span<UInt8>) -> Bool {
    for place in places {
      let wanted = place.path.span
      var matched = 0
      var walk = Walk()
      var isBelow = false
      func matches(_ byte: UInt8) -> Bool {
        if isBelow { return true }
        guard matched < wanted.count else {
          isBelow = place.isSubtree && byte == UInt8(ascii: "/")
          return isBelow
        }
        guard wanted[matched] == byte else { return false }
        matched += 1
        return true
      }
      guard walk.through(base, matches), walk.through(path, matches), matched == wanted.count else { continue }
      if place.pairs.allSatisfy({ TokenPlaces.has($0.span, in: query) }) { return true }
    }
    return false
  }

  private static func has(_ wanted: Span<UInt8>, in query: Span<UInt8>) -> Bool {
    var start = 0
    for end in 0...query.count where end == query.count || query[end] == UInt8(ascii: "&") {
      var matched = 0
      let isWhole = decode(query.extracting(start..<end)) { byte in
        guard matched < wanted.count, wanted[matched] == byte else { return false }
        matched += 1
        return true
      }
      if isWhole, matched == wanted.count { return true }
      start = end + 1
    }
    return false
  }

  /// Gives a text's bytes, percent-encoded ones decoded, until `take` has had enough; false then.
  private static func decode(_ text: Span<UInt8>, _ take: (UInt8) -> Bool) -> Bool {
    var index = 0
    while index < text.count {
      var byte = text[index]
      index += 1
      if byte == UInt8(ascii: "%"), index + 1 < text.count, let high = hexValue(text[index]),
        let low = hexValue(text[index + 1])
      {
        byte = high << 4 | low
        index += 2
      }
      if byte == UInt8(ascii: "+") { byte = UInt8(ascii: " ") }
      guard take(byte) else { return false }
    }
    return true
  }

  /// A path's bytes, one spelling for all. It may come in parts.
  private struct Walk {
    private var slashIsDue = false
    private var isInParameters = false

    /// False as soon as `take` has had enough.
    mutating func through(_ part: Span<UInt8>, _ take: (UInt8) -> Bool) -> Bool {
      TokenPlaces.decode(part) { byte in
        if byte == UInt8(ascii: "/") {
          slashIsDue = true
          isInParameters = false
          return true
        }
        if byte == UInt8(ascii: ";") { isInParameters = true }
        guard !isInParameters else { return true }
        if slashIsDue {
          slashIsDue = false
          guard take(UInt8(ascii: "/")) else { return false }
        }
        return take(byte.asciiLowercased)
      }
    }
  }
}
