import Connector
import Testing

@testable import Config

@Suite struct InlineSecretTests {
  @Test(arguments: [
    "0123456789abcdef0123456789abcdef", "sk_live_4eC39HqLyjWDarjtT1zdp7dc", "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "AKIAIOSFODNN7EXAMPLE", "eyJhbGciOiJIUzI1NiJ9.e30.x", "Bearer abcdefgh", "-----BEGIN PRIVATE KEY-----",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "https://u:Zq8vT2mKx4Lw9Rb6Nc1P@host/", "key=Zq8vT2mKx4Lw9Rb6Nc1P",
    "dGhpcyBpcyBhIHNlY3JldCBrZXkhIQ==",
  ]) func `these look like secrets`(text: String) {
    #expect(InlineSecret.looksLikeSecret(text))
  }

  @Test(arguments: [
    "", "t1", "codegate/secret", "billing-service-production/oauth2-client-secret", "/var/lib/chatelaine/store.db",
    "https://api.example.com/v1/organisations/123456/projects", "application/vnd.example.v3+json; charset=utf-8",
    "123e4567-e89b-12d3-a456-426614174000", "2026-01-01T00:00:00.000Z",
    "Mozilla/5.0 (X11; Linux x86_64) Chatelaine/1.0",
    "internationalization", "X-Amz-Content-Sha256", "00000000000000000000000000000000", "user:basic profile:read",
    "eu-central-1.compute.internal.example.com", "BUILD_ENVIRONMENT_PRODUCTION",
  ]) func `these do not`(text: String) {
    #expect(!InlineSecret.looksLikeSecret(text))
  }

  @Test(arguments: [
    "token", "X-API-Key", "api_key", "apiKey", "clientSecret", "Authorization", "Cookie", "password", "ACCESS_TOKEN",
    "PrivateKey",
  ]) func `these name a secret`(name: String) {
    #expect(InlineSecret.isSecretName(name))
  }

  @Test(arguments: [
    "tokenizer", "keyboard", "token_url", "X-Token-Type", "passphrase_file", "path", "secrets", "Idempotency-Key",
  ])
  func `these do not name one`(name: String) {
    #expect(!InlineSecret.isSecretName(name))
  }

  @Test(arguments: [
    (#"{"token": "abc", "x": "abc"}"#, ["abc"]), (#"{"token": ["abc", "d"]}"#, [#"["abc", "d""#]),
    (#"{"h": {"secret": "a/b"}}"#, []), (#"{"token": "a/b"}"#, ["a/b"]), (#"{"token" : {"secret": "ab"}}"#, ["ab"]),
    (#"{"token": abc, "x": 1}"#, ["abc"]), (#"{"token": abc }"#, ["abc"]), (#"{token: abc}"#, ["abc"]),
    (#"{"token" "abc"}"#, ["abc"]), (#"{"token: "abc"}"#, ["abc"]), (#"{token": "abc"}"#, ["abc"]),
    (#"{"a: "x", "token": "abc"}"#, ["abc"]), ("{\"token\":\n\"abc\n", ["abc"]), (#"{"token": 'a, b'}"#, ["a, b"]),
    (#"{"token": "a\"b"}"#, [#"a\"b"#]), (#"{"token": true}"#, []), (#"{"token": 1234}"#, ["1234"]),
    (#"{"tokn": "abc", "passwrod": "d", "taxes": "e"}"#, ["abc", "d"]), (#"{"cookies": "pass"}"#, []),
    (#"// "token": "abc", x"#, ["abc"]), ("/* token=abc */ {}", ["abc */ {"]), ("// see token, below", []),
    ("{\"x\": 1} // Zq8vT2mKx4Lw9Rb6Nc1P", ["Zq8vT2mKx4Lw9Rb6Nc1P"]), (#"["Bearer abc"]"#, ["abc"]),
    (#"{"token": ""}"#, []),
    (#"{"pem": "-----BEGIN X-----\nMIGHAgEAMBMGByqGSM49AgEGCCq"}"#, [#"X-----\nMIGHAgEAMBMGByqGSM49AgEGCCq"#]),
    ("\"", []), ("\"\\", []), ("token", []), ("token:", []), ("token:\\", ["\\"]), ("}", []),
  ]) func `what may be a secret is found in any text`(text: String, expected: [String]) {
    let bytes = Array(text.utf8)
    #expect(SecretMask.ranges(in: bytes).map { String(decoding: bytes[$0], as: UTF8.self) } == expected)
  }
}
