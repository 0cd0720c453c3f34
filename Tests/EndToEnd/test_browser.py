"""T2: a web page in the user's browser gets nothing, however it asks."""

import pytest

from harness.problems import problem


@pytest.mark.parametrize("name, value", [
    ("Origin", "https://evil.example"), ("Origin", "null"), ("Origin", "http://127.0.0.1"),
    ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "none"),
    ("Access-Control-Request-Method", "GET"), ("Access-Control-Request-Private-Network", "true"),
])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_what_only_a_browser_sends_is_refused(house, seen, method, name, value):
    """T2.2, T2.4: no Access-Control field in the answer, so no page can read it either."""
    response = house.exchange(method, "/codegate/x", [(name, value)])
    problem(response, "browser_refused")
    seen.none()


def test_a_rebinding_page_is_stopped_by_its_host(house, seen):
    """T2.3: such a page sends no fetch metadata; the Host it has is what gives it away."""
    problem(house.exchange("GET", "/codegate/x", host=f"evil.example:{house.port}"), "misdirected")
    seen.none()


def test_the_host_is_looked_at_before_the_origin(house, seen):
    problem(house.exchange("GET", "/codegate/x", [("Origin", "https://evil.example")], host="evil.example"), "misdirected")
    seen.none()


def test_our_own_endpoints_are_not_for_pages_either(house):
    assert house.exchange("GET", "/-/metrics", [("Origin", "https://evil.example")]).status == 403
    assert house.exchange("GET", "/-/livez", host="evil.example").status == 421


def test_a_program_that_sends_no_such_field_is_served(house, seen):
    """The control: the same request without them."""
    assert house.exchange("GET", "/codegate/x", [("Sec-CH-UA", "x"), ("Referer", "http://x/")]).status == 200
    seen.only()
