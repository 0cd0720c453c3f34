extension BuiltIn {
  /// The same text as `config/connectors/ath.jsonc`; a test holds them together.
  static let ath = BuiltIn(
    name: "ath",
    text: #"""
      {
        "connector": "ath",
        "title": "Agent Trust Handshake 0.1: an agent proves who it is with ES256",
        "about": "The handshake by hand: chatelaine ath keygen, identity, discover, register, authorize, exchange, revoke.",
        "secrets": {
          "private_key": { "about": "the agent's P-256 key in PEM, made by: chatelaine ath keygen" },
        },
        "options": {
          "mode": {
            "about": "gateway: calls go to a provider through a gateway; native: to the service itself",
            "default": "gateway",
            "values": ["gateway", "native"],
          },
          "agent_id": {
            "about": "the agent's URI, where servers read agent.json, like https://agent.example.com/.well-known/agent.json",
          },
          "key_id": { "about": "the key's name in attestations", "default": "default" },
          "provider": { "about": "the gateway's provider that calls go to", "required": false },
          "developer": { "about": "who made the agent: { \"name\", \"id\", \"contact\" }", "required": false, "json": true },
          "capabilities": { "about": "what the agent can do: an array of strings", "required": false, "json": true },
        },
        "handshake": "ath",
        "token": {
          "read": {
            // What was asked for is added to the answer by the handshake.
            "fields": {
              "asked?": "${json(answer, 'asked')}",
              "effective?": "${json(answer, 'effective_scopes')}",
              "intersection?": "${json(answer, 'scope_intersection')}",
            },
          },
          "error_message": ["message"],
          // A new session is needed for each of these. Only after an expiry one may have begun meanwhile.
          "reject_when": { "status": [], "json": { "code": "TOKEN_EXPIRED" }, "json_status": [401, 403] },
          "revoked_when": { "json": { "code": ["TOKEN_REVOKED", "TOKEN_INVALID"] }, "json_status": [401, 403] },
        },
        "set": {
          "headers": { "Authorization": "Bearer ${token.access_token}", "X-ATH-Agent-ID": "${option.agent_id}" },
        },
        "vectors": [
          {
            "name": "a token",
            "answer": {
              "json": {
                "access_token": "at-1", "token_type": "Bearer", "expires_in": 3600, "effective_scopes": ["read"],
                "provider_id": "github", "agent_id": "https://agent.example.com/.well-known/agent.json",
                "scope_intersection": { "agent_approved": ["read", "write"], "user_consented": ["read"], "effective": ["read"] },
              },
            },
            "now": 1767225600,
            "expect": { "token": { "access_token": "at-1", "effective": "[\"read\"]", "expires_at": 1767229200 } },
          },
          {
            "name": "a refusal",
            "answer": { "status": 400, "json": { "code": "SESSION_EXPIRED", "message": "too late" } },
            "now": 1767225600,
            "expect": { "refused": "too late" },
          },
          {
            "name": "a call",
            "request": { "method": "GET", "target": "/user" },
            "secrets": { "private_key": "unused here" },
            "options": { "agent_id": "https://agent.example.com/.well-known/agent.json", "provider": "github" },
            "token": { "access_token": "at-1" },
            "expect": {
              "headers": {
                "Authorization": "Bearer at-1", "X-ATH-Agent-ID": "https://agent.example.com/.well-known/agent.json",
              },
            },
          },
        ],
      }

      """#)
}
