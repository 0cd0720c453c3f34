import Connector
import Glibc
import JSON
import Testing

@testable import Config

/// What is built in; a directory `/more` with a connector that needs nothing, `/reads` with one that reads a header,
/// and one with files that are wrong.
func testCatalog(_ directories: [String]) -> Catalog {
  if directories.contains("/broken") { return brokenCatalog }
  return directories.contains("/more") ? largerCatalog : directories.contains("/reads") ? readingCatalog : plainCatalog
}

private let plainCatalog = Catalog()
private let largerCatalog = Catalog(files: [
  .init(
    name: "/more/none.jsonc",
    bytes: Array(#"{ "connector": "none", "title": "Nothing", "set": { "headers": { "X-A": "1" } } }"#.utf8))
])
private let readingCatalog = Catalog(files: [
  .init(
    name: "/reads/tenant.jsonc",
    bytes: Array(
      #"{ "connector": "tenant", "title": "T", "set": { "headers": { "X-A": "${hex(md5(header.X-Org))}" } } }"#.utf8))
])
private let brokenCatalog = Catalog(files: [
  .init(
    name: "/broken/vendor.jsonc",
    bytes: Array(
      """
      {
        "connector": "vendor",
        "title": "A vendor",
        "secrets": { "key": { "about": "key" } },
        "set": { "headers": { "X-Signature": "v1=${hex(hmac_sha265(secret.key, body))}" } },
      }

      """.utf8))
])

func load(_ path: String) throws -> [UInt8] {
  let file = try #require(fopen(path, "rb"), "\(path)")
  defer { fclose(file) }
  var bytes: [UInt8] = []
  while case let byte = getc(file), byte != EOF { bytes.append(UInt8(truncatingIfNeeded: byte)) }
  return bytes
}

/// Each `Golden/<case>.jsonc` is read, and everything said about it must be the text of `<case>.expected`.
///
/// `CHATELAINE_GOLDEN=write swift test --filter GoldenTests` writes the expectations anew, for reading the difference.
@Suite struct GoldenTests {
  static let directory = String(#filePath.dropLast("GoldenTests.swift".utf8.count)) + "Golden/"

  static let cases: [String] = {
    var names: [String] = []
    guard let listing = opendir(directory) else { return names }
    defer { closedir(listing) }
    while let entry = readdir(listing) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name.hasSuffix(".jsonc") { names.append(String(name.dropLast(6))) }
    }
    return names.sorted()
  }()

  static func said(about name: String) throws -> (text: String, configuration: Configuration?) {
    let source = Source(file: name + ".jsonc", bytes: try load(directory + name + ".jsonc"))
    let (configuration, diagnostics) = Configuration.read(source, catalog: testCatalog)
    return (diagnostics.map { $0.rendered + "\n" }.joined(), configuration)
  }

  @Test(arguments: cases) func `a mistake is told as it should be`(name: String) throws {
    let (text, configuration) = try GoldenTests.said(about: name)
    let path = GoldenTests.directory + name + ".expected"
    if getenv("CHATELAINE_GOLDEN") != nil {
      let file = try #require(fopen(path, "wb"))
      defer { fclose(file) }
      #expect(fputs(text, file) >= 0)
    }
    #expect(text == String(decoding: try load(path), as: UTF8.self))
    #expect((configuration == nil) == text.contains(": error: "))
  }

  @Test func `there is a case for every mistake the design names`() {
    #expect(GoldenTests.cases.count >= 60)
  }

  static let planted = [
    "hunter2", "opensesame", "correct horse", "0f9a8b7c6d5e", "sk_live_4eC3", "Zq8vT2mKx4", "eyJhbGci", "s3cret",
  ]

  @Test(arguments: cases) func `what looks like a secret is in no message`(name: String) throws {
    let (text, _) = try GoldenTests.said(about: name)
    for secret in GoldenTests.planted { #expect(!text.contains(secret)) }
  }

  /// Quotes, colons and brackets are what people lose; then strings and what is between them change places.
  @Test(arguments: cases.filter { $0.hasPrefix("inline") || $0.hasPrefix("callers") })
  func `no lost character of JSON's own shows a secret`(name: String) throws {
    let bytes = try load(GoldenTests.directory + name + ".jsonc")
    for offset in bytes.indices where "\"{}[],:".utf8.contains(bytes[offset]) {
      let text = Array(bytes[..<offset] + bytes[(offset + 1)...])
      let (_, diagnostics) = Configuration.read(Source(file: "f", bytes: text), catalog: testCatalog)
      let said = diagnostics.map(\.rendered).joined(separator: "\n")
      for secret in GoldenTests.planted where said.contains(secret) { Issue.record("\(secret) is shown: \(said)") }
    }
  }

  @Test(arguments: cases) func `a file that is cut or damaged is read to an end`(name: String) throws {
    let bytes = try load(GoldenTests.directory + name + ".jsonc")
    for offset in stride(from: 0, to: bytes.count, by: 23) {
      var damaged = bytes
      damaged[offset] = Array("\"{}[],:/x\\\n\u{7F}".utf8)[offset / 23 % 12]
      for text in [Array(bytes[..<offset]), damaged] {
        let (configuration, diagnostics) = Configuration.read(Source(file: "f", bytes: text), catalog: testCatalog)
        #expect(configuration != nil || diagnostics.contains { $0.severity == .error })
      }
    }
  }
}
