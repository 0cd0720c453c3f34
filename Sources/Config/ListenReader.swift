import Bytes
import JSON

/// Reads listeners: `{ "tcp": "127.0.0.1:7220" }`, `{ "unix": "/run/x.sock", "mode": "0660" }`, or only a port.
struct ListenReader {
  typealias Bound = (address: ListenAddress, value: JSONValue)

  /// `sun_path` has 108 bytes, the last of them NUL.
  static let longestSocketPath = 107

  let report: Report

  init(_ report: Report) {
    self.report = report
  }

  /// An array of listeners, or a single one.
  func listeners(_ member: JSONMember) -> [Bound] {
    switch member.value.kind {
    case .array(let elements): elements.compactMap { listener($0) }
    case .object, .number: [listener(member.value)].compactMap { $0 }
    default:
      report.wrongKind(member, "an array of listeners", help: "for example [ { \"tcp\": \"127.0.0.1:7220\" } ]") ?? []
    }
  }

  private func listener(_ value: JSONValue) -> Bound? {
    if case .number = value.kind { return loopback(JSONMember("listen", value)).map { ($0, value) } }
    guard var section = Section(value, title: "a listener", report) else { return nil }
    let tcp = section.optional("tcp")
    let unix = section.optional("unix")
    let mode = section.optional("mode")
    let errorsBefore = report.diagnostics.count
    section.finish()
    switch (tcp, unix) {
    case (let tcp?, nil):
      if let mode { report.error("only a Unix socket has a \"mode\"", atKey: mode) }
      return self.tcp(tcp, isForPrograms: true).map { ($0, tcp.value) }
    case (nil, let unix?):
      let bits = mode.map { self.mode($0) } ?? 0o660
      guard let path = report.path(unix, limit: ListenReader.longestSocketPath), let bits else { return nil }
      return (.unix(path: path, mode: bits), unix.value)
    default:
      if report.diagnostics.count == errorsBefore {
        report.error("a listener is either \"tcp\" or \"unix\"", at: value)
      }
      return nil
    }
  }

  /// - Parameter isForPrograms: requests come in here, and only the kernel can say from whom.
  func tcp(_ member: JSONMember, isForPrograms: Bool) -> ListenAddress? {
    if case .number = member.value.kind { return loopback(member) }
    guard let text = report.string(member) else { return nil }
    let authority: Authority
    do {
      authority = try Authority(text)
    } catch {
      report.error("\"\(member.key)\" is an address and a port: \(error.message)", at: member.value, help: example)
      return nil
    }
    guard let port = authority.port else {
      report.error("\"\(member.key)\" has no port", at: member.value, help: example)
      return nil
    }
    guard case .address(let address) = authority.host else {
      report.error(
        "\"\(member.key)\" is an address, not a name", at: member.value,
        help: text.hasPrefix("localhost:") ? "write \"127.0.0.1:\(port)\", and \"[::1]:\(port)\" beside it" : example)
      return nil
    }
    if !address.isLoopback {
      if isForPrograms {
        report.error(
          "\(authority.hostText) can be reached by other machines, whose callers nobody can vouch for",
          at: member.value,
          help: "only processes of the daemon's own uid may call: listen on 127.0.0.1, [::1] or a Unix socket")
        return nil
      }
      report.warning("\(authority.hostText) can be reached by other machines", at: member.value)
    }
    return .tcp(address, port: port)
  }

  private var example: String { "for example \"127.0.0.1:7220\" or \"[::1]:7220\"" }

  private func loopback(_ member: JSONMember) -> ListenAddress? {
    guard let port = report.integer(member, in: 0...65_535), let address = IPAddress("127.0.0.1") else { return nil }
    return .tcp(address, port: UInt16(port))
  }

  /// Four octal digits.
  private func mode(_ member: JSONMember) -> UInt32? {
    if case .number(let text) = member.value.kind {
      return report.wrongKind(member, "a string of octal digits", help: "write \"0\(text)\"")
    }
    guard let text = report.string(member) else { return nil }
    guard text.utf8.count == 4, text.hasPrefix("0"), text.utf8.allSatisfy({ (0x30...0x37).contains($0) }),
      let bits = UInt32(text, radix: 8)
    else {
      report.error("\"mode\" is four octal digits", at: member.value, help: "for example \"0660\"")
      return nil
    }
    if bits & 0o600 != 0o600 || bits & 0o111 != 0 {
      report.error(
        "\"mode\" lets the owner read and write, and nobody execute", at: member.value, help: "for example \"0660\"")
      return nil
    }
    if bits & 0o006 != 0 {
      report.warning(
        "every user of this machine can connect to this socket", at: member.value,
        help: "only processes of the daemon's own uid are answered")
    }
    return bits
  }
}
