extension BuiltIn {
  /// The same text as `config/connectors/oauth2-client-credentials.jsonc`; a test holds them together.
  static let oauth2ClientCredentials = BuiltIn(
    name: "oauth2-client-credentials",
    text: #"""
      {
        "connector": "oauth2-client-credentials",
        "title": "OAuth 2.0 client credentials (RFC 6749 section 4.4)",
        "secrets": {
          "client_id": { "about": "client id" },
          "client_secret": { "about": "client secret", "unless": { "client_auth": "none" } },
        },
        "options": {
          "token_url": { "about": "the token endpoint, like https://login.example.com/oauth/token" },
          "client_auth": {
            "about": "how the client shows who it is: in Authorization, in the form, or by its id alone",
            "default": "basic",
            "values": ["basic", "post", "none"],
          },
          "scope": { "about": "scopes, with spaces between", "required": false },
          "audience": { "about": "for whom the token is, where the endpoint wants to know", "required": false },
        },
        "token": {
          "fetch": {
            "url": "${option.token_url}",
            // RFC 6749 section 2.3.1: both are form-encoded before they are put together.
            "headers": {
              "Authorization?": "${when(option.client_auth, 'basic', concat('Basic ', base64(concat(form_encode(secret.client_id), ':', form_encode(secret.client_secret)))))}",
            },
            "form": {
              "grant_type": "client_credentials",
              "client_id?": "${or(when(option.client_auth, 'post', secret.client_id), when(option.client_auth, 'none', secret.client_id))}",
              "client_secret?": "${when(option.client_auth, 'post', secret.client_secret)}",
              "scope?": "${option.scope}",
              "audience?": "${option.audience}",
            },
          },
        },
        "set": { "headers": { "Authorization": "Bearer ${token.access_token}" } },
        "vectors": [
          {
            "request": { "target": "/" },
            "secrets": { "client_id": "s6BhdRkqt3", "client_secret": "gX1fBat3bV" },
            "options": { "token_url": "https://login.example.com/token" },
            "token": { "access_token": "2YotnFZFEjr1zCsicMWpAA" },
            "expect": { "headers": { "Authorization": "Bearer 2YotnFZFEjr1zCsicMWpAA" } },
          },
          {
            "name": "RFC 6749 section 4.4.2",
            "fetch": true,
            "secrets": { "client_id": "s6BhdRkqt3", "client_secret": "gX1fBat3bV" },
            "options": { "token_url": "https://login.example.com/token" },
            "expect": {
              "method": "POST",
              "url": "https://login.example.com/token",
              "headers": { "Authorization": "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW" },
              "body": "grant_type=client_credentials",
            },
          },
          {
            "name": "what would not survive in a form is encoded first",
            "fetch": true,
            "secrets": { "client_id": "a:b", "client_secret": "p w+%" },
            "options": { "token_url": "https://login.example.com/token" },
            // a%3Ab:p+w%2B%25
            "expect": { "headers": { "Authorization": "Basic YSUzQWI6cCt3JTJCJTI1" } },
          },
          {
            "name": "post, scope and audience",
            "fetch": true,
            "secrets": { "client_id": "id", "client_secret": "s&t" },
            "options": {
              "token_url": "https://login.example.com/token?tenant=t1",
              "client_auth": "post",
              "scope": "read write",
              "audience": "https://api.example.com/",
            },
            "expect": {
              "url": "https://login.example.com/token?tenant=t1",
              "headers": { "Authorization": null },
              "body": "grant_type=client_credentials&client_id=id&client_secret=s%26t&scope=read+write&audience=https%3A%2F%2Fapi.example.com%2F",
            },
          },
          {
            "name": "none",
            "fetch": true,
            "secrets": { "client_id": "id" },
            "options": { "token_url": "https://login.example.com/token", "client_auth": "none" },
            "expect": { "headers": { "Authorization": null }, "body": "grant_type=client_credentials&client_id=id" },
          },
          {
            "name": "RFC 6749 section 4.4.3",
            "answer": { "json": { "access_token": "2YotnFZFEjr1zCsicMWpAA", "token_type": "Bearer", "expires_in": 3600 } },
            "now": 1767225600,
            "expect": { "token": { "access_token": "2YotnFZFEjr1zCsicMWpAA", "expires_at": 1767229200 } },
          },
          {
            "name": "a refusal that repeats what it was sent",
            "answer": { "status": 401, "json": { "error": "invalid_client", "error_description": "gX1fBat3bV is wrong" } },
            "secrets": { "client_id": "s6BhdRkqt3", "client_secret": "gX1fBat3bV" },
            "now": 1767225600,
            "expect": { "refused": "••• is wrong" },
          },
        ],
      }

      """#)
}
