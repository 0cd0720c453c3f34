extension BuiltIn {
  /// The same text as `config/connectors/header.jsonc`; a test holds them together.
  static let header = BuiltIn(
    name: "header",
    text: #"""
      {
        "connector": "header",
        "title": "A secret in a header of its own",
        "secrets": { "value": { "about": "the header's value" } },
        "options": { "name": { "about": "the header's name, like X-API-Key" } },
        "set": { "headers": { "${option.name}": "${secret.value}" } },
        "vectors": [
          {
            "request": { "target": "/" },
            "secrets": { "value": "k3y" },
            "options": { "name": "X-API-Key" },
            "expect": { "headers": { "X-API-Key": "k3y" } },
          },
        ],
      }

      """#)
}
