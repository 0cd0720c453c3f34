extension BuiltIn {
  /// The same text as `config/connectors/basic.jsonc`; a test holds them together.
  static let basic = BuiltIn(
    name: "basic",
    text: #"""
      {
        "connector": "basic",
        "title": "User name and password (RFC 7617)",
        "secrets": {
          "username": { "about": "user name, without a colon" },
          "password": { "about": "password; none is stored for an empty one", "required": false },
        },
        "set": {
          "headers": { "Authorization": "Basic ${base64(concat(secret.username, ':', or(secret.password, '')))}" },
        },
        "vectors": [
          {
            "name": "RFC 7617 section 2",
            "request": { "target": "/" },
            "secrets": { "username": "Aladdin", "password": "open sesame" },
            "expect": { "headers": { "Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==" } },
          },
          {
            "name": "a key as the user name, no password",
            "request": { "target": "/" },
            "secrets": { "username": "Aladdin" },
            "expect": { "headers": { "Authorization": "Basic QWxhZGRpbjo=" } },
          },
        ],
      }

      """#)
}
