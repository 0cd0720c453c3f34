import Foundation
import JSON
import Testing

@testable import Connector

/// `docs/CONNECTORS.md` is true.
@Suite struct DocumentTests {
  private func document() throws -> String {
    String(decoding: try Bench.file("docs/CONNECTORS.md"), as: UTF8.self)
  }

  @Test func `every connector of the document compiles and passes its vectors`() throws {
    let fences = try document().components(separatedBy: "```jsonc\n").dropFirst()
      .map { $0.components(separatedBy: "```\n")[0] }
    #expect(fences.count == 9)
    for fence in fences {
      let (connector, diagnostics) = Connector.compile(source: Array(fence.utf8), file: "CONNECTORS.md")
      #expect(diagnostics.map(\.rendered) == [])
      #expect(connector != nil)
    }
  }

  @Test func `the mistake that it shows is shown so`() throws {
    let document = try document()
    let first = document.components(separatedBy: "```jsonc\n")[1].components(separatedBy: "```\n")[0]
    let wrong = first.replacingOccurrences(of: "sha256(body)", with: "sha265(body)")
    let said = Connector.compile(source: Array(wrong.utf8), file: "acme.jsonc").diagnostics.map(\.rendered)
    #expect(said.count == 1)
    #expect(document.contains("```text\n\(said.joined())\n```"), "\(said.joined())")
  }

  @Test func `the tables name every function and every name`() throws {
    let lines = try document().split(separator: "\n").filter { $0.hasPrefix("| `") }
    let listed = lines.flatMap { line in
      line.split(separator: "|")[0].split(separator: "`").map {
        String($0.prefix { $0 == "_" || $0.isLetter || $0.isNumber })
      }
    }
    let names = Array(RequestName.table.keys) + RequestName.families + OAuthLogin.names.map(\.text)
    for name in Array(Function.table.keys) + names {
      #expect(listed.contains(name), "\(name)")
    }
  }
}
