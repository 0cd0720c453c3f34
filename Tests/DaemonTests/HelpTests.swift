import Testing
@testable import Daemon

struct HelpTests {
  @Test func `every verb is in the overview and has its own text with all of its options`() throws {
    let overview = try Help.text(about: nil)
    for verb in Verb.all {
      #expect(overview.contains("\n  \(verb.name)"))
      let text = try Help.text(about: verb.name)
      #expect(text.contains(verb.usage))
      for option in verb.allOptions { #expect(text.contains("  \(option.shown)  "), "\(verb.name) \(option.name)") }
    }
  }

  @Test func `no line is longer than a wide terminal`() throws {
    for name in [nil] + Verb.all.map({ $0.name as String? }) {
      for line in try Help.text(about: name).split(separator: "\n") { #expect(line.count <= 124, "\(line)") }
    }
  }
}
