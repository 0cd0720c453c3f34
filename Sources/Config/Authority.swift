import Bytes

/// A host and perhaps a port: `api.example.com`, `[::1]:8443`.
public struct Authority: Sendable, Hashable, CustomStringConvertible {
  public enum Host: Sendable, Hashable {
    /// Lower case.
    case name(String)
    case address(IPAddress)

    /// `x.localhost`: whatever the port, it means the route `x`.
    var isOwnSuffix: Bool {
      if case .name(let name) = self { name.hasSuffix(".localhost") } else { false }
    }

    /// Without the brackets of an IPv6 address: as it is resolved and checked.
    public var plain: String {
      switch self {
      case .name(let name): name
      case .address(let address): address.description
      }
    }
  }

  public var host: Host
  /// nil: the scheme's own.
  public var port: UInt16?

  /// Why a text is no authority, as a message's end: `a host cannot …`.
  public struct Mistake: Error, Equatable {
    public var message: String
  }

  public init(_ text: some StringProtocol) throws(Mistake) {
    let utf8 = Array(text.utf8)
    var hostEnd = utf8.count
    if utf8.contains(UInt8(ascii: "@")) { throw Mistake(message: "a user name or password has no place here") }
    if utf8.first == UInt8(ascii: "[") {
      guard let close = utf8.firstIndex(of: UInt8(ascii: "]")) else {
        throw Mistake(message: "the \"[\" is never closed")
      }
      guard let address = IPAddress(String(decoding: utf8[1..<close], as: UTF8.self)), address.isIPv6 else {
        throw Mistake(message: "there is no IPv6 address in the brackets")
      }
      host = .address(address)
      hostEnd = close + 1
      if hostEnd < utf8.count, utf8[hostEnd] != UInt8(ascii: ":") {
        throw Mistake(message: "only a port can follow the brackets")
      }
    } else {
      let colons = utf8.indices.filter { utf8[$0] == UInt8(ascii: ":") }
      if colons.count > 1 { throw Mistake(message: "an IPv6 address stands in brackets") }
      if let colon = colons.first { hostEnd = colon }
      host = try Authority.host(String(decoding: utf8[..<hostEnd], as: UTF8.self))
    }
    guard hostEnd < utf8.count else { return }
    port = Authority.port(Array(utf8[(hostEnd + 1)...]))
    if port == nil { throw Mistake(message: "a port is a number from 0 to 65535") }
  }

  public init(host: Host, port: UInt16?) {
    self.host = host
    self.port = port
  }

  private static func port(_ digits: [UInt8]) -> UInt16? {
    digits.count > 5 ? nil : UInt64(decimal: digits.span).flatMap { UInt16(exactly: $0) }
  }

  private static func host(_ text: String) throws(Mistake) -> Host {
    if text.isEmpty { throw Mistake(message: "the host is missing") }
    if let address = IPAddress(text) { return .address(address) }
    guard text.utf8.allSatisfy({ $0 < 0x80 }) else {
      throw Mistake(message: "a host is ASCII; write an international name in its xn-- form")
    }
    let labels = text.split(separator: ".", omittingEmptySubsequences: false)
    let letters = ByteSet.letters.union(.digits).union(ByteSet("-_"))
    guard
      text.utf8.count <= 253,
      labels.allSatisfy({ label in
        (1...63).contains(label.utf8.count) && label.utf8.allSatisfy { letters.contains($0) } && label.first != "-"
          && label.last != "-"
      })
    else { throw Mistake(message: "this is no host name") }
    if labels.last?.utf8.allSatisfy(\.isASCIIDigit) == true {
      throw Mistake(message: "this is neither a host name nor an IPv4 address of four numbers")
    }
    return .name(String(decoding: Array(text.utf8).map(\.asciiLowercased), as: UTF8.self))
  }

  /// 127.0.0.0/8, ::1, `localhost` and what ends in `.localhost` (RFC 6761 §6.3).
  public var isLoopback: Bool {
    switch host {
    case .address(let address): address.isLoopback
    case .name(let name): name == "localhost" || name.hasSuffix(".localhost")
    }
  }

  public var hostText: String {
    switch host {
    case .name(let name): name
    case .address(let address): address.isIPv6 ? "[\(address)]" : "\(address)"
    }
  }

  public var description: String { hostText + (port.map { ":\($0)" } ?? "") }
}
