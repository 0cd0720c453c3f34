extension BuiltIn {
  /// The same text as `config/connectors/query.jsonc`; a test holds them together.
  static let query = BuiltIn(
    name: "query",
    text: #"""
      {
        "connector": "query",
        "title": "A secret in the query",
        "about": "Upstreams log queries: prefer a header where there is a choice.",
        "secrets": { "value": { "about": "the parameter's value" } },
        "options": { "name": { "about": "the parameter's name, like api_key" } },
        "set": { "query": { "${option.name}": "${secret.value}" } },
        "vectors": [
          {
            "request": { "target": "/v1/items?Key=mine&page=1" },
            "secrets": { "value": "a b&c" },
            "options": { "name": "key" },
            "expect": { "target": "/v1/items?page=1&key=a%20b%26c" },
          },
        ],
      }

      """#)
}
