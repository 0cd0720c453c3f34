import Testing

@testable import JSON

@Suite struct SuggestionTests {
  static let keys = ["upstream", "listen", "limits", "connector", "tls", "first_byte"]

  @Test(arguments: [
    ("upsteam", "upstream"), ("UPSTREAM", "upstream"), ("lsiten", "listen"), ("limit", "limits"), ("tsl", "tls"),
    ("first-byte", "first_byte"), ("firstbyte", "first_byte"), ("conector", "connector"),
  ]) func `a slip finds its word`(word: String, expected: String) {
    #expect(closest(to: word, among: Self.keys) == expected)
  }

  @Test(arguments: ["", "x", "banana", "downstream_of", "tcp6"]) func `another word finds none`(word: String) {
    #expect(closest(to: word, among: Self.keys) == nil)
  }
}
