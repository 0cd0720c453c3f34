internal import Bytes

/// A redirect to the upstream becomes one that leads the client back here (T4.1). Anything else passes as it is.
extension Plan {
  func appendLocation(_ value: Span<UInt8>, to buffer: inout Buffer) {
    guard let rest = pathAtUpstream(value) else { return buffer.append(value) }
    let path = value.extracting(droppingFirst: rest)
    let base = route.basePath
    switch mode {
    case .absolute:
      // The client knows the upstream by its own name and plain HTTP.
      if path.count < value.count {
        buffer.append("http://")
        buffer.append(route.authority)
      }
      buffer.append(path)
    case .prefix, .whole:
      let reached = path.hasPrefix(base.span) ? path.extracting(droppingFirst: base.count) : path
      guard path.hasPrefix(base.span), endsSegment(reached), mode == .prefix || !namesHost(reached) else {
        // Not within the base path, or a path that would read as another host: there is no way there through this route.
        buffer.append(route.upstream.isTLS ? "https://" : "http://")
        buffer.append(route.authority)
        return buffer.append(path)
      }
      if mode == .prefix {
        buffer.append(0x2F)
        buffer.append(route.nameBytes)
      } else if reached.isEmpty || reached[0] != 0x2F {
        buffer.append(0x2F)
      }
      buffer.append(reached)
    }
  }

  private func endsSegment(_ rest: Span<UInt8>) -> Bool {
    rest.isEmpty || rest[0] == 0x2F || rest[0] == 0x3F || rest[0] == 0x23
  }

  /// What starts with two slashes leads to a host, and browsers take a backslash for a slash.
  private func namesHost(_ path: Span<UInt8>) -> Bool {
    path.count > 1 && path[0] == 0x2F && (path[1] == 0x2F || path[1] == 0x5C)
  }

  /// Where the path starts in a reference to the upstream: absolute, or a path alone. nil for other hosts and for references
  /// that are relative to the request's own path.
  private func pathAtUpstream(_ value: Span<UInt8>) -> Int? {
    var start = 0
    if value.hasPrefix("//") {
      start = 2
    } else if value.count > 7, value.extracting(first: 7).equalsIgnoringCase("http://") {
      start = 7
    } else if value.count > 8, value.extracting(first: 8).equalsIgnoringCase("https://") {
      start = 8
    } else {
      return !value.isEmpty && value[0] == 0x2F && value.firstOffset(of: 0x5C) == nil ? 0 : nil
    }
    var end = start
    while end < value.count, value[end] != 0x2F, value[end] != 0x3F, value[end] != 0x23, value[end] != 0x5C { end += 1 }
    guard isAuthority(value.extracting(start..<end)), end == value.count || value[end] != 0x5C else { return nil }
    return end
  }

  private func isAuthority(_ text: Span<UInt8>) -> Bool {
    let authority = route.authority
    if text.equalsIgnoringCase(authority.span) { return true }
    let port: StaticString = route.upstream.isTLS ? ":443" : ":80"
    let length = text.count - port.utf8CodeUnitCount
    return length > 0 && text.extracting(droppingFirst: length).equals(port)
      && text.extracting(first: length).equalsIgnoringCase(authority.span)
  }
}
