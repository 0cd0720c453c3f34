internal import Bytes

/// A field name that means something to us. Everything else is `other` and is carried as it came.
public enum FieldID: UInt8, Sendable, CaseIterable {
  case other
  // Framing, the connection, and what ends at the next hop (RFC 9110 §7.6.1)
  case host, connection, contentLength, transferEncoding, expect, upgrade, te, trailer, keepAlive, http2Settings
  /// Any `Proxy-…`.
  case proxy
  // Credentials and ours
  case authorization, cookie, setCookie, chatelaineToken, chatelaineSubject
  /// Any other `X-Chatelaine-…`.
  case chatelaine
  case requestID
  // What browsers add
  case origin, secFetchSite
  /// Any `Access-Control-…`.
  case accessControl
  /// `Forwarded`, `X-Forwarded-…`, `Via`, `X-Real-IP`.
  case forwarding
  /// `X-HTTP-Method…`, `X-Method-Override`, `X-Original-URL`, `X-Rewrite-URL`.
  case override
  // What only an upstream says
  case location, contentLocation, altSvc, clearSiteData
  // Fields that appear once
  case contentType, contentEncoding, contentRange, date, from, referer, userAgent, ifModifiedSince, ifUnmodifiedSince
  case ifRange, range, maxForwards

  /// - Parameter name: a token, in any case.
  public init(_ name: Span<UInt8>) {
    self = name.isEmpty ? .other : FieldID.classify(name, 0, name.count)
  }

  /// Ends at this hop: never forwarded, in neither direction.
  public var isHopByHop: Bool {
    switch self {
    case .connection, .transferEncoding, .upgrade, .te, .trailer, .keepAlive, .http2Settings, .proxy: true
    default: false
    }
  }

  /// Never goes from a caller to an upstream (T3.4), besides what is hop-by-hop. `cookie` is, unless the route passes it.
  public var isStrippedFromRequests: Bool {
    switch self {
    case .authorization, .cookie, .chatelaineToken, .chatelaineSubject, .chatelaine, .forwarding, .override: true
    default: false
    }
  }

  /// Only what we or the framing rules say decides these: a name with `_` for `-` that looks like one is refused (row 54).
  var isGuarded: Bool {
    switch self {
    case .host, .connection, .contentLength, .transferEncoding, .expect, .upgrade: true
    case .chatelaineToken, .chatelaineSubject, .chatelaine: true
    default: false
    }
  }

  /// May not be nominated by `Connection` (row 101).
  var isProtected: Bool {
    switch self {
    case .host, .contentLength, .transferEncoding, .expect, .authorization, .cookie, .setCookie, .contentType: true
    case .chatelaineToken, .chatelaineSubject, .chatelaine, .connection: true
    default: false
    }
  }

  /// A second one is an error (row 63).
  var isSingleton: Bool {
    switch self {
    case .host, .contentLength, .transferEncoding, .expect: false  // they have errors of their own
    case .authorization, .chatelaineToken, .chatelaineSubject, .origin, .secFetchSite: true
    case .contentType, .contentRange, .contentLocation, .date, .from, .referer, .userAgent: true
    case .ifModifiedSince, .ifUnmodifiedSince, .ifRange, .range, .maxForwards: true
    default: false
    }
  }

  /// We act on the value, so it must be ASCII (row 59).
  var isInterpreted: Bool {
    switch self {
    case .host, .connection, .contentLength, .transferEncoding, .expect, .upgrade, .te, .trailer, .authorization: true
    case .chatelaineToken, .chatelaineSubject, .chatelaine, .origin, .secFetchSite, .accessControl: true
    default: false
    }
  }

  /// RFC 9110 §6.5.1: framing, routing, authentication and what tells how to read the content (row 99).
  var isForbiddenInTrailers: Bool {
    switch self {
    case .other, .requestID, .date, .userAgent, .from, .referer: false
    default: true
    }
  }

  /// The field whose name is `bytes[start..<start + count]`, all of it token bytes.
  static func classify(_ bytes: Span<UInt8>, _ start: Int, _ count: Int) -> FieldID {
    @inline(__always) func matches(_ name: StaticString) -> Bool { bytes.matches(name, at: start) }
    switch count {
    case 2: if matches("te") { return .te }
    case 3: if matches("via") { return .forwarding }
    case 4:
      if matches("host") { return .host }
      if matches("date") { return .date }
      if matches("from") { return .from }
    case 5: if matches("range") { return .range }
    case 6:
      if matches("cookie") { return .cookie }
      if matches("expect") { return .expect }
      if matches("origin") { return .origin }
    case 7:
      if matches("upgrade") { return .upgrade }
      if matches("trailer") { return .trailer }
      if matches("referer") { return .referer }
      if matches("alt-svc") { return .altSvc }
    case 8:
      if matches("location") { return .location }
      if matches("if-range") { return .ifRange }
    case 9: if matches("forwarded") || matches("x-real-ip") { return .forwarding }
    case 10:
      if matches("connection") { return .connection }
      if matches("user-agent") { return .userAgent }
      if matches("keep-alive") { return .keepAlive }
      if matches("set-cookie") { return .setCookie }
    case 11: if matches("set-cookie2") { return .setCookie }
    case 12:
      if matches("content-type") { return .contentType }
      if matches("x-request-id") { return .requestID }
      if matches("max-forwards") { return .maxForwards }
    case 13:
      if matches("authorization") { return .authorization }
      if matches("content-range") { return .contentRange }
    case 14:
      if matches("content-length") { return .contentLength }
      if matches("sec-fetch-site") { return .secFetchSite }
      if matches("http2-settings") { return .http2Settings }
      if matches("x-original-url") { return .override }
    case 15: if matches("clear-site-data") { return .clearSiteData }
    case 16:
      if matches("content-encoding") { return .contentEncoding }
      if matches("content-location") { return .contentLocation }
    case 17:
      if matches("transfer-encoding") { return .transferEncoding }
      if matches("if-modified-since") { return .ifModifiedSince }
    case 18: if matches("x-chatelaine-token") { return .chatelaineToken }
    case 19:
      if matches("if-unmodified-since") { return .ifUnmodifiedSince }
    case 20: if matches("x-chatelaine-subject") { return .chatelaineSubject }
    default: break
    }
    switch bytes[start] | 0x20 {
    case 0x78 where count > 9:  // x
      if count > 12, matches("x-forwarded-") { return .forwarding }
      if count > 12, matches("x-chatelaine-") { return .chatelaine }
      if count > 12, matches("x-http-method") { return .override }
      if count == 13, matches("x-rewrite-url") { return .override }
      if count == 17, matches("x-method-override") { return .override }
    case 0x70 where count > 6: if matches("proxy-") { return .proxy }
    case 0x61 where count > 15: if matches("access-control-") { return .accessControl }
    default: break
    }
    return .other
  }
}
