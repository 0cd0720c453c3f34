import Support
import Testing

@testable import Connector

@Suite struct ExpressionParserTests {
  private func text(_ template: Template) -> String {
    func text(_ expression: Expression) -> String {
      switch expression.kind {
      case .text(let bytes): "'\(String(decoding: bytes, as: UTF8.self))'"
      case .number(let number): "\(number)"
      case .name(let word, let field): word.text + (field.map { "." + $0.text } ?? "")
      case .call(let word, let arguments): "\(word.text)(\(arguments.map(text).joined(separator: ",")))"
      }
    }
    return template.pieces.map { piece in
      switch piece {
      case .literal(let bytes): "[\(String(decoding: bytes, as: UTF8.self))]"
      case .expression(let expression): "{\(text(expression))}"
      }
    }.joined()
  }

  @Test(arguments: [
    ("", "[]"), ("plain $ { } $x", "[plain $ { } $x]"), ("${now}", "{now}"), ("a${ now }b", "[a]{now}[b]"),
    ("${header.X-A_b9}", "{header.X-A_b9}"), ("${ f ( a , 'x, )}''' , 9 ) }", "{f(a,'x, )}'',9)}"),
    ("${f()}${'${'}", "{f()}{'${'}"), ("$${a}", "[$]{a}"),
  ]) func `a string is text and expressions`(source: String, expected: String) throws {
    #expect(text(try ExpressionParser.parse(source)) == expected)
  }

  @Test func `ranges are offsets into the string`() throws {
    let template = try ExpressionParser.parse("é${hex( body )}")
    guard case .expression(let call) = template.pieces[1], case .call(let word, let arguments) = call.kind else {
      Issue.record("not a call")
      return
    }
    #expect(call.range == 4..<15 && word.range == 4..<7 && arguments[0].range == 9..<13)
  }

  @Test func `calls nested without end are refused, not followed`() {
    let deep = "${" + String(repeating: "hex(", count: 100_000)
    #expect(throws: LanguageError.self) { try ExpressionParser.parse(deep) }
  }

  @Test func `no string makes the compiler trap, and every mistake has a place in it`() {
    var random = SeededRandom(seed: 1)
    let pieces = [
      "${", "}", "(", ")", ",", "'", ".", " ", "é", "\n", "$", "\"", "9", "99999999999999999999", "or", "hex", "sort",
      "query", "body", "secret", "secret.s", "option.o", "header.x", "time", "'%Y'", "json", "jwt_claim", "join",
      "concat", "v", "w", "hmac_sha256", "form_encode", "now", "_", "-", "token.a",
    ]
    for _ in 0..<3000 {
      let text = (0..<Int.random(in: 1...14, using: &random)).compactMap { _ in pieces.randomElement(using: &random) }
        .joined()
      var scope = Scope()
      scope.secrets = [Parameter(name: "s", about: "", required: true)]
      scope.options = [Parameter(name: "o", about: "", required: false)]
      scope.values = [Scope.Value(name: "v", mentions: ["w"]), Scope.Value(name: "w", mentions: ["v"])]
      var checker = Checker(scope: scope)
      let node = checker.compile(text)
      #expect((node == nil) == !checker.errors.isEmpty, "\(text)")
      #expect(checker.errors.allSatisfy { $0.range.upperBound <= text.utf8.count }, "\(text)")
    }
  }
}
