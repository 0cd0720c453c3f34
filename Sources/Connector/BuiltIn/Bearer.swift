extension BuiltIn {
  /// The same text as `config/connectors/bearer.jsonc`; a test holds them together.
  static let bearer = BuiltIn(
    name: "bearer",
    text: #"""
      {
        "connector": "bearer",
        "title": "A fixed token in Authorization",
        "secrets": { "token": { "about": "the token" } },
        "options": { "prefix": { "about": "the word before the token; empty for none", "default": "Bearer" } },
        "set": { "headers": { "Authorization": "${option.prefix} ${secret.token}" } },
        "vectors": [
          {
            "request": { "target": "/" },
            "secrets": { "token": "t0ken" },
            "expect": { "headers": { "Authorization": "Bearer t0ken" } },
          },
          {
            "request": { "target": "/" },
            "secrets": { "token": "t0ken" },
            "options": { "prefix": "" },
            "expect": { "headers": { "Authorization": "t0ken" } },
          },
        ],
      }

      """#)
}
