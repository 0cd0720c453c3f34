import HTTP
import Testing

private func id(_ name: String) -> FieldID {
  let bytes = Array(name.utf8)
  return FieldID(bytes.span)
}

private let names: [(String, FieldID)] = [
  ("Host", .host), ("Connection", .connection), ("Content-Length", .contentLength),
  ("Transfer-Encoding", .transferEncoding), ("Expect", .expect), ("Upgrade", .upgrade), ("TE", .te),
  ("Trailer", .trailer), ("Keep-Alive", .keepAlive), ("HTTP2-Settings", .http2Settings),
  ("Proxy-Connection", .proxy), ("Proxy-Authorization", .proxy), ("Proxy-Status", .proxy), ("Proxy-X", .proxy),
  ("Authorization", .authorization), ("Cookie", .cookie), ("Set-Cookie", .setCookie), ("Set-Cookie2", .setCookie),
  ("X-Chatelaine-Token", .chatelaineToken), ("X-Chatelaine-Subject", .chatelaineSubject),
  ("X-Chatelaine-X", .chatelaine), ("X-Chatelaine-Tokens", .chatelaine), ("X-Request-Id", .requestID),
  ("Origin", .origin), ("Sec-Fetch-Site", .secFetchSite), ("Access-Control-Request-Method", .accessControl),
  ("Access-Control-Allow-Origin", .accessControl), ("Forwarded", .forwarding), ("Via", .forwarding),
  ("X-Real-IP", .forwarding), ("X-Forwarded-For", .forwarding), ("X-Forwarded-Host", .forwarding),
  ("X-HTTP-Method", .override), ("X-HTTP-Method-Override", .override), ("X-Method-Override", .override),
  ("X-Original-URL", .override), ("X-Rewrite-URL", .override), ("Location", .location),
  ("Content-Location", .contentLocation), ("Alt-Svc", .altSvc), ("Clear-Site-Data", .clearSiteData),
  ("Content-Type", .contentType), ("Content-Encoding", .contentEncoding), ("Content-Range", .contentRange),
  ("Date", .date), ("From", .from), ("Referer", .referer), ("User-Agent", .userAgent),
  ("If-Modified-Since", .ifModifiedSince), ("If-Unmodified-Since", .ifUnmodifiedSince), ("If-Range", .ifRange),
  ("Range", .range), ("Max-Forwards", .maxForwards),
]

@Test func `every name that means something is known in any case (row 65)`() {
  for (name, expected) in names {
    #expect(id(name) == expected, "\(name)")
    #expect(id(name.lowercased()) == expected, "\(name)")
    #expect(id(name.uppercased()) == expected, "\(name)")
  }
  #expect(Set(names.map(\.1)) == Set(FieldID.allCases.filter { $0 != .other }))
}

@Test func `a name that is one byte off means nothing`() {
  for (name, _) in names {
    #expect(id("x" + name) == .other, "x\(name)")
    #expect(id(String(name.dropFirst())) == .other, "\(name)")
  }
  let near = [
    "", "X", "X-", "Proxy", "Proxy-", "X-Forwarded-", "X-Chatelaine", "Access-Control-", "Hosts",
    "Content-Lengths", "Transfer-Encodings", "Connection-", "Cookie2", "Authorizations", "Accept", "ETag", "Dat",
    "Origins",
  ]
  for name in near { #expect(id(name) == .other, "\(name)") }
}

@Test func `a name with one byte changed means nothing, or what its family means`() {
  for (name, known) in names {
    for index in name.utf8.indices {
      // A byte that no such name has.
      let changed = "\(name[..<index])9\(name[name.utf8.index(after: index)...])"
      let found = id(changed)
      let isFamily =
        found == .proxy || found == .chatelaine || found == .accessControl
        || [.forwarding, .override].contains(found) && found == known
      #expect(found == .other || isFamily && changed.utf8.count == name.utf8.count, "\(changed) is \(found)")
      if name.utf8.distance(from: name.utf8.startIndex, to: index) < 6 { #expect(found == .other, "\(changed)") }
    }
  }
}

@Test func `hop-by-hop fields are exactly these (row 103)`() {
  let hops = FieldID.allCases.filter(\.isHopByHop)
  #expect(hops == [.connection, .transferEncoding, .upgrade, .te, .trailer, .keepAlive, .http2Settings, .proxy])
}
