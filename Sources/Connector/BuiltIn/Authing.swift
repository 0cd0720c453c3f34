extension BuiltIn {
  /// The same text as `config/connectors/authing.jsonc`; a test holds them together.
  static let authing = BuiltIn(
    name: "authing",
    text: #"""
      {
        "connector": "authing",
        "title": "Authing management API",
        "secrets": {
          "access_key_id": { "about": "user pool id, or a collaborator's key id" },
          "access_key_secret": { "about": "user pool secret, or that of the key" },
        },
        "options": {
          "lang": { "about": "language of messages: zh-CN or en-US", "default": "", "values": ["", "zh-CN", "en-US"] },
        },
        "token": {
          "fetch": {
            "path": "/api/v3/get-management-token",
            "json": { "accessKeyId": "${secret.access_key_id}", "accessKeySecret": "${secret.access_key_secret}" },
          },
          // A failure is HTTP 200 as well.
          "accept_when": { "json": { "statusCode": 200 } },
          "read": {
            "access_token": "data.access_token",
            "expires_in": "data.expires_in",
            "fields": { "userpool_id?": "${jwt_claim(token.access_token, 'scoped_userpool_id')}" },
          },
          "error_message": ["message"],
        },
        // As the vendor's client sends them.
        "set": {
          "headers": {
            "authorization": "Bearer ${token.access_token}",
            "x-authing-userpool-id?": "${token.userpool_id}",
            "x-authing-request-from": "sdk",
            "x-authing-lang": "${option.lang}",
            "x-authing-sdk-version": "python:5.0.0a8",
          },
        },
        "vectors": [
          {
            "name": "a call in a user pool",
            "request": { "target": "/api/v3/list-users?page=1&limit=10" },
            "secrets": { "access_key_id": "id", "access_key_secret": "secret" },
            "token": { "access_token": "at", "userpool_id": "pool" },
            "expect": {
              "target": "/api/v3/list-users?page=1&limit=10",
              "headers": {
                "authorization": "Bearer at",
                "x-authing-userpool-id": "pool",
                "x-authing-request-from": "sdk",
                "x-authing-lang": "",
                "x-authing-sdk-version": "python:5.0.0a8",
              },
            },
          },
          {
            "name": "a call without one",
            "request": { "method": "POST", "target": "/api/v3/create-role", "body": "{\"code\": \"admin\"}" },
            "secrets": { "access_key_id": "id", "access_key_secret": "secret" },
            "options": { "lang": "en-US" },
            "token": { "access_token": "at" },
            "expect": { "headers": { "x-authing-userpool-id": null, "x-authing-lang": "en-US" } },
          },
          {
            "name": "a token",
            "fetch": true,
            "secrets": { "access_key_id": "id", "access_key_secret": "secret" },
            "expect": {
              "method": "POST",
              "target": "/api/v3/get-management-token",
              "body": "{\"accessKeyId\":\"id\",\"accessKeySecret\":\"secret\"}",
            },
          },
          {
            // The token's payload is {"scoped_userpool_id":"pool"}.
            "name": "an answer with the claim",
            "answer": {
              "json": { "statusCode": 200, "message": "", "apiCode": 0, "data": { "access_token": "h.eyJzY29wZWRfdXNlcnBvb2xfaWQiOiJwb29sIn0.s", "expires_in": 7200 } },
            },
            "now": 1767225600,
            "expect": { "token": { "expires_at": 1767232800, "userpool_id": "pool" } },
          },
          {
            "name": "an answer without it",
            "answer": { "json": { "statusCode": 200, "data": { "access_token": "opaque", "expires_in": 7200 } } },
            "now": 1767225600,
            "expect": { "token": { "access_token": "opaque", "userpool_id": null, "refresh_token": null } },
          },
          {
            "name": "a refusal in HTTP 200",
            "answer": { "json": { "statusCode": 400, "apiCode": 2000, "message": "access key not found" } },
            "now": 1767225600,
            "expect": { "refused": "access key not found" },
          },
        ],
      }

      """#)
}
