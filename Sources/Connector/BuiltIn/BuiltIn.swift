/// A connector in the binary.
struct BuiltIn: Sendable {
  let name: String
  /// JSON with comments, as in a file.
  let text: StaticString

  static let all: [BuiltIn] = [basic, bearer, codegate, header, query]
}
