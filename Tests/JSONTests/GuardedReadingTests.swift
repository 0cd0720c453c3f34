import Glibc
import Support
import Testing

@testable import JSON

/// A reading's outcome, in words: the text may lie anywhere.
private func outcome(_ bytes: Span<UInt8>, _ dialect: JSONDialect) -> String {
  do {
    return "\(try JSONReader.parse(bytes, dialect: dialect))"
  } catch {
    return "\(error.position.lineAndColumn) \(error.message)"
  }
}

/// Files below the top of the work tree whose names end so.
private func files(_ folder: String, _ ending: String) -> [[UInt8]] {
  let top = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
  guard let stream = opendir("/\(top)/\(folder)") else { return [] }
  defer { closedir(stream) }
  var found: [[UInt8]] = []
  while let entry = readdir(stream) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) {
      String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
    }
    guard name.hasSuffix(ending), let file = fopen("/\(top)/\(folder)/\(name)", "r") else { continue }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, file))
    found.append(bytes)
  }
  return found
}

@Suite struct GuardedReadingTests {
  /// Wherever the text is cut, the reader looks at no byte behind it, and says the same as of a copy elsewhere.
  private func check(_ bytes: [UInt8], cutting step: Int) {
    let guarded = GuardPage()
    for count in Array(stride(from: 0, to: bytes.count, by: step)) + [bytes.count] {
      for dialect in [JSONDialect.strict, .jsonc] {
        let text = Span(_unsafeElements: guarded.hold(bytes[..<count]))
        #expect(outcome(text, dialect) == outcome(Array(bytes[..<count]).span, dialect))
      }
    }
  }

  @Test func `nothing behind a text is read, wherever it is cut`() {
    let allowed = #"/* c */ {"a": [1.5e-3, "é😀\u00e9\ud83d\ude00\n", null], "b": {"c": true, }, } // d"#
    for text in JSONReaderTests.refused.map(\.0) + [allowed] { check(Array(text.utf8), cutting: 1) }
    for bytes: [UInt8] in [[0x22, 0xC3], [0x22, 0xE2, 0x82], [0x22, 0xF0, 0x9F, 0x98], [0xEF, 0xBB, 0xBF, 0x31]] {
      check(bytes, cutting: 1)
    }
  }

  @Test(arguments: [("Tests/ConfigTests/Golden", ".jsonc"), ("config", ".jsonc"), ("config/connectors", ".jsonc")])
  func `nothing behind a configuration or a connector is read`(folder: String, ending: String) {
    let files = files(folder, ending)
    #expect(!files.isEmpty)
    for bytes in files { check(bytes, cutting: 1 + bytes.count / 64) }
  }
}
