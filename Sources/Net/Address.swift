public import CLinux
import Glibc

/// Where a socket is or may be: an IPv4 or IPv6 address with a port, or a path.
public enum Address: Sendable, Hashable, CustomStringConvertible {
  /// Four bytes as in the packet, and the port.
  case ipv4(UInt32, port: UInt16)
  /// Sixteen bytes as two big-endian halves, the scope of a link-local address, and the port.
  case ipv6(UInt64, UInt64, scope: UInt32, port: UInt16)
  case unix(String)

  /// Reads `127.0.0.1` or `::1` (no brackets, no names); nil when it is neither.
  public init?(literal: String, port: UInt16) {
    var v4 = in_addr()
    var v6 = in6_addr()
    if unsafe inet_pton(AF_INET, literal, &v4) == 1 {
      self = .ipv4(UInt32(bigEndian: v4.s_addr), port: port)
    } else if unsafe inet_pton(AF_INET6, literal, &v6) == 1 {
      let (high, low) = unsafe withUnsafeBytes(of: v6) {
        unsafe ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
      }
      self = .ipv6(UInt64(bigEndian: high), UInt64(bigEndian: low), scope: 0, port: port)
    } else {
      return nil
    }
  }

  public var family: Int32 {
    switch self {
    case .ipv4: AF_INET
    case .ipv6: AF_INET6
    case .unix: AF_UNIX
    }
  }

  public var port: UInt16? {
    switch self {
    case .ipv4(_, let port), .ipv6(_, _, _, let port): port
    case .unix: nil
    }
  }

  func with(port: UInt16) -> Address {
    switch self {
    case .ipv4(let bits, _): .ipv4(bits, port: port)
    case .ipv6(let high, let low, let scope, _): .ipv6(high, low, scope: scope, port: port)
    case .unix: self
    }
  }

  public var isLoopback: Bool {
    switch self {
    case .ipv4(let bits, _): bits >> 24 == 127
    case .ipv6(let high, let low, _, _): high == 0 && (low == 1 || low >> 24 == 0xFFFF_7F)
    case .unix: true
    }
  }

  /// Addresses that no upstream has: link-local (where clouds keep their metadata), multicast, unspecified, broadcast.
  public var isNeverAnUpstream: Bool {
    switch self {
    case .ipv4(let bits, _):
      return bits >> 24 == 0 || bits >> 16 == 0xA9FE || bits >> 28 == 0xE || bits == 0xFFFF_FFFF
    case .ipv6(let high, let low, _, let port):
      if high == 0, low >> 32 == 0xFFFF {
        return Address.ipv4(UInt32(truncatingIfNeeded: low), port: port).isNeverAnUpstream
      }
      // IPv4 inside of IPv6 (RFC 6052), and where a large cloud keeps its metadata.
      if high == 0x0064_FF9B_0000_0000, low >> 32 == 0 {
        return Address.ipv4(UInt32(truncatingIfNeeded: low), port: port).isNeverAnUpstream
      }
      if high == 0xFD00_0EC2_0000_0000, low == 0x254 { return true }
      return (high == 0 && low == 0) || high >> 54 == 0xFE80 >> 6 || high >> 56 == 0xFF
    case .unix:
      return false
    }
  }

  public var description: String {
    switch self {
    case .ipv4(let bits, let port):
      return "\(bits >> 24).\(bits >> 16 & 255).\(bits >> 8 & 255).\(bits & 255):\(port)"
    case .ipv6(let high, let low, _, let port):
      var bytes = (high.bigEndian, low.bigEndian)
      var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
      unsafe inet_ntop(AF_INET6, &bytes, &text, socklen_t(text.count))
      return "[" + String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self) + "]:\(port)"
    case .unix(let path):
      return path
    }
  }

  /// Calls `body` with the kernel's form. A Unix path of 108 bytes or more has none: `nil`.
  @unsafe public func withSocketAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result? {
    var storage = sockaddr_storage()
    let length: Int
    switch self {
    case .ipv4(let bits, let port):
      let address = sockaddr_in(
        sin_family: sa_family_t(AF_INET), sin_port: port.bigEndian, sin_addr: in_addr(s_addr: bits.bigEndian),
        sin_zero: (0, 0, 0, 0, 0, 0, 0, 0))
      length = MemoryLayout<sockaddr_in>.size
      unsafe withUnsafeMutableBytes(of: &storage) { unsafe $0.storeBytes(of: address, as: sockaddr_in.self) }
    case .ipv6(let high, let low, let scope, let port):
      var address = sockaddr_in6()
      address.sin6_family = sa_family_t(AF_INET6)
      address.sin6_port = port.bigEndian
      address.sin6_scope_id = scope
      unsafe withUnsafeMutableBytes(of: &address.sin6_addr) {
        unsafe $0.storeBytes(of: high.bigEndian, as: UInt64.self)
        unsafe $0.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
      }
      length = MemoryLayout<sockaddr_in6>.size
      unsafe withUnsafeMutableBytes(of: &storage) { unsafe $0.storeBytes(of: address, as: sockaddr_in6.self) }
    case .unix(let path):
      let bytes = Array(path.utf8)
      guard bytes.count < 108, !bytes.contains(0) else { return nil }
      length = 2 + bytes.count + 1
      unsafe withUnsafeMutableBytes(of: &storage) { raw in
        unsafe raw.storeBytes(of: sa_family_t(AF_UNIX), as: sa_family_t.self)
        for (index, byte) in bytes.enumerated() { unsafe raw[2 + index] = byte }
      }
    }
    return unsafe withUnsafePointer(to: &storage) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0, socklen_t(length)) }
    }
  }

  /// Reads the kernel's form of an IPv4 or IPv6 address; a Unix client has no name and gives an empty path.
  @unsafe init?(_ address: UnsafePointer<sockaddr>, _ length: socklen_t) {
    let raw = unsafe UnsafeRawBufferPointer(start: address, count: Int(length))
    switch Int32(unsafe address.pointee.sa_family) {
    case AF_INET where raw.count >= MemoryLayout<sockaddr_in>.size:
      let v4 = unsafe raw.loadUnaligned(as: sockaddr_in.self)
      self = .ipv4(UInt32(bigEndian: v4.sin_addr.s_addr), port: UInt16(bigEndian: v4.sin_port))
    case AF_INET6 where raw.count >= MemoryLayout<sockaddr_in6>.size:
      let v6 = unsafe raw.loadUnaligned(as: sockaddr_in6.self)
      let high = unsafe raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
      let low = unsafe raw.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
      self = .ipv6(
        UInt64(bigEndian: high), UInt64(bigEndian: low), scope: v6.sin6_scope_id, port: UInt16(bigEndian: v6.sin6_port))
    case AF_UNIX:
      let path = unsafe raw.dropFirst(2).prefix { $0 != 0 }
      self = .unix(unsafe String(decoding: path, as: UTF8.self))
    default:
      return nil
    }
  }

  /// The address that `call` (`getsockname`, `getpeername`) tells of a socket.
  @unsafe static func ask(
    _ descriptor: Int32, _ call: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
  ) -> Address? {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return unsafe withUnsafeMutablePointer(to: &storage) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe call(descriptor, $0, &length) == 0 ? Address($0, length) : nil
      }
    }
  }
}
