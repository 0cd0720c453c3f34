"""One daemon with one loop in front of one upstream, made to see whether anything at all went upstream."""

import contextlib
import itertools
import threading

from . import DEADLINE
from .daemon import free_port
from .upstream import Upstream
from .wire import Wire


class Stage:
    """A route with a Unix socket of its own, so that any Host and any target can be said to it, and a TCP port.

    `loops: 1` and one caller: an exchange takes the connection that the one before it gave back. As long as the sentinel's
    requests come on one connection, one behind the other, nothing else has touched an upstream.
    """

    def __init__(self, authority, build, connector, hosts=(), route=None, **top_level):
        self.upstream = Upstream(authority.server_context())
        house = build({"vectors": {
            "connector": connector, "upstream": self.upstream.origin, "hosts": list(hosts), **(route or {}),
            "secrets": {"token": "shared/token"} if connector == "bearer" else {
                "api_key": "codegate/api_key", "secret": "codegate/secret"},
        }}, loops=1, **top_level)
        self.address = ("127.0.0.1", free_port())
        house.settings["routes"]["vectors"]["listen"] = [
            {"unix": str(house.socket), "mode": "0666"}, {"tcp": f"127.0.0.1:{self.address[1]}"}]
        house.write()
        self.house = house
        self.gathers = connector == "codegate"
        self.whole = []  # the requests that arrived with all of their body
        self._numbers = itertools.count()

    def __enter__(self):
        self.house.start()
        self.probe = Wire(self.house.socket)
        return self

    def __exit__(self, kind, *_):
        self.probe.__exit__()
        try:
            if kind is None:
                self.house.stop()
        finally:
            self.house.remove()
            self.upstream.close()

    def wire(self, over_tcp=False):
        return Wire(self.address if over_tcp else self.house.socket)

    @contextlib.contextmanager
    def answering(self, script=None):
        """As the upstream's own, and `whole` starts anew. Without a script the answer is 200 to what arrived whole."""
        self.whole = []
        try:
            with self.upstream.answering(script or self.answer) as seen:
                yield seen
        except BaseException:
            # What a failure has left on the connections is not the next test's.
            self.upstream.drop_idle()
            self.probe.sock.close()
            self.probe = self.wire()
            raise

    def answer(self, exchange):
        _ = exchange.body  # EOFError where it was cut
        self.whole.append(exchange)
        exchange.answer(200, [], b"ok")

    def sentinel(self):
        """Sends a request that is beyond doubt; the connection on which it arrived. Everything before it has arrived, too."""
        target = f"/sentinel/{next(self._numbers)}"
        assert self.probe.exchange("GET", target).status == 200
        last = self.whole.pop()
        assert last.target == target.encode()
        return last.connection

    def is_untouched(self, before, seen):
        """Asserts that since the sentinel that came on `before` not a byte went upstream."""
        known = len(before.received)
        assert self.sentinel() is before, "the daemon took the connection, or made another"
        assert self.whole == []
        assert [exchange.target for exchange in seen.all if not exchange.target.startswith(b"/sentinel/")] == []
        assert before.received[known:].startswith(b"GET /sentinel/"), "bytes came before the sentinel"

    def is_cut(self, before):
        """Asserts that the connection on which a sentinel came was taken and closed, and that nothing whole came on it."""
        assert before.closed.wait(DEADLINE)
        assert self.sentinel() is not before
        assert self.whole == []


def held():
    """An event to hold a script with, and the script's way to wait for it: nothing is slept for."""
    event = threading.Event()
    return event, lambda: event.wait(DEADLINE)
