extension BuiltIn {
  /// The same text as `config/connectors/codegate.jsonc`; a test holds them together.
  static let codegate = BuiltIn(
    name: "codegate",
    text: #"""
      {
        "connector": "codegate",
        "title": "CodeGate activation codes",
        "about": "Signs method, path, canonical query, body hash and time with HMAC-SHA256. The server accepts a clock within 5 minutes.",
        "secrets": {
          "api_key": { "about": "API key, 32 hexadecimal characters" },
          // Used as its ASCII text: it is never decoded.
          "secret": { "about": "API secret, 64 hexadecimal characters" },
        },
        "values": {
          "canonical_query": "${form_encode(sort(query))}",
          "string_to_sign": "${method}\n${path}\n${canonical_query}\n${hex(sha256(body))}\n${now}",
        },
        // The query goes upstream as the client wrote it: only the signature uses the canonical one.
        "set": {
          "headers": {
            "X-API-Key": "${secret.api_key}",
            "X-Timestamp": "${now}",
            "X-Signature": "${hex(hmac_sha256(secret.secret, string_to_sign))}",
          },
        },
        "vectors": [
          {
            "name": "search with a space",
            "request": {
              "method": "GET",
              "target": "/api/v1/projects/550e8400e29b41d4a716446655440000/codes?search=summer%20sale&page=1",
            },
            "secrets": {
              "api_key": "0123456789abcdef0123456789abcdef",
              "secret": "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90",
            },
            "now": 1767225600,
            "expect": {
              "values": { "canonical_query": "page=1&search=summer+sale" },
              "headers": {
                "X-API-Key": "0123456789abcdef0123456789abcdef",
                "X-Timestamp": "1767225600",
                "X-Signature": "cf87e888d4384a3cb4de4dc12f0a9b28bad09de330b396f9e712a820eb2757c0",
              },
            },
          },
        ],
      }

      """#)
}
