internal import Bytes
internal import HTTP

/// The routes of one configuration and how requests find them. Immutable: a reload makes another.
///
/// Make one for each loop, with routes of its own: it is safe to share, but then the loops' reference counts share cache lines.
public final class Snapshot: Sendable {
  public let routes: [Route]
  /// Names → routes.
  private let names: NameTable
  /// Authorities → routes.
  private let authorities: NameTable
  /// In the order of `routes`; nil: its upstream has none.
  private let tokenPlaces: [TokenPlaces?]

  /// What an authority in the table stands for, beside the route.
  enum Kind: Int {
    /// `name.localhost`, at the port of whichever listener was asked.
    case local
    /// One of the route's `hosts`.
    case host
    /// The upstream's own, in absolute form.
    case upstream
    /// The upstream of several routes: it names none of them.
    case ambiguous
  }

  /// - Parameter routes: each at the place of its `index`, with distinct names.
  public init(routes: [Route]) {
    precondition(routes.enumerated().allSatisfy { $0 == $1.index })
    self.routes = routes
    var names = NameTable(ignoringCase: false)
    var authorities = NameTable(ignoringCase: true)
    func add(_ name: String, _ port: UInt16?, _ kind: Kind, _ route: Route) {
      let tag = kind == .local ? Snapshot.anyPort : UInt32(port ?? 0)
      let bytes = Array(name.utf8)
      if kind == .upstream, let other = authorities.find(bytes.span, tag: tag) {
        let known = Kind(rawValue: other & 3)
        if known == .upstream { authorities.insert(bytes.span, tag: tag, value: Kind.ambiguous.rawValue) }
        return
      }
      authorities.insert(bytes.span, tag: tag, value: route.index << 2 | kind.rawValue)
    }
    for route in routes {
      let name = route.nameBytes
      names.insert(name.span, value: route.index)
      add(route.name + ".localhost", nil, .local, route)
      for host in route.hosts { add(host.name, host.port, .host, route) }
    }
    for route in routes {
      let upstream = route.upstream
      let name = upstream.host.utf8.contains(0x3A) ? "[\(upstream.host)]" : upstream.host
      add(name, upstream.port, .upstream, route)
      if upstream.port == (upstream.isTLS ? 443 : 80) { add(name, nil, .upstream, route) }
    }
    self.names = names
    self.authorities = authorities
    let places = TokenPlaces.all(of: routes)
    tokenPlaces = routes.map { places[$0.upstream.authority] }
  }

  /// Whether a path behind the route's base path is a token endpoint's, the route's own or another's with the same upstream.
  /// - Parameter bytes: what the ranges are of.
  func isTokenEndpoint(_ path: Range<Int>, query: Range<Int>?, of route: Route, _ bytes: Span<UInt8>) -> Bool {
    guard let places = tokenPlaces[route.index] else { return false }
    let base = route.basePath
    return places.contain(
      base: base.span, path: bytes.extracting(path), query: bytes.extracting(query ?? 0..<0))
  }

  private static let anyPort: UInt32 = 1 << 16

  public func route(named name: Span<UInt8>) -> Route? {
    names.find(name).map { routes[$0] }
  }

  public func route(named name: String) -> Route? {
    let bytes = Array(name.utf8)
    return route(named: bytes.span)
  }

  /// `name.localhost`, whatever the port.
  func local(_ name: Span<UInt8>) -> Route? {
    authorities.find(name, tag: Snapshot.anyPort).map { routes[$0 >> 2] }
  }

  /// The route that an authority means, and as what.
  /// - Parameter standard: the port that goes without saying.
  func authority(_ name: Span<UInt8>, port: Int?, standard: Int) -> (Kind, Route)? {
    let written = UInt32(port ?? 0)
    let plain: UInt32 = written == standard ? 0 : written
    var found = authorities.find(name, tag: plain)
    if found == nil, plain != written { found = authorities.find(name, tag: written) }
    guard let found, let kind = Kind(rawValue: found & 3) else { return nil }
    return (kind, routes[found >> 2])
  }
}
