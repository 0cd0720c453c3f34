extension BuiltIn {
  /// The same text as `config/connectors/oauth2.jsonc`; a test holds them together.
  static let oauth2 = BuiltIn(
    name: "oauth2",
    text: #"""
      {
        "connector": "oauth2",
        "title": "OAuth 2.0 logins: the authorization code with PKCE (RFC 6749 section 4.1, RFC 7636)",
        "about": "Further parameters of the authorization request stand in authorize_url: ?access_type=offline&prompt=consent.",
        "secrets": {
          "client_id": { "about": "client id" },
          "client_secret": { "about": "client secret; a new one keeps the sessions", "unless": { "client_auth": "none" } },
        },
        "options": {
          "authorize_url": { "about": "where users log in, like https://login.example.com/oauth/authorize" },
          "token_url": { "about": "the token endpoint, like https://login.example.com/oauth/token" },
          "client_auth": {
            "about": "how the client shows who it is: in Authorization, in the form, or by its id alone",
            "default": "basic",
            "values": ["basic", "post", "none"],
          },
          "pkce": {
            "about": "none only for a provider that refuses what it does not know",
            "default": "S256",
            "values": ["S256", "none"],
          },
          "scope": { "about": "scopes, with spaces between, for a login that names none", "required": false },
          "audience": { "about": "for whom the token is, where the provider wants to know", "required": false },
          "redirect_uri": {
            "about": "where the user comes back to, as registered; without it the daemon's own callback",
            "required": false,
          },
          "issuer": { "about": "the iss that the callback must carry, where the provider sends one (RFC 9207)", "required": false },
        },
        "oauth": {
          "authorize": {
            "url": "${option.authorize_url}",
            "query": {
              "response_type": "code",
              "client_id": "${secret.client_id}",
              "redirect_uri": "${redirect_uri}",
              "scope?": "${scope}",
              "state": "${state}",
              "code_challenge?": "${when(option.pkce, 'S256', base64url(sha256(code_verifier)))}",
              "code_challenge_method?": "${when(option.pkce, 'S256', 'S256')}",
              "audience?": "${option.audience}",
            },
          },
          "exchange": {
            "url": "${option.token_url}",
            // RFC 6749 section 2.3.1: both are form-encoded before they are put together.
            "headers": {
              "Authorization?": "${when(option.client_auth, 'basic', concat('Basic ', base64(concat(form_encode(secret.client_id), ':', form_encode(secret.client_secret)))))}",
            },
            "form": {
              "grant_type": "authorization_code",
              "code": "${code}",
              "redirect_uri": "${redirect_uri}",
              "client_id?": "${or(when(option.client_auth, 'post', secret.client_id), when(option.client_auth, 'none', secret.client_id))}",
              "client_secret?": "${when(option.client_auth, 'post', secret.client_secret)}",
              "code_verifier?": "${when(option.pkce, 'S256', code_verifier)}",
            },
          },
          "scope": "${option.scope}",
          "issuer": "${option.issuer}",
          "redirect_uri": "${option.redirect_uri}",
        },
        "token": {
          "refresh": {
            "url": "${option.token_url}",
            "headers": {
              "Authorization?": "${when(option.client_auth, 'basic', concat('Basic ', base64(concat(form_encode(secret.client_id), ':', form_encode(secret.client_secret)))))}",
            },
            "form": {
              "grant_type": "refresh_token",
              "refresh_token": "${token.refresh_token}",
              "client_id?": "${or(when(option.client_auth, 'post', secret.client_id), when(option.client_auth, 'none', secret.client_id))}",
              "client_secret?": "${when(option.client_auth, 'post', secret.client_secret)}",
            },
          },
          "read": {
            "fields": { "token_type": "${or(json(answer, 'token_type'), 'Bearer')}", "scope?": "${json(answer, 'scope')}" },
          },
        },
        "set": { "headers": { "Authorization": "Bearer ${token.access_token}" } },
        "vectors": [
          {
            "name": "a login (the verifier of RFC 7636 appendix B)",
            "authorize": true,
            "secrets": { "client_id": "s6BhdRkqt3", "client_secret": "gX1fBat3bV" },
            "options": {
              "authorize_url": "https://server.example.com/authorize",
              "token_url": "https://server.example.com/token",
              "scope": "profile mail",
            },
            "login": {
              "state": "xyz",
              "redirect_uri": "https://client.example.com/cb",
              "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            },
            "expect": {
              "url": "https://server.example.com/authorize?response_type=code&client_id=s6BhdRkqt3&redirect_uri=https%3A%2F%2Fclient.example.com%2Fcb&scope=profile+mail&state=xyz&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256",
            },
          },
          {
            "name": "a provider's own parameters stay, those of the login are ours",
            "authorize": true,
            "secrets": { "client_id": "id", "client_secret": "s" },
            "options": {
              "authorize_url": "https://accounts.example.com/o/oauth2/v2/auth?access_type=offline&prompt=consent&state=fixed",
              "token_url": "https://accounts.example.com/token",
              "pkce": "none",
              "audience": "https://api.example.com/",
              "redirect_uri": "https://client.example.com/cb",
            },
            "login": { "state": "xyz", "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" },
            "expect": {
              "url": "https://accounts.example.com/o/oauth2/v2/auth?access_type=offline&prompt=consent&response_type=code&client_id=id&redirect_uri=https%3A%2F%2Fclient.example.com%2Fcb&state=xyz&audience=https%3A%2F%2Fapi.example.com%2F",
            },
          },
          {
            "name": "a code becomes a token (RFC 6749 section 4.1.3, with the verifier)",
            "exchange": true,
            "secrets": { "client_id": "s6BhdRkqt3", "client_secret": "gX1fBat3bV" },
            "options": {
              "authorize_url": "https://server.example.com/authorize",
              "token_url": "https://server.example.com/token",
            },
            "login": {
              "code": "SplxlOBeZQQYbYS6WxSbIA",
              "redirect_uri": "https://client.example.com/cb",
              "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            },
            "expect": {
              "method": "POST",
              "url": "https://server.example.com/token",
              "headers": { "Authorization": "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW" },
              "body": "grant_type=authorization_code&code=SplxlOBeZQQYbYS6WxSbIA&redirect_uri=https%3A%2F%2Fclient.example.com%2Fcb&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            },
          },
          {
            "name": "post, without PKCE",
            "exchange": true,
            "secrets": { "client_id": "id", "client_secret": "s&t" },
            "options": {
              "authorize_url": "https://server.example.com/authorize",
              "token_url": "https://server.example.com/token",
              "client_auth": "post",
              "pkce": "none",
            },
            "login": { "code": "c", "redirect_uri": "app.example:/cb", "code_verifier": "v" },
            "expect": {
              "headers": { "Authorization": null },
              "body": "grant_type=authorization_code&code=c&redirect_uri=app.example%3A%2Fcb&client_id=id&client_secret=s%26t",
            },
          },
          {
            "name": "none: a public client",
            "exchange": true,
            "secrets": { "client_id": "id" },
            "options": {
              "authorize_url": "https://server.example.com/authorize",
              "token_url": "https://server.example.com/token",
              "client_auth": "none",
            },
            "login": { "code": "c", "redirect_uri": "http://127.0.0.1:7220/cb", "code_verifier": "v" },
            "expect": {
              "headers": { "Authorization": null },
              "body": "grant_type=authorization_code&code=c&redirect_uri=http%3A%2F%2F127.0.0.1%3A7220%2Fcb&client_id=id&code_verifier=v",
            },
          },
          {
            "name": "RFC 6749 section 4.1.4",
            "answer": {
              "json": {
                "access_token": "2YotnFZFEjr1zCsicMWpAA",
                "token_type": "bearer",
                "expires_in": 3600,
                "refresh_token": "tGzv3JOkF0XG5Qx2TlKWIA",
                "scope": "profile",
              },
            },
            "now": 1767225600,
            "expect": {
              "token": {
                "access_token": "2YotnFZFEjr1zCsicMWpAA",
                "refresh_token": "tGzv3JOkF0XG5Qx2TlKWIA",
                "token_type": "bearer",
                "scope": "profile",
                "expires_at": 1767229200,
              },
            },
          },
          {
            "name": "a token without an end and without a successor",
            "answer": { "json": { "access_token": "gho_1", "token_type": "bearer" } },
            "now": 1767225600,
            "expect": { "token": { "access_token": "gho_1", "refresh_token": null, "expires_at": null, "scope": null } },
          },
          {
            "name": "a refusal that comes with status 200",
            "answer": { "json": { "error": "bad_verification_code", "error_description": "The code has expired." } },
            "now": 1767225600,
            "expect": { "refused": "The code has expired." },
          },
          {
            "name": "a refresh",
            "refresh": true,
            "secrets": { "client_id": "s6BhdRkqt3", "client_secret": "gX1fBat3bV" },
            "options": {
              "authorize_url": "https://server.example.com/authorize",
              "token_url": "https://server.example.com/token",
            },
            "token": { "access_token": "at-1", "refresh_token": "tGzv3JOkF0XG5Qx2TlKWIA", "token_type": "bearer" },
            "expect": {
              "url": "https://server.example.com/token",
              "headers": { "Authorization": "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW" },
              "body": "grant_type=refresh_token&refresh_token=tGzv3JOkF0XG5Qx2TlKWIA",
            },
          },
          {
            "name": "a call",
            "request": { "target": "/me" },
            "secrets": { "client_id": "id", "client_secret": "s" },
            "options": {
              "authorize_url": "https://server.example.com/authorize",
              "token_url": "https://server.example.com/token",
            },
            "token": { "access_token": "at-1", "token_type": "bearer" },
            "expect": { "headers": { "Authorization": "Bearer at-1" } },
          },
        ],
      }

      """#)
}
