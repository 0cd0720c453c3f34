import Config
import Connector
import Glibc
import JSON
import Testing

@testable import Daemon

private let connector = #"""
  { "connector": "own", "title": "t", "secrets": { "k": { "about": "a" } },
    "set": { "headers": { "X-Key": "${secret.k}" } } }
  """#

/// Reads a file and tells how it was refused.
private func refusal(_ path: String) -> SetupError? {
  do throws(SetupError) {
    _ = try Setup.read(path)
    return nil
  } catch {
    return error
  }
}

@Test func `the places are the variable alone, or the user's and then the system's`() {
  func places(_ environment: [String: String]) -> [String] { Setup.places { environment[$0] } }
  let system = "/etc/chatelaine/chatelaine.jsonc"
  #expect(places(["CHATELAINE_CONFIG": "/x.jsonc", "HOME": "/h"]) == ["/x.jsonc"])
  #expect(
    places(["XDG_CONFIG_HOME": "/x", "HOME": "/h"]) == ["/x/chatelaine/chatelaine.jsonc", system])
  #expect(places(["HOME": "/h"]) == ["/h/.config/chatelaine/chatelaine.jsonc", system])
  #expect(places(["CHATELAINE_CONFIG": "", "XDG_CONFIG_HOME": "", "HOME": "/h"]) == places(["HOME": "/h"]))
  #expect(places([:]) == [system])
}

@Test func `a file is read with its path and its warnings`() throws {
  let directory = Directory()
  let path = directory.write("c.jsonc", Bed.configuration(port: 80, route: #""tls": { "verify": false },"#))
  let setup = try Setup.read(path)
  #expect(setup.path == path)
  #expect(setup.configuration.routes.map(\.name) == ["r"])
  #expect(setup.warnings.count == 1)
}

@Test func `a file that others may write to, or that somebody else owns, is refused as unsafe`() {
  let directory = Directory()
  for mode: mode_t in [0o666, 0o602, 0o620, 0o664] {
    let path = directory.write("c.jsonc", Bed.configuration(port: 80), mode: mode)
    guard case .unsafeMode(path)? = refusal(path) else {
      Issue.record("read with mode \(String(mode, radix: 8))")
      continue
    }
    #expect(refusal(path)?.exitStatus == 77)
    #expect(refusal(path)?.hint == "chmod go-w \(path)")
  }
  let path = directory.write("c.jsonc", Bed.configuration(port: 80), mode: 0o644)
  #expect(refusal(path) == nil)
  // Only root can give a file away.
  guard chown(path, 12_345, 12_345) == 0 else { return }
  guard case .unsafeMode? = refusal(path) else {
    Issue.record("read a stranger's file")
    return
  }
}

@Test func `each way of not being readable has its own words and exit status`() {
  let directory = Directory()
  let missing = refusal(directory.path + "/missing.jsonc")
  #expect(missing?.message == "\(directory.path)/missing.jsonc: No such file or directory")
  #expect(missing?.exitStatus == 78)
  #expect(refusal(directory.path)?.message == "\(directory.path): Is a directory")
  #expect(refusal(directory.path)?.exitStatus == 74)
  #expect(refusal("/dev/null")?.exitStatus == 74, "not a regular file")
  let large = directory.write("large.jsonc", String(repeating: " ", count: 1 << 20) + "{}")
  #expect(refusal(large)?.message == "\(large): larger than 1048576 bytes")
  #expect(refusal(large)?.exitStatus == 78)
  let wrong = directory.write("wrong.jsonc", "{ \"version\": 2 }")
  #expect(refusal(wrong)?.message.hasPrefix("\(wrong):1:") == true)
  #expect(refusal(wrong)?.exitStatus == 78)
  #expect(SetupError.unreadable("x", EACCES).exitStatus == 77)
  #expect(SetupError.none(["/a", "/b"]).message == "there is no configuration: looked for /a and /b")
  #expect(SetupError.none([]).hint == "chatelaine init")
}

@Test func `connectors come from the directories named, by their suffix, hidden ones left out`() throws {
  let directory = Directory()
  let connectors = Directory()
  connectors.write("own.jsonc", connector)
  connectors.write(".hidden.jsonc", "{ broken")
  connectors.write("README.md", "not one")
  let top = "\"connectors\": [\"\(connectors.path)\"],"
  let path = directory.write("c.jsonc", Bed.configuration(port: 80, connector: "own", top: top))
  #expect(try Setup.read(path).catalog["own"] != nil)
  #expect(try Setup.read(path).catalog["bearer"] != nil)

  let broken = connectors.write("broken.jsonc", "{ \"connector\": }")
  guard case .invalid(let diagnostics)? = refusal(path) else {
    Issue.record("a broken connector was read")
    return
  }
  #expect(diagnostics.map(\.file) == [broken])
  unlink(broken)

  connectors.write("own.jsonc", connector, mode: 0o666)
  #expect(refusal(path)?.exitStatus == 77, "a connector decides what credentials are sent where, too")
  let nowhere = directory.write("d.jsonc", Bed.configuration(port: 80, top: "\"connectors\": [\"/nowhere\"],"))
  #expect(refusal(nowhere)?.message == "/nowhere: No such file or directory")
}
