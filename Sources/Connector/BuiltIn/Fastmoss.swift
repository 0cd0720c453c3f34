extension BuiltIn {
  /// The same text as `config/connectors/fastmoss.jsonc`; a test holds them together.
  static let fastmoss = BuiltIn(
    name: "fastmoss",
    text: #"""
      {
        "connector": "fastmoss",
        "title": "FastMoss open platform",
        "about": "An access token and a signature (version 2) in the query of every call.",
        "secrets": {
          "client_id": { "about": "client id" },
          "client_secret": { "about": "client secret; it also signs" },
        },
        "token": {
          "fetch": {
            "path": "/v1/token",
            "json": { "client_id": "${secret.client_id}", "client_secret": "${secret.client_secret}" },
          },
          "refresh": {
            "path": "/v1/refreshToken",
            "json": { "client_id": "${secret.client_id}", "refresh_token": "${token.refresh_token}" },
          },
          // A failure is HTTP 200 as well.
          "accept_when": { "json": { "code": 0 } },
          // Too many requests, and a service that is down: another time the same request may do.
          "retry_when": { "json": { "code": [30003, 40001] } },
          "read": {
            "access_token": "data.access_token",
            "expires_at": "data.expire_at",
            "refresh_token": "data.refresh_token",
            "refresh_expires_at": "data.refresh_expire_at",
          },
          "error_message": ["message", "msg"],
          "renew_before": "600s",
        },
        "set": {
          "query": {
            "access_token": "${token.access_token}",
            // The path without the query; the body's bytes as sent.
            "sign": "${hex(sha256(join('|', secret.client_secret, path, body, secret.client_secret)))}",
            "client_id": "${secret.client_id}",
            "timestamp": "${now}",
            "signature_version": "2",
          },
          "headers": { "Content-Type": "application/json; charset=utf-8" },
        },
        "vectors": [
          {
            "name": "a call, the caller's own sign replaced",
            "request": { "method": "POST", "target": "/test?sign=mine&page=1&Access_Token=x", "body": "{\"hello\": \"world\"}" },
            "secrets": { "client_id": "app-1", "client_secret": "fm_secret_5f3c" },
            "token": { "access_token": "at-1" },
            "now": 1767225600,
            "expect": {
              "target": "/test?page=1&access_token=at-1&sign=270845e99014555bb43cf57df3903966884cc24f75475fb95680cea73d2b44d6&client_id=app-1&timestamp=1767225600&signature_version=2",
              "headers": { "Content-Type": "application/json; charset=utf-8" },
            },
          },
          {
            "name": "a new token",
            "fetch": true,
            "secrets": { "client_id": "app-1", "client_secret": "fm_secret_5f3c" },
            "expect": {
              "method": "POST",
              "target": "/v1/token",
              "body": "{\"client_id\":\"app-1\",\"client_secret\":\"fm_secret_5f3c\"}",
            },
          },
          {
            "name": "a refresh",
            "refresh": true,
            "secrets": { "client_id": "app-1", "client_secret": "fm_secret_5f3c" },
            "token": { "access_token": "at-1", "refresh_token": "rt-1" },
            "expect": {
              "method": "POST",
              "target": "/v1/refreshToken",
              "body": "{\"client_id\":\"app-1\",\"refresh_token\":\"rt-1\"}",
            },
          },
          {
            "name": "an answer",
            "answer": {
              "json": {
                "code": 0,
                "msg": "success",
                "data": { "access_token": "at-2", "expire_at": 1767229200, "refresh_token": "rt-2", "refresh_expire_at": 1769817600 },
              },
            },
            "now": 1767225600,
            "expect": {
              "token": {
                "access_token": "at-2",
                "expires_at": 1767229200,
                "refresh_token": "rt-2",
                "refresh_expires_at": 1769817600,
              },
            },
          },
          {
            "name": "a refusal",
            "answer": { "json": { "code": 10001, "msg": "client_secret is wrong", "data": null } },
            "now": 1767225600,
            "expect": { "refused": "client_secret is wrong" },
          },
          {
            "name": "too many requests",
            "answer": { "json": { "code": 30003, "msg": "slow down", "data": null } },
            "now": 1767225600,
            "expect": { "unavailable": "the endpoint wants to be asked later: slow down" },
          },
        ],
      }

      """#)
}
