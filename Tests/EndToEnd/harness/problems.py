"""What every answer of the daemon's own has to look like."""

STATUS = {
    "malformed_request": 400, "head_too_large": 431, "uri_too_long": 414, "body_too_large": 413, "length_required": 411,
    "request_timeout": 408, "expectation_failed": 417, "not_implemented": 501, "version_not_supported": 505,
    "unknown_route": 404, "misdirected": 421, "method_not_supported": 405,
    "caller_unknown": 401, "caller_not_allowed": 403, "browser_refused": 403,
    "secret_missing": 424, "not_connected": 424, "reauthorization_required": 424,
    "state_unknown": 400, "authorization_failed": 424, "token_refused": 424,
    "token_unavailable": 503, "store_locked": 503, "overloaded": 503,
    "upstream_unresolved": 502, "upstream_unreachable": 502, "upstream_tls": 502, "upstream_protocol": 502,
    "upstream_truncated": 502, "upstream_timeout": 504,
}


def problem(response, code, route=...):
    """Asserts that `response` is the problem `code` in every respect that users rely on, and returns its members.

    `route` is the route it has to name, None for none; left out where it does not matter whether it is known yet.
    """
    assert response.status == STATUS[code], f"{code} is {STATUS[code]}: {response}"
    assert response.value("Content-Type") == "application/problem+json"
    assert response.value("Content-Length") == str(len(response.body))
    members = response.json()
    assert members["code"] == code, response
    assert members["status"] == response.status
    assert members["type"] and members["title"] and members["detail"]
    assert members["hint"]
    assert isinstance(members["retryable"], bool)
    assert route is ... or members.get("route") == route, response
    request_id = response.value("X-Request-Id")
    assert request_id and members["instance"].endswith(request_id)
    assert response.value("Proxy-Status").startswith("chatelaine; error=")
    assert (response.value("Retry-After") is not None) == (response.status in (503, 429))
    if response.status == 503:
        assert members["retryable"]
    ours(response)
    return members


def ours(response):
    """T2.7: what every answer of our own carries, and never carries."""
    assert response.value("Cache-Control") == "no-store"
    assert response.value("X-Content-Type-Options") == "nosniff"
    assert response.value("Cross-Origin-Resource-Policy") == "same-origin"
    assert not [name for name, _ in response.fields if name.lower().startswith(b"access-control-")]
