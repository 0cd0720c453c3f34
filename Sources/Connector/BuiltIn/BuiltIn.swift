/// A connector in the binary.
struct BuiltIn: Sendable {
  let name: String
  /// JSON with comments, as in a file.
  let text: StaticString

  static let all: [BuiltIn] = [
    ath, authing, basic, bearer, codegate, fastmoss, header, oauth2, oauth2ClientCredentials, oauth2RefreshToken,
    query, shangcloud,
  ]
}
