import Bytes

/// An IPv4 or IPv6 address, read from its only usual spelling: no octal, no short forms, no zones.
public struct IPAddress: Sendable, Hashable, CustomStringConvertible {
  /// 4 or 16, most significant first.
  public let bytes: [UInt8]

  public init?(_ text: some StringProtocol) {
    let utf8 = Array(text.utf8)
    guard let bytes = utf8.contains(UInt8(ascii: ":")) ? IPAddress.six(utf8[...]) : IPAddress.four(utf8[...]) else {
      return nil
    }
    self.bytes = bytes
  }

  public var isIPv6: Bool { bytes.count == 16 }

  /// 127.0.0.0/8 or ::1.
  public var isLoopback: Bool {
    isIPv6 ? bytes.dropLast().allSatisfy { $0 == 0 } && bytes[15] == 1 : bytes[0] == 127
  }

  /// Without brackets; IPv6 with its longest run of zeroes shortened (RFC 5952).
  public var description: String {
    guard isIPv6 else { return bytes.map { String($0) }.joined(separator: ".") }
    let groups = stride(from: 0, to: 16, by: 2).map { UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]) }
    var best = 0..<0
    for start in 0..<8 {
      let run = groups[start...].prefix { $0 == 0 }
      if run.count > max(best.count, 1) { best = run.indices }
    }
    func text(_ part: ArraySlice<UInt16>) -> String { part.map { String($0, radix: 16) }.joined(separator: ":") }
    return best.isEmpty ? text(groups[...]) : text(groups[..<best.lowerBound]) + "::" + text(groups[best.upperBound...])
  }

  private static func four(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var bytes: [UInt8] = []
    for part in parts {
      let digits = Array(part)
      guard digits.count <= 3, digits.count == 1 || digits.first != 0x30, let value = UInt64(decimal: digits.span),
        let byte = UInt8(exactly: value)
      else { return nil }
      bytes.append(byte)
    }
    return bytes
  }

  private static func six(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    var sides: [[UInt8]] = []
    var rest = text
    var gap: ArraySlice<UInt8>.Index?
    for index in text.indices.dropLast() where text[index] == 0x3A && text[index + 1] == 0x3A {
      gap = index
      break
    }
    if let gap {
      guard let head = groups(text[..<gap], mayEndInFour: false) else { return nil }
      sides.append(head)
      rest = text[(gap + 2)...]
    }
    guard let tail = groups(rest, mayEndInFour: true) else { return nil }
    sides.append(tail)
    let count = sides.reduce(0) { $0 + $1.count }
    guard gap == nil ? count == 16 : count <= 14 else { return nil }
    return sides.count == 1 ? tail : sides[0] + [UInt8](repeating: 0, count: 16 - count) + tail
  }

  /// Colon-separated groups of up to four hexadecimal digits, the last perhaps an IPv4 address.
  private static func groups(_ text: ArraySlice<UInt8>, mayEndInFour: Bool) -> [UInt8]? {
    guard !text.isEmpty else { return [] }
    var bytes: [UInt8] = []
    let parts = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
    for (index, part) in parts.enumerated() {
      if mayEndInFour, index == parts.count - 1, let four = four(part) {
        bytes += four
        continue
      }
      guard (1...4).contains(part.count) else { return nil }
      var value: UInt16 = 0
      for digit in part {
        guard let nibble = hexValue(digit) else { return nil }
        value = value << 4 | UInt16(nibble)
      }
      bytes += [UInt8(value >> 8), UInt8(value & 0xFF)]
    }
    return bytes
  }
}
