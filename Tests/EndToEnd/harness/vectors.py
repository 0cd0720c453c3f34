"""The literate vectors of Tests/Vectors/http, and what a reader that is not ours makes of the requests that are accepted.

The README beside them says what the format is; Tests/HTTPTests/Vector.swift reads the same files for the parsers.
"""

import re

from .daemon import TOP

FOLDER = TOP / "Tests/Vectors/http"


class Vector:
    """One input, and the lines that are expected of it."""

    def __init__(self, file, line, row, title, value, kind, lines, expected):
        self.place = f"{file}:{line}"
        self.row, self.title, self.value = row, title, value
        self.is_response, self.to_head, self.ends = kind[0] == "response", "HEAD" in kind, "eof" in kind
        self.input = b"".join(_line(text, value) for text in lines)
        self.expected = [expand(text) for text in expected]
        # `400 badVersion`: what ends the reading, where it ends in an error.
        last = self.expected[-1].split(b" ")[0]
        self.refusal = int(last) if last.isdigit() else None
        self.is_silent = last == b"silent"
        # The peer ended in the middle, or more is needed: nobody is there to answer, or there is nothing to say yet.
        self.is_unfinished = last == b"more" or self.expected[-1] == b"400 truncatedBody"
        # An error behind the head: where the body streams, the head is upstream by then.
        self.breaks_in_body = bool(re.search(rb" (badChunk|chunkOverhead|badTrailer|trailersTooLarge)", self.expected[-1])) or (
            self.refusal == 400 and row == 92)

    def __str__(self):
        value = "" if self.value is None else f" [{self.value[:40]}]"
        return f"row_{self.row:03} {self.title}{value} {self.place}"


def _line(text, value):
    if value is not None:
        text = text.replace("<>", value)
    trailing = len(text) - len(text.rstrip("\\"))
    return expand(text[:-1]) if trailing % 2 else expand(text) + b"\r\n"


def expand(text):
    r"""`\r \n \t \0 \\ \xHH` and `{3*text}`, as bytes."""
    out, rest = _expand(text.encode(), nested=False)
    assert not rest
    return out


ESCAPES = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}


def _expand(rest, nested):
    out = bytearray()
    while rest:
        byte, rest = rest[:1], rest[1:]
        repeated = re.match(rb"([0-9]+)\*", rest) if byte == b"{" else None
        if byte == b"}" and nested:
            return bytes(out), rest
        if repeated:
            inner, rest = _expand(rest[repeated.end():], nested=True)
            out += inner * int(repeated[1])
        elif byte == b"\\" and rest[:1] == b"x":
            out.append(int(rest[1:3], 16))
            rest = rest[3:]
        elif byte == b"\\":
            out += ESCAPES[rest[:1]]
            rest = rest[1:]
        else:
            out += byte
    return bytes(out), rest


def read_all():
    return [vector for file in sorted(FOLDER.glob("[A-Z]-*.md")) for vector in _read(file)]


def _read(file):
    fence = source = values = None
    row = title = None
    for number, line in enumerate(file.read_text().split("\n"), 1):
        if not line.startswith("```"):
            if fence is not None:
                fence[2].append(line)
            elif line.startswith("## "):
                row, _, title = line[3:].partition(" ")
            continue
        if fence is None:
            fence = (line[3:].split(" "), number, [])
            continue
        kind, start, lines = fence
        fence = None
        if kind[0] in ("http", "response"):
            source = (kind, start, lines)
        elif kind[0] == "values":
            values = lines
        else:
            assert kind == ["expect"], f"{file}:{start}: an unknown fence"
            for value in values or [None]:
                yield Vector(file.name, source[1], int(row), title, value, source[0], source[2], lines)
            source = values = None


# Reading what is valid


class Message:
    """One request that stands in a vector, taken apart with nothing but splits."""

    def __init__(self, data):
        data = data.removeprefix(b"\r\n")
        head, _, rest = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        self.method, target, self.version = lines[0].split(b" ")
        self.fields = [(name, value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in lines[1:])]
        # As it has to arrive: an absolute target without its authority, and never without a path.
        self.target = re.sub(rb"(?i)^https?://[^/?]*", b"", target)
        if not self.target.startswith((b"/", b"*")):
            self.target = b"/" + self.target
        self.is_chunked = bool(self.values(b"transfer-encoding"))
        if self.is_chunked:
            self.body, rest = _chunks(rest)
        else:
            length = int(b"".join(self.values(b"content-length")) or b"0")
            assert len(rest) >= length
            self.body, rest = rest[:length], rest[length:]
        self.rest = rest

    def values(self, name):
        return [value for key, value in self.fields if key.lower() == name]

    @property
    def nominated(self):
        """What `Connection` takes out of it."""
        return {name.strip(b" \t").lower() for value in self.values(b"connection") for name in value.split(b",")}


def _chunks(rest):
    body = b""
    while True:
        line, _, rest = rest.partition(b"\r\n")
        size = int(line.partition(b";")[0].strip(b" \t"), 16)
        if size == 0:
            break
        body, rest = body + rest[:size], rest[size + 2:]
    while not rest.startswith(b"\r\n"):
        rest = rest.partition(b"\r\n")[2]
    return body, rest[2:]


def messages(data, count=None):
    """The requests that stand in `data` one after another; the first `count` of them."""
    found = []
    while data and (count is None or len(found) < count):
        found.append(Message(data))
        data = found[-1].rest
    return found
