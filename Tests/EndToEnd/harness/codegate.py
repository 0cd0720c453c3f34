"""The vendor's own arithmetic as judge of ours."""

import re
import time
from urllib.parse import parse_qsl

from codegate_sdk import generate_signature


class Pairs(list):
    """A query as the vendor's function takes it, though it holds a name twice: a list with a dictionary's `items`."""

    def items(self):
        return list(self)


def signature(method, target, body, timestamp, secret):
    """What the vendor's code computes for a request as it stood on the wire."""
    path, _, query = target.partition("?")
    pairs = Pairs(parse_qsl(query, keep_blank_values=True))
    return generate_signature(
        method=method, path=path, query_params=pairs, body=body.decode(), timestamp=timestamp, secret=secret
    )


def assert_signed(exchange, api_key, secret):
    """Asserts that what arrived upstream is signed, now, for what arrived."""
    timestamp = exchange.value("X-Timestamp")
    assert re.fullmatch(r"[1-9][0-9]{9}", timestamp)
    assert abs(int(timestamp) - time.time()) < 30
    assert exchange.value("X-API-Key") == api_key
    assert exchange.value("X-Signature") == signature(
        exchange.method.decode(), exchange.target.decode(), exchange.body, int(timestamp), secret
    )
