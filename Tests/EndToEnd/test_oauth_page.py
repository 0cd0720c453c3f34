"""The callback's page, in a real browser: who comes back from a provider's form sees what happened, and nothing else is there.

The screenshots in docs/ are made here: `CHATELAINE_SCREENSHOTS=docs make test-e2e PYTEST_ARGS='-k page'` renews them. Each carries
the digest of the page that it shows, so that a page that was changed without them is a failed test.
"""

import base64
import hashlib
import html
import os
import pathlib
import re
import struct
import zlib
from urllib.parse import parse_qs, urlencode

import pytest

from harness.browser import Browser
from harness.daemon import TOP
from harness.logins import begin, come_back, refusals, sessions, user_of
from harness.problems import ours
from harness.providers import Provider
from harness.upstream import Upstream
from secrets_used import CLIENT, NAMES, SECRET

FIELDS = {"content-type", "content-length", "content-security-policy", "referrer-policy", "cache-control", "x-content-type-options",
          "cross-origin-resource-policy", "date", "x-request-id"}
MARK = "<script>alert('canary-reflected')</script>\"'&"


class WithForm(Provider):
    """A provider that asks its user: the authorization endpoint is a page with a form, and what it is told is a POST."""

    def __call__(self, exchange):
        path, _, query = exchange.target.partition(b"?")
        if path == b"/oauth/authorize":
            page = f"""<!doctype html><title>Allow?</title><link rel="icon" href="data:,">
                <form method="post" action="/oauth/agree"><input type="hidden" name="query" value="{html.escape(query.decode())}">
                <button>Allow</button></form>"""
            exchange.answer(200, [("Content-Type", "text/html")], page.encode())
        elif path == b"/oauth/agree":
            assert exchange.value("Origin") == self.origin
            address = self.visit(parse_qs(exchange.body.decode())["query"][0])
            exchange.answer(302, [("Location", f"{address}&{urlencode({'x': MARK})}")])
        else:
            super().__call__(exchange)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def vendor():
    return WithForm(CLIENT, SECRET)


@pytest.fixture
def stage(staged, vendor):
    stage = staged(vendor, routes={"orders": {"connector": "oauth2", "secrets": NAMES}})
    vendor.origin = stage.upstream.origin
    return stage


def agree(browser, begun):
    """The user goes where they are sent, and presses the button."""
    browser.goes_to(begun.url)
    browser.presses("button")


def assert_page(stage, browser, status, reference):
    """What every page has: just these fields, a policy that holds, nothing but itself, and nothing of what came."""
    callback = f"{stage.house.url}/-/oauth/orders/callback"
    document = browser.document
    assert document["url"].startswith(callback + "?") and document["status"] == status
    assert "canary-reflected" in document["url"], "the control: it was sent"
    # The answer itself, to the byte.
    assert reference.status == status
    ours(reference)
    assert {name.decode().lower() for name, _ in reference.fields} == FIELDS
    text = reference.body.decode()
    style = re.search("<style>(.*?)</style>", text, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert reference.value("Content-Security-Policy") == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
    assert reference.value("Referrer-Policy") == "no-referrer"
    assert reference.value("Content-Type") == "text/html; charset=utf-8"
    # The browser got the same one, although its query was another.
    seen = {name.lower(): value for name, value in document["headers"].items()}
    for field in "content-type", "content-security-policy", "referrer-policy", "cache-control", "content-length":
        assert seen[field] == reference.value(field), field
    assert "set-cookie" not in seen
    assert browser.source() == text
    # And made of it what it should.
    assert browser.evaluate("document.scripts.length + document.images.length + document.forms.length + document.links.length") == 0
    assert browser.evaluate("getComputedStyle(document.querySelector('main')).borderLeftStyle") == "solid", "the style is let in"
    shown = browser.evaluate("document.body.innerText")
    assert "You can close this window" in shown
    for word in "canary", "alert", "code=", "state", CLIENT, "alice", stage.upstream.authority:
        assert word not in shown
    assert [complaint for complaint in browser.complaints if "the server responded with a status" not in complaint] == []
    assert all(url.startswith((stage.upstream.origin, callback)) for _, url, _ in browser.requests), browser.requests
    assert len([url for _, url, _ in browser.requests if url.startswith(callback)]) == 1
    return shown


def keep(name, page, picture):
    """Writes the screenshot where the environment says, and asserts that the one in docs/ shows this page."""
    digest = hashlib.sha256(page).hexdigest().encode()
    if directory := os.environ.get("CHATELAINE_SCREENSHOTS"):
        chunk = b"tEXtPage\x00" + digest
        end_of_header = 8 + 25
        framed = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        kept = picture[:end_of_header] + framed + picture[end_of_header:]
        (pathlib.Path(TOP, directory) / f"{name}.png").write_bytes(kept)
    kept = (TOP / "docs" / f"{name}.png").read_bytes()
    assert digest in kept, f"docs/{name}.png shows another page: see the top of this file"
    assert len(kept) < 40_000


def test_success(stage, vendor, browser):
    agree(browser, begin(stage, "orders"))
    reference = come_back(stage, vendor.goes_to(begin(stage, "orders").url))
    shown = assert_page(stage, browser, 200, reference)
    assert "You are logged in" in shown and "orders" in shown
    assert user_of(stage, route="orders") == "alice"
    _, _, sent = browser.requests[-1]
    assert sent["sec-fetch-site"] == "cross-site" and sent["sec-fetch-mode"] == "navigate" and "origin" not in sent, \
        "the control: this is what a browser sends that was sent here by another site's form"
    keep("login-success", reference.body, browser.picture())


def test_denial(stage, vendor, browser):
    vendor.error = "access_denied"
    agree(browser, begin(stage, "orders"))
    reference = come_back(stage, vendor.goes_to(begin(stage, "orders").url))
    shown = assert_page(stage, browser, 424, reference)
    assert "You are not logged in" in shown
    assert not vendor.asked and not sessions(stage, "orders")
    keep("login-denied", reference.body, browser.picture())


def test_replay(stage, vendor, browser):
    """The user presses Reload, or Back and Forward: they are still logged in, and are told what this is."""
    agree(browser, begin(stage, "orders"))
    browser.goes_to(browser.document["url"])
    reference = come_back(stage, "/-/oauth/orders/callback?code=x&state=y")
    shown = assert_page(stage, browser, 400, reference)
    assert "over" in shown
    assert refusals(stage, 2) == ["used", "unknown"]
    assert len(vendor.asked) == 1 and user_of(stage, route="orders") == "alice"
    keep("login-replayed", reference.body, browser.picture())


@pytest.mark.parametrize("query", ["", "code=a", f"state=a&state={MARK}", "x=" + "y" * 5000])
def test_what_is_no_return_is_answered_with_a_page(stage, vendor, browser, query):
    browser.goes_to(f"{stage.house.url}/-/oauth/orders/callback?{query}")
    assert browser.document["status"] == 400
    shown = browser.evaluate("document.body.innerText")
    assert "You can close this window" in shown and "yyy" not in shown and "canary" not in shown
    assert browser.evaluate("document.scripts.length") == 0
    assert not vendor.asked


def test_a_provider_that_refuses_the_code(stage, vendor, browser):
    """Its words go to the log, not to the page."""
    vendor.answer = lambda exchange, asked: vendor.say(exchange, 400, {"error": "invalid_grant", "error_description": MARK})
    agree(browser, begin(stage, "orders"))
    assert browser.document["status"] == 424
    assert "canary" not in browser.source() and browser.evaluate("document.scripts.length") == 0
    assert not sessions(stage, "orders")


def test_the_browser_goes_on_to_the_application(staged, vendor, browser):
    """`return_to`, as a browser does it: the application is told nothing of code and state, by no field either."""
    app = Upstream()
    try:
        stage = staged(vendor, routes={"orders": {"connector": "oauth2", "secrets": NAMES, "return_to": [app.origin]}})
        vendor.origin = stage.upstream.origin
        with app.answering(lambda exchange: exchange.answer(
                200, [("Content-Type", "text/html")], b"<p>Welcome back</p>")) as arrived:
            agree(browser, begin(stage, "orders", return_to=app.origin + "/welcome?tab=1"))
            assert browser.evaluate("document.body.innerText") == "Welcome back"
            seen = arrived.next()
        assert seen.target == b"/welcome?tab=1"
        assert seen.value("Referer") is None
        assert user_of(stage, route="orders") == "alice"
    finally:
        app.close()


def test_a_page_cannot_finish_a_login(stage, vendor, browser):
    """T2.2: with a code and a state that are good, which it never has, its fetch is refused and uses nothing up."""
    address = vendor.goes_to(begin(stage, "orders").url)
    page = Upstream()
    try:
        with page.answering(lambda exchange: exchange.answer(200, [("Content-Type", "text/html")], b"<p>evil</p>")):
            browser.goes_to(page.origin + "/")
            done = browser.evaluate(f"fetch({address!r}).then(answer => answer.status, error => 'refused')")
            assert done == "refused", "an answer without Access-Control fields is nothing that it may read"
            for method in "POST", "DELETE":
                browser.evaluate(f"fetch({address!r}, {{method: {method!r}, mode: 'no-cors'}}).then(() => 0, () => 0)")
        assert not vendor.asked and not sessions(stage, "orders")
        assert come_back(stage, address).status == 200
    finally:
        page.close()


def test_no_page_can_frame_it(stage, vendor, browser):
    """A login's end is nothing to hide in a frame."""
    address = vendor.goes_to(begin(stage, "orders").url)
    page = Upstream()
    try:
        frame = f'<iframe src="{html.escape(address)}"></iframe>'.encode()
        with page.answering(lambda exchange: exchange.answer(200, [("Content-Type", "text/html")], frame)):
            browser.goes_to(page.origin + "/")
        assert any("frame-ancestors" in complaint for complaint in browser.complaints), browser.complaints
    finally:
        page.close()


def test_the_fields_of_the_query_are_not_looked_for_in_vain(browser, stage, vendor):
    """The control: a page that repeats its query, and has a script, fails the checks that ours passes."""
    page = Upstream()
    try:
        body = f"<p>{MARK}</p>".encode()
        with page.answering(lambda exchange: exchange.answer(
                200, [("Content-Type", "text/html"), ("Content-Security-Policy", "default-src 'none'")], body)):
            browser.goes_to(page.origin + "/?" + urlencode({"x": MARK}))
        assert browser.evaluate("document.scripts.length") == 1
        assert browser.complaints and "canary" in browser.source()
    finally:
        page.close()
