import Testing
@testable import Daemon

struct ArgumentReaderTests {
  private func read(_ words: String...) throws(CommandError) -> ArgumentReader.Request {
    var reader = ArgumentReader(words)
    return try reader.read()
  }

  private func invocation(_ request: ArgumentReader.Request) -> Invocation? {
    if case .run(let invocation) = request { invocation } else { nil }
  }

  @Test func `options stand anywhere, and with an equals sign too`() throws {
    for request in [
      try read("--config", "c", "explain", "r", "GET", "/x", "--json"),
      try read("explain", "r", "--json", "GET", "--config=c", "/x"),
      try read("explain", "--json", "--config", "c", "--", "r", "GET", "/x"),
    ] {
      let found = try #require(invocation(request))
      #expect(found.verb.name == "explain")
      #expect(found.operands == ["r", "GET", "/x"])
      #expect(found.options == ["--config": "c", "--json": ""])
    }
  }

  @Test func `after two dashes everything is an operand`() throws {
    let found = try #require(invocation(try read("secret", "set", "--", "--odd")))
    #expect(found.operands == ["--odd"])
  }

  @Test(arguments: [
    [], ["nonsense"], ["secret"], ["secret", "nonsense"], ["secret", "set"], ["secret", "set", "a", "b"],
    ["check", "--config"], ["check", "--config="], ["check", "--nonsense"], ["check", "--json=yes"],
    ["check", "--json", "--json"], ["serve", "--json"], ["serve", "x"], ["explain", "r", "GET"], ["--nonsense"],
    ["--from-file", "x", "secret", "set", "a"],
  ]) func `a mistake is a short usage error`(_ words: [String]) {
    var reader = ArgumentReader(words)
    let error = #expect(throws: CommandError.self) { try reader.read() }
    #expect(error?.exitStatus == 64)
    #expect((error?.rendered.split(separator: "\n").count ?? 99) <= 6)
    #expect(error?.rendered.hasPrefix("chatelaine: ") == true)
  }

  @Test func `what was written is never repeated: it may be a secret`() {
    for words in [
      ["secret", "set", "a", "canary-value"], ["canary-value"], ["secret", "canary-value"],
      ["secret", "set", "a", "--canary-value"], ["version", "canary-value"],
    ] {
      var reader = ArgumentReader(words)
      let error = #expect(throws: CommandError.self) { try reader.read() }
      #expect(error?.rendered.contains("canary") == false)
    }
  }

  @Test func `misspelt verbs and options get a suggestion`() {
    for (words, meant) in [
      (["secrte"], "\"secret\""), (["secret", "lst"], "\"list\""), (["chekc"], "\"check\""),
      (["check", "--conect"], "\"--connect\""), (["--cofnig", "x", "check"], "\"--config\""),
    ] {
      var reader = ArgumentReader(words)
      let error = #expect(throws: CommandError.self) { try reader.read() }
      #expect(error?.rendered.contains("did you mean \(meant)?") == true, "\(words)")
    }
  }

  @Test func `help is asked for in any way`() throws {
    for words in [
      ["help", "secret", "set"], ["secret", "set", "--help"], ["secret", "-h", "set"], ["--help", "secret", "set"],
    ] {
      var reader = ArgumentReader(words)
      guard case .help("secret set") = try reader.read() else {
        Issue.record("\(words)")
        continue
      }
    }
  }
}
