import Bytes
import Crypto
import Support
import Testing

@testable import Connector

@Suite struct TokenTests {
  private func recipe(_ fields: String) throws -> TokenRecipe {
    let bench = try Bench(
      #""token": { "fetch": { "path": "/t" }, "read": { "access_token": "t", "fields": { \#(fields) } } }, "set": { "headers": { "A": "${token.access_token}" } }"#
    )
    return try #require(bench.connector.token)
  }

  private func token(_ recipe: TokenRecipe, _ fields: [String?], expiresAt: Int64? = 200) -> Token {
    Token(
      generation: 3, names: recipe.fieldNames, fields: fields.map { $0.map { Secret(copying: Array($0.utf8).span) } },
      obtainedAt: 100, expiresAt: expiresAt, refreshExpiresAt: nil)
  }

  private func texts(_ token: Token?) -> [String?]? { token?.fields.map { $0.map { String($0.span) } } }

  @Test func `what goes to the store comes back`() throws {
    let recipe = try recipe(#""a?": "${json(answer, 'a')}", "b": "${json(answer, 'b')}""#)
    let token = self.token(recipe, ["at", "rt", nil, String(repeating: "b", count: 16 << 10)])
    let stored = Token(decoding: token.encoded().span, generation: 9, recipe: recipe)
    let back = try #require(stored)
    #expect(texts(back) == texts(token))
    #expect(back.generation == 9 && back.obtainedAt == 100 && back.expiresAt == 200 && back.refreshExpiresAt == nil)
    #expect(back.accessToken == token.accessToken && back.refreshToken == token.refreshToken)
    #expect("\(token) \(String(reflecting: token))" == "••• •••")
  }

  @Test func `a recipe that changed finds its fields by their names`() throws {
    let stored = token(try recipe(#""a": "${answer}", "b": "${answer}""#), ["at", nil, "A", "B"]).encoded()
    let fewer = try recipe(#""b": "${answer}""#)
    let decoded = { (recipe: TokenRecipe) in Token(decoding: stored.span, generation: 1, recipe: recipe) }
    #expect(texts(decoded(fewer)) == ["at", nil, "B"])
    let more = try recipe(#""c?": "${json(answer, 'c')}", "a": "${answer}""#)
    #expect(texts(decoded(more)) == ["at", nil, nil, "A"])
    let missing = try recipe(#""c": "${answer}""#)
    #expect(decoded(missing) == nil)
  }

  @Test func `no part of it and nothing behind it is a token`() throws {
    let recipe = try recipe("")
    let bytes = Array(token(recipe, ["at", "rt"]).encoded().span)
    let decoded = { (bytes: [UInt8]) in Token(decoding: bytes.span, generation: 1, recipe: recipe) }
    #expect(decoded(bytes) != nil)
    for end in 0..<bytes.count {
      let part = decoded(Array(bytes[..<end]))
      // Between two fields it is one with fewer.
      #expect(part == nil || texts(part) == ["at", nil], "\(end)")
    }
    #expect(decoded(bytes + [1]) == nil)
    #expect(decoded([2] + bytes.dropFirst()) == nil)
    var random = SeededRandom(seed: 5)
    for _ in 0..<2000 {
      var damaged = bytes
      for _ in 0..<3 {
        damaged[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      _ = decoded(damaged)
    }
  }
}
