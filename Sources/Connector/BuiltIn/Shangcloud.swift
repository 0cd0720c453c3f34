extension BuiltIn {
  /// The same text as `config/connectors/shangcloud.jsonc`; a test holds them together.
  static let shangcloud = BuiltIn(
    name: "shangcloud",
    text: #"""
      {
        "connector": "shangcloud",
        "title": "ShangCloud",
        "about": "Users log in with OAuth 2.0; each has a session. The upstream is https://api.yearnstudio.cn.",
        "secrets": {
          "client_id": { "about": "client id" },
          "client_secret": { "about": "client secret; a new one keeps the sessions" },
        },
        "options": {
          "redirect_uri": {
            "about": "where the user comes back to, as registered; without it the daemon's own callback",
            "required": false,
          },
          "scope": { "about": "scopes, with spaces between", "default": "user:basic" },
        },
        "oauth": {
          "authorize": {
            "path": "/oauth/authorize",
            "query": {
              "response_type": "code",
              "state": "${state}",
              "client_id": "${secret.client_id}",
              "redirect_uri": "${redirect_uri}",
              "scope?": "${scope}",
            },
          },
          "exchange": {
            "path": "/oauth/token",
            // The raw id and secret, as the vendor's client sends them; it has no PKCE.
            "headers": { "Authorization": "Basic ${base64(concat(secret.client_id, ':', secret.client_secret))}" },
            "form": { "grant_type": "authorization_code", "code": "${code}", "redirect_uri": "${redirect_uri}" },
          },
          "scope": "${option.scope}",
          "redirect_uri": "${option.redirect_uri}",
        },
        "token": {
          "refresh": {
            "path": "/oauth/token",
            "headers": { "Authorization": "Basic ${base64(concat(secret.client_id, ':', secret.client_secret))}" },
            "form": { "grant_type": "refresh_token", "refresh_token": "${token.refresh_token}" },
          },
          "read": {
            "access_token": "access_token",
            "expires_in": "expires_in",
            "refresh_token": "refresh_token",
            "fields": { "token_type": "${or(json(answer, 'token_type'), 'Bearer')}" },
          },
          "renew_before": "60s",
        },
        "set": {
          "headers": {
            "Authorization": "${token.token_type} ${token.access_token}",
            // Every call is a POST with JSON.
            "Content-Type": "application/json",
          },
        },
        // The authorization URL, the exchange and the call are what shangcloud-sdk 1.2.0 sends, given the same state.
        "vectors": [
          {
            "name": "a login",
            "authorize": true,
            "secrets": { "client_id": "app-7", "client_secret": "s3cr3t" },
            "login": { "state": "xL+/2a9bQw", "redirect_uri": "https://app.example.com/back" },
            "expect": {
              "target": "/oauth/authorize?response_type=code&state=xL%2B%2F2a9bQw&client_id=app-7&redirect_uri=https%3A%2F%2Fapp.example.com%2Fback&scope=user%3Abasic",
            },
          },
          {
            "name": "scopes, and what has to be encoded",
            "authorize": true,
            "secrets": { "client_id": "a:b", "client_secret": "p w+%/é" },
            "options": { "redirect_uri": "http://127.0.0.1:7220/-/oauth/shangcloud/callback?x=1&y=~a*b" },
            "login": { "state": "xL+/2a9bQw", "scope": "user:basic mmo var:io" },
            "expect": {
              "target": "/oauth/authorize?response_type=code&state=xL%2B%2F2a9bQw&client_id=a%3Ab&redirect_uri=http%3A%2F%2F127.0.0.1%3A7220%2F-%2Foauth%2Fshangcloud%2Fcallback%3Fx%3D1%26y%3D~a%2Ab&scope=user%3Abasic+mmo+var%3Aio",
            },
          },
          {
            "name": "a code becomes a token",
            "exchange": true,
            "secrets": { "client_id": "a:b", "client_secret": "p w+%/é" },
            "login": {
              "code": "SplxlOBeZQQYbYS6WxSbIA+/=",
              "redirect_uri": "http://127.0.0.1:7220/-/oauth/shangcloud/callback?x=1&y=~a*b",
            },
            "expect": {
              "method": "POST",
              "target": "/oauth/token",
              // a:b:p w+%/é
              "headers": { "Authorization": "Basic YTpiOnAgdyslL8Op" },
              "body": "grant_type=authorization_code&code=SplxlOBeZQQYbYS6WxSbIA%2B%2F%3D&redirect_uri=http%3A%2F%2F127.0.0.1%3A7220%2F-%2Foauth%2Fshangcloud%2Fcallback%3Fx%3D1%26y%3D~a%2Ab",
            },
          },
          {
            "name": "its answer",
            "answer": { "json": { "access_token": "at-1", "refresh_token": "rt-1", "token_type": "Bearer", "expires_in": 3600 } },
            "now": 1767225600,
            "expect": {
              "token": { "access_token": "at-1", "refresh_token": "rt-1", "token_type": "Bearer", "expires_at": 1767229200 },
            },
          },
          {
            "name": "a refusal",
            "answer": { "status": 400, "json": { "error": "invalid_grant" } },
            "now": 1767225600,
            "expect": { "refused": "invalid_grant" },
          },
          {
            "name": "a refresh",
            "refresh": true,
            "secrets": { "client_id": "app-7", "client_secret": "s3cr3t" },
            "token": { "access_token": "at-1", "refresh_token": "rt+1", "token_type": "Bearer" },
            "expect": {
              "method": "POST",
              "target": "/oauth/token",
              "headers": { "Authorization": "Basic YXBwLTc6czNjcjN0" },
              "body": "grant_type=refresh_token&refresh_token=rt%2B1",
            },
          },
          {
            "name": "a call, with the type that the server gave",
            "request": { "method": "POST", "target": "/api/user/info", "body": "{}" },
            "secrets": { "client_id": "app-7", "client_secret": "s3cr3t" },
            "token": { "access_token": "at-1", "token_type": "Bearer" },
            "expect": { "headers": { "Authorization": "Bearer at-1", "Content-Type": "application/json" }, "body": "{}" },
          },
          {
            "name": "another type",
            "request": { "method": "POST", "target": "/api/varibles", "body": "{}" },
            "secrets": { "client_id": "app-7", "client_secret": "s3cr3t" },
            "token": { "access_token": "at-1", "token_type": "SC" },
            "expect": { "headers": { "Authorization": "SC at-1" } },
          },
        ],
      }

      """#)
}
