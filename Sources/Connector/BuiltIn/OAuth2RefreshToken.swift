extension BuiltIn {
  /// The same text as `config/connectors/oauth2-refresh-token.jsonc`; a test holds them together.
  static let oauth2RefreshToken = BuiltIn(
    name: "oauth2-refresh-token",
    text: #"""
      {
        "connector": "oauth2-refresh-token",
        "title": "OAuth 2.0 with a refresh token that is there already (RFC 6749 section 6)",
        "about": "The first refresh uses the stored secret, later ones the refresh token that came with the last answer.",
        "secrets": {
          "client_id": { "about": "client id" },
          "client_secret": { "about": "client secret", "unless": { "client_auth": "none" } },
          "refresh_token": { "about": "refresh token from a login elsewhere; a new one begins a new session" },
        },
        "options": {
          "token_url": { "about": "the token endpoint, like https://login.example.com/oauth/token" },
          "client_auth": {
            "about": "how the client shows who it is: in Authorization, in the form, or by its id alone",
            "default": "basic",
            "values": ["basic", "post", "none"],
          },
          "scope": { "about": "scopes, with spaces between: not more than were granted", "required": false },
        },
        "token": {
          "refresh": {
            "url": "${option.token_url}",
            "headers": {
              "Authorization?": "${when(option.client_auth, 'basic', concat('Basic ', base64(concat(form_encode(secret.client_id), ':', form_encode(secret.client_secret)))))}",
            },
            "form": {
              "grant_type": "refresh_token",
              "refresh_token": "${or(token.refresh_token, secret.refresh_token)}",
              "client_id?": "${or(when(option.client_auth, 'post', secret.client_id), when(option.client_auth, 'none', secret.client_id))}",
              "client_secret?": "${when(option.client_auth, 'post', secret.client_secret)}",
              "scope?": "${option.scope}",
            },
          },
          // A new client secret keeps the session.
          "identity": ["client_id", "refresh_token"],
        },
        "set": { "headers": { "Authorization": "Bearer ${token.access_token}" } },
        "vectors": [
          {
            "request": { "target": "/" },
            "secrets": { "client_id": "id", "client_secret": "s", "refresh_token": "rt-0" },
            "options": { "token_url": "https://login.example.com/token" },
            "token": { "access_token": "at-1" },
            "expect": { "headers": { "Authorization": "Bearer at-1" } },
          },
          {
            "name": "the first refresh",
            "refresh": true,
            "secrets": { "client_id": "s6BhdRkqt3", "client_secret": "gX1fBat3bV", "refresh_token": "rt-0" },
            "options": { "token_url": "https://login.example.com/token" },
            "expect": {
              "method": "POST",
              "url": "https://login.example.com/token",
              "headers": { "Authorization": "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW" },
              "body": "grant_type=refresh_token&refresh_token=rt-0",
            },
          },
          {
            "name": "a later one",
            "refresh": true,
            "secrets": { "client_id": "id", "refresh_token": "rt-0" },
            "options": { "token_url": "https://login.example.com/token", "client_auth": "none", "scope": "mail" },
            "token": { "access_token": "at-1", "refresh_token": "rt/1" },
            "expect": { "body": "grant_type=refresh_token&refresh_token=rt%2F1&client_id=id&scope=mail" },
          },
          {
            "name": "a rotated refresh token",
            "answer": { "json": { "access_token": "at-2", "token_type": "bearer", "expires_in": 3600, "refresh_token": "rt-2" } },
            "token": { "access_token": "at-1", "refresh_token": "rt-1" },
            "now": 1767225600,
            "expect": { "token": { "access_token": "at-2", "refresh_token": "rt-2", "expires_at": 1767229200 } },
          },
          {
            "name": "none in the answer: the old one stays",
            "answer": { "json": { "access_token": "at-2", "token_type": "Bearer", "expires_in": 3600 } },
            "token": { "access_token": "at-1", "refresh_token": "rt-1" },
            "now": 1767225600,
            "expect": { "token": { "access_token": "at-2", "refresh_token": "rt-1" } },
          },
          {
            "name": "a refusal (RFC 6749 section 5.2)",
            "answer": { "status": 400, "json": { "error": "invalid_grant", "error_description": "token rt-1 was revoked" } },
            "token": { "access_token": "at-1", "refresh_token": "rt-1" },
            "now": 1767225600,
            "expect": { "refused": "token ••• was revoked" },
          },
        ],
      }

      """#)
}
