"""Messages that are odd and legal, from a seed, with what has to arrive of them on the other side of the daemon.

Most bodies hold a whole message of their own: whoever loses count of where a body ends reads that as the next one.
"""

import hashlib
import random
import string

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
TOKEN = "!#$%&'*+-.^_`|~" + string.ascii_letters + string.digits
VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
OPAQUE = "".join(map(chr, range(0x80, 0x100)))
# A dot has company: a segment of dots alone is refused, between escaped slashes too.
SEGMENT = [*string.ascii_letters, *string.digits, *"-_~!$&'()*+,;=:@", "a..", "..a", ".a."]
ESCAPES = ["%20", "%41", "%2F", "%2f", "%2541", "%C3%A9", "%3A", "%3f", "%23", "%25"]


def digest(body):
    return hashlib.sha256(body).hexdigest()


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def chance(self, probability):
        return self.random.random() < probability

    def text(self, alphabet, least, most):
        return "".join(self.random.choices(alphabet, k=self.random.randint(least, most)))

    # Fields

    def value(self):
        """A field's value: nothing, words with white space between, bytes that nobody can read."""
        kind = self.random.random()
        if kind < 0.1:
            return ""
        if kind < 0.15:
            return self.text(VISIBLE, 1000, 3000)
        words = [self.text(VISIBLE + OPAQUE * (kind < 0.3), 1, 12) for _ in range(self.random.randint(1, 4))]
        return self.random.choice([" ", "\t", "  ", ", "]).join(words).strip(" \t")

    def name(self):
        """A name that means nothing to anybody, or to Chatelaine."""
        return self.random.choice(["X-", "x.", "!", "~Z-", "a_"]) + self.text(TOKEN, 1, 20) + "q"

    def fields(self, ends_here):
        """Field lines, those of them that go on, and the names that Connection is to nominate.

        `ends_here` are fields that do not go on, by name with a value of theirs.
        """
        known = [("Accept", "*/*"), ("Accept", "text/html;q=0.5"), ("Accept-Language", "de, en"), ("Cache-Control", "no-store"),
                 ("ETag", '"x"'), ("Vary", "*"), ("Link", "</a>; rel=x")]
        lines, going, nominated = [], [], []
        for _ in range(self.random.randint(0, 12)):
            kind = self.random.random()
            if kind < 0.2:
                name, value = self.random.choice(ends_here)
            elif kind < 0.25:
                name, value = self.text(string.ascii_lowercase, 8, 12), self.value()
                nominated.append(name)
            else:
                name, value = self.random.choice(known) if kind < 0.4 else (self.name(), self.value())
                going.append((name, value))
            lines.append((name, value))
        if nominated:
            lines.insert(self.random.randint(0, len(lines)), ("Connection", ", ".join(nominated)))
        return lines, going

    def line(self, name, value):
        """A field line with white space that belongs to nobody around its value."""
        space = ["", " ", "\t", "  ", " \t "]
        return f"{name}:{self.random.choice(space)}{value}{self.random.choice(space)}\r\n".encode("latin-1")

    # Bodies

    def body(self, smuggled):
        pieces = []
        for _ in range(self.random.choice([0, 1, 1, 2, 3])):
            kind = self.random.random()
            if kind < 0.7:
                before = self.random.choice([b"", b"\r\n", b"\r\n\r\n", b"0\r\n\r\n", b"\r\n0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"\n"])
                pieces.append(before + self.random.choice(smuggled))
            elif kind < 0.97:
                pieces.append(self.random.randbytes(self.random.randint(1, 2000)))
            else:
                pieces.append(self.random.randbytes(self.random.randint(60_000, 200_000)))
        return b"".join(pieces)

    def chunked(self, body):
        """The body in chunks of any size, with all that may stand around them."""
        wire, rest, extensions = bytearray(), body, 0
        while rest:
            size = self.random.choice([1, 2, 15, 16, 17, 255, 4096, 70_000, len(rest)]) if len(rest) < 1000 else self.random.randint(500, 70_000)
            block, rest = rest[:size], rest[size:]
            wire += self.size(len(block), extensions)
            extensions += 1
            wire += b"\r\n" + block + b"\r\n"
        wire += self.size(0, extensions) + b"\r\n"
        for _ in range(self.random.choice([0, 0, 0, 1, 3])):
            wire += self.line("X-Trailer", self.random.choice(["GET /smuggled HTTP/1.1", "", "0"]))
        return bytes(wire + b"\r\n")

    def size(self, count, extensions):
        text = self.random.choice(["%x", "%X", "0%x", "000%X"]) % count
        if extensions < 10 and self.chance(0.3):
            text += self.random.choice([";a=b", ";a", ";a=\"0\";b=c", ";x=\"\\\"GET /smuggled HTTP/1.1\""])
        return text.encode()

    def pieces(self, wire):
        """The bytes, cut at some places."""
        cuts = sorted(self.random.randint(0, len(wire)) for _ in range(self.random.choice([0, 0, 1, 3])))
        return [wire[start:end] for start, end in zip([0, *cuts], [*cuts, len(wire)]) if end > start]


class Request:
    """One generated request: `wire` for a route of the daemon, and what has to arrive."""

    ENDS_HERE = [
        ("Keep-Alive", "timeout=5"), ("TE", "trailers"), ("Trailer", "X-Trailer"), ("Proxy-Connection", "keep-alive"),
        ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA"), ("Via", "1.1 x"), ("X-Forwarded-For", "1.2.3.4"),
        ("Forwarded", "for=1.2.3.4"), ("Cookie", "a=b"), ("X-HTTP-Method-Override", "DELETE"), ("Proxy-Authorization", "Basic eA=="),
    ]

    def __init__(self, generator, number, port):
        g, self.number = generator, number
        self.host = f"127.0.0.1:{port}"
        smuggled = [
            b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /node/smuggled HTTP/1.1\r\nHost: %s\r\n\r\n" % self.host.encode(),
            b"POST /python/smuggled HTTP/1.1\r\nHost: %s\r\nContent-Length: 3\r\n\r\nabc" % self.host.encode(),
        ]
        self.method = g.random.choice(METHODS)
        self.target = self._target(g)
        self.fields, self.going = g.fields(self.ENDS_HERE)
        self.is_last = g.chance(0.15)  # of its connection
        self.version = "1.0" if self.is_last and g.chance(0.5) else "1.1"
        if self.is_last and self.version == "1.1":
            self.fields.append(("Connection", "close"))
        self.framing = g.random.choice(["none", "length", "length", "chunked", "chunked"] if self.version == "1.1" else ["none", "length"])
        self.body = g.body(smuggled) if self.framing != "none" else b""
        self.waits = self.version == "1.1" and len(self.body) > 0 and g.chance(0.1)  # for 100 Continue
        self.expects = self.waits or self.body != b"" and g.chance(0.1)
        self.encoded = g.chunked(self.body) if self.framing == "chunked" else self.body
        lines = [("Host", self.host), *self.fields]
        if self.framing == "length":
            lines.insert(g.random.randint(0, len(lines)), ("Content-Length", str(len(self.body))))
        elif self.framing == "chunked":
            lines.insert(g.random.randint(0, len(lines)), ("Transfer-Encoding", g.random.choice(["chunked", "Chunked", "CHUNKED"])))
        if self.expects:
            lines.append(("Expect", "100-continue"))
        self.lines = b"".join(g.line(name, value) for name, value in lines)

    def _target(self, g):
        def run(alphabet):
            return "".join(g.random.choice(ESCAPES) if g.chance(0.1) else g.random.choice(alphabet) for _ in range(g.random.randint(0, 20)))

        target = f"/{self.number}" + "".join(f"/x{run(SEGMENT)}" for _ in range(g.random.randint(0, 4)))
        if g.chance(0.5):
            target += "?" + run([*SEGMENT, "/", "?"]) + g.random.choice(["", "&a=%00", "&a=%0d%0aGET%20/smuggled", "?", "&=&&", "&smug=/smuggled"])
        return target

    def head(self, route):
        return f"{self.method} /{route}{self.target} HTTP/{self.version}\r\n".encode() + self.lines + b"\r\n"

    def arrives(self, authority, reads_body, credential):
        """What an upstream has to read. `credential` are the fields that the connector sets, and None for theirs of any value."""
        if self.framing == "none":
            framing = [("Content-Length", "0")] if self.method in ("POST", "PUT", "PATCH") else []
        elif self.framing == "chunked" and not reads_body:
            framing = [("Transfer-Encoding", "chunked")]
        else:
            framing = [("Content-Length", str(len(self.body)))]
        return {
            "method": self.method, "target": self.target, "version": "1.1", "body": digest(self.body), "trailers": [],
            "fields": [list(field) for field in [("Host", authority), *self.going, *credential, *framing]],
        }


class Response:
    """One generated response: `wire` from an upstream, and what has to arrive at a client."""

    ENDS_HERE = [
        ("Keep-Alive", "timeout=5"), ("Proxy-Authenticate", "Basic"), ("Trailer", "X-Trailer"), ("Upgrade", "h2c"), ("Set-Cookie", "a=b"),
        ("Alt-Svc", "clear"), ("Access-Control-Allow-Origin", "*"), ("Clear-Site-Data", "*"),
    ]
    SMUGGLED = [
        b"HTTP/1.1 200 OK\r\nX-Smuggled: yes\r\nContent-Length: 6\r\n\r\nstolen", b"HTTP/1.1 204 No Content\r\nX-Smuggled: yes\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nX-Smuggled: yes\r\n\r\nstolen",
    ]

    def __init__(self, generator, number):
        g = generator
        self.method = g.random.choice(["GET", "GET", "GET", "POST", "HEAD"])
        self.target = f"/{number}"
        self.status = g.random.choice([200] * 6 + [201, 203, 206, 301, 400, 404, 418, 429, 500, 204, 304])
        self.version = g.random.choice(["1.1"] * 5 + ["1.0"])
        fields, going = g.fields(self.ENDS_HERE)
        self.framing = g.random.choice(["length", "chunked", "close"] if self.version == "1.1" else ["length", "close"])
        if self.status in (204, 304) and self.framing == "close":
            self.framing = "length"
        body = g.body(self.SMUGGLED)
        encoded = g.chunked(body) if self.framing == "chunked" else body
        bodiless = self.method == "HEAD" or self.status in (204, 304)
        lines = list(fields)
        if self.framing != "close":
            field = ("Content-Length", str(len(body))) if self.framing == "length" else ("Transfer-Encoding", "chunked")
            place = g.random.randint(0, len(lines))
            lines.insert(place, field)
            if self.framing == "length" and self.status != 204:
                before = sum(line in going for line in lines[:place])
                going.insert(before, field)
        elif not bodiless:
            lines.append(("Connection", "close"))
        # What stands behind a response is nobody's: more often where there must be no body.
        surplus = b""
        if bodiless and g.chance(0.3):
            surplus = encoded
        elif self.framing != "close" and g.chance(0.05):
            surplus = g.random.choice(self.SMUGGLED)
        # Never unannounced: a request that is sent meanwhile would be lost.
        self.closes = surplus != b"" or self.framing == "close" and not bodiless or self.version == "1.0"
        interim = b"HTTP/1.1 100 Continue\r\n\r\n" * g.random.choice([0, 0, 0, 1, 2])
        reason = g.random.choice(["OK", "", "Not What You Think"])
        head = interim + f"HTTP/{self.version} {self.status} {reason}\r\n".encode()
        head += b"".join(g.line(name, value) for name, value in lines) + b"\r\n"
        # It comes in one piece with the end: later it would be the next request's answer, which nobody could tell.
        self.pieces = g.pieces(head + (b"" if bodiless else encoded))
        self.pieces[-1] += surplus
        framing = [] if bodiless or self.framing == "length" else [["Transfer-Encoding", "chunked"]]
        self.arrives = {
            "status": self.status, "body": digest(b"" if bodiless else body), "trailers": [],
            "fields": [*map(list, going), ["X-Request-Id", None], *framing],
        }
