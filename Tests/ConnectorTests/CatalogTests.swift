@testable import Connector
import JSON
import Testing

@Suite struct CatalogTests {
  @Test func `the built-in connectors are the files of config/connectors`() throws {
    for builtIn in BuiltIn.all {
      let file = try Bench.file("config/connectors/\(builtIn.name).jsonc")
      #expect(builtIn.text.description == String(decoding: file, as: UTF8.self), "\(builtIn.name)")
    }
  }

  @Test func `every built-in compiles without a word and has vectors`() {
    let catalog = Catalog()
    #expect(catalog.diagnostics == [])
    #expect(
      catalog.names == [
        "ath", "authing", "basic", "bearer", "codegate", "fastmoss", "header", "oauth2", "oauth2-client-credentials",
        "oauth2-refresh-token", "query", "shangcloud",
      ])
  }

  @Test func `codegate reads the body and bearer lets it stream`() throws {
    let catalog = Catalog()
    let codegate = try #require(catalog["codegate"])
    #expect(codegate.readsBody && !codegate.changesBody && !codegate.changesQuery && !codegate.readsEntropy)
    #expect(codegate.secrets.map(\.name) == ["api_key", "secret"])
    let bearer = try #require(catalog["bearer"])
    #expect(!bearer.readsBody)
    #expect(bearer.options.map(\.defaultValue) == ["Bearer"])
  }

  @Test func `a file takes the place of the built-in of its name`() throws {
    let text = #"{"connector": "bearer", "title": "ours", "set": {"headers": {"X-A": "1"}}}"#
    let catalog = Catalog(files: [Catalog.File(name: "my.jsonc", bytes: Array(text.utf8))])
    #expect(catalog.diagnostics == [])
    #expect(catalog["bearer"]?.title == "ours")
  }

  @Test func `two files of one name are an error that names both`() {
    let text = #"{"connector": "acme", "set": {"headers": {"X-A": "1"}}}"#
    let files = ["a.jsonc", "b.jsonc"].map { Catalog.File(name: $0, bytes: Array(text.utf8)) }
    let problems = Catalog(files: files).diagnostics
    #expect(problems.map(\.headline) == [#"b.jsonc:1:15: error: the connector "acme" is in a.jsonc already"#])
  }

  @Test func `a file that is wrong does not leave the built-in in its place`() {
    let text = #"{"connector": "bearer", "set": {"headers": {"X-A": "${nope}"}}}"#
    let catalog = Catalog(files: [Catalog.File(name: "my.jsonc", bytes: Array(text.utf8))])
    #expect(catalog.diagnostics.count == 1)
    #expect(catalog["bearer"] == nil)
  }
}
