import Glibc
import Testing

@testable import Daemon

/// The environment belongs to the whole process, so each of these has one of its own.

@Test(arguments: ["path", "abstract"])
func `READY=1 arrives on the manager's socket, as one datagram`(_ kind: String) async {
  await #expect(processExitsWith: .success) { [kind] in
    let name = "/tmp/chatelaine-notify-\(getpid())"
    let bytes = kind == "abstract" ? [0] + Array("chatelaine-notify-\(getpid())".utf8) : Array(name.utf8)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let manager = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(manager, $0, length) }
    }
    #expect(bound == 0)
    setenv("NOTIFY_SOCKET", kind == "abstract" ? "@chatelaine-notify-\(getpid())" : name, 1)
    ServiceManager.tell("READY=1")
    ServiceManager.tell("STOPPING=1")
    var text = [UInt8](repeating: 0, count: 100)
    for expected in ["READY=1", "STOPPING=1"] {
      let count = recv(manager, &text, text.count, Int32(MSG_DONTWAIT))
      #expect(String(decoding: text[..<max(count, 0)], as: UTF8.self) == expected)
    }
    unlink(name)
  }
}

@Test func `without a manager, or with a path that cannot be one, nothing happens`() async {
  await #expect(processExitsWith: .success) {
    unsetenv("NOTIFY_SOCKET")
    ServiceManager.tell("READY=1")
    setenv("NOTIFY_SOCKET", "/" + String(repeating: "x", count: 200), 1)
    ServiceManager.tell("READY=1")
    setenv("NOTIFY_SOCKET", "/nowhere/notify", 1)
    ServiceManager.tell("READY=1")
  }
}

@Test func `sockets are inherited from 3 on, if they are meant for this process`() async {
  await #expect(processExitsWith: .success) {
    func inherited(_ pid: String?, _ count: String?) -> [Int32] {
      for (name, value) in [("LISTEN_PID", pid), ("LISTEN_FDS", count)] {
        if let value { setenv(name, value, 1) } else { unsetenv(name) }
      }
      return ServiceManager.inheritedSockets()
    }
    let own = "\(getpid())"
    #expect(inherited(own, "1") == [3])
    #expect(inherited(own, "3") == [3, 4, 5])
    #expect(inherited("\(getppid())", "1") == [])
    for count in ["0", "-1", "", "x", "1 ", "99999999999", "2000", nil] { #expect(inherited(own, count) == []) }
    for pid in ["", "x", nil] { #expect(inherited(pid, "1") == []) }
  }
}
