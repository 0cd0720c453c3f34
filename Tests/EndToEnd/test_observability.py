"""What an operator sees: health, metrics, one log line an exchange."""

import json
import os
import pty
import re
import signal
import threading

import pytest

from harness import DEADLINE
from harness.problems import ours
from harness.waiting import until
from harness.wire import Wire


@pytest.mark.parametrize("endpoint", ["livez", "readyz"])
def test_health_is_answered_here(house, seen, endpoint):
    response = house.exchange("GET", f"/-/{endpoint}")
    assert response.status == 200
    ours(response)
    assert house.exchange("HEAD", f"/-/{endpoint}").status == 200
    seen.none()


def test_health_takes_no_other_method(house):
    assert house.exchange("POST", "/-/livez", body=b"x").status == 405


@pytest.mark.parametrize("endpoint", ["livez", "readyz"])
def test_health_waits_for_no_body_and_keeps_none(build, upstream, endpoint):
    """Strangers may ask, and shall not fill the memory that is for the bodies of others."""
    house = build({"codegate": {"connector": "codegate", "upstream": upstream.origin}}, limits={"buffered": "64KiB"})
    with house, upstream.answering():
        asking = [Wire(house.address, deadline=5) for _ in range(4)]
        for wire in asking:
            wire.request("GET", f"/-/{endpoint}", [("Content-Length", "1048576")], bytes(32 * 1024))
        for wire in asking:
            response = wire.response()
            assert response.status == 200
            ours(response)
        assert house.exchange("POST", "/codegate/x", body=bytes(60 * 1024)).status == 200
        for wire in asking:
            assert wire.ended()
            wire.sock.close()


# Metrics


def samples(text):
    """The exposition format, strictly enough: {(name, labels): value}."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            assert re.match(r"# (HELP|TYPE) [a-z_]+ .+", line), line
            continue
        match = re.fullmatch(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-z_]+="[^"]*",?)*\})? (\S+)', line)
        assert match, f"not a sample: {line!r}"
        key = (match.group(1), match.group(2) or "")
        assert key not in found, f"{key} twice"
        found[key] = float(match.group(3))
    return found


def metrics(house):
    response = house.exchange("GET", "/-/metrics")
    assert response.status == 200
    assert response.value("Content-Type").startswith("text/plain; version=0.0.4")
    return samples(response.body.decode())


def grown(before, after):
    return {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}


def test_exchanges_are_counted_by_route_and_status(house, upstream):
    before = metrics(house)
    with upstream.answering(lambda exchange: exchange.answer(201, [], b"x")):
        for _ in range(3):
            house.exchange("GET", "/basic/x")
    after = metrics(house)
    counted = {key: by for key, by in grown(before, after).items() if 'route="basic"' in key[1] and key[0].endswith("_total")}
    assert any(by == 3 and re.search(r'"2(01|xx)"', key[1]) for key, by in counted.items()), counted


def test_problems_are_counted_by_code(house, seen):
    before = metrics(house)
    house.exchange("GET", "/nowhere/x")
    changed = grown(before, metrics(house))
    assert any('"unknown_route"' in key[1] and by == 1 for key, by in changed.items()), changed


def test_a_request_names_no_new_series(house, seen):
    """What a caller can choose is not a label: the number of series is bounded by the configuration."""
    house.exchange("GET", "/bearer/warm")
    before = len(metrics(house))
    for number in range(20):
        house.exchange("GET", f"/bearer/{number}?q={number}", [("User-Agent", str(number))])
        house.exchange("GET", f"/nowhere-{number}/x")
        house.exchange(f"METHOD{number}", "/bearer/x")
    assert len(metrics(house)) <= before + 3


def test_metrics_on_their_own_listener(house):
    with Wire(("127.0.0.1", house.metrics_port)) as wire:
        response = wire.exchange("GET", "/-/metrics")
        assert response.status == 200
        assert samples(response.body.decode())
        assert wire.exchange("GET", "/-/livez").status == 200
        assert wire.exchange("GET", "/bearer/x").status in (404, 421), "it forwards nothing"


def test_an_exchange_is_counted_though_a_reload_came_in_between(build, upstream):
    release = threading.Event()

    def slowly(exchange):
        assert exchange.target == b"/before" or release.wait(DEADLINE)
        exchange.answer(201, [], b"x")

    def counted():
        return sum(value for (name, labels), value in metrics(house).items()
                   if name.endswith("_total") and 'route="shared"' in labels and re.search(r'"2(01|xx)"', labels))

    with build({"shared": {"connector": "bearer", "upstream": upstream.origin}}) as house:
        with upstream.answering(slowly) as seen, house.wire() as wire:
            assert house.exchange("GET", "/shared/before").status == 201
            until(lambda: counted() == 1, "the first to be counted")
            wire.request("GET", "/shared/during")
            seen.next()
            seen.next()
            house.settings["log"] = {"level": "debug"}
            house.write()
            house.run_well("reload")
            assert counted() == 1, "what was counted before a reload stays"
            release.set()
            assert wire.response().status == 201
            until(lambda: counted() == 2, "the one in flight to be counted", deadline=5)


# The log


def line_of(house, request_id):
    return until(lambda: next((line for line in house.log_lines() if request_id in line), None),
                 f"a log line of {request_id}")


def test_an_exchange_is_one_json_line(house, seen):
    response = house.exchange("POST", "/codegate/api/v1/x?query=unlogged", [("X-Caller", "unlogged")], b"unlogged body")
    request_id = response.value("X-Request-Id")
    line = json.loads(line_of(house, request_id))
    assert len([entry for entry in house.log_lines() if request_id in entry]) == 1
    values = [str(value) for value in line.values()]
    assert line["route"] == "codegate"
    assert line["method"] == "POST"
    assert line["path"].endswith("/api/v1/x")
    assert line["status"] == 200
    assert str(os.getuid()) in values, "the caller's uid (T3.10)"
    assert "unlogged" not in json.dumps(line), "neither query, nor fields, nor body"


def test_a_refusal_is_a_line_too(house, seen):
    response = house.exchange("GET", "/nowhere/x")
    line = json.loads(line_of(house, response.value("X-Request-Id")))
    assert line["status"] == 404
    assert "unknown_route" in line.values()


def test_every_line_of_the_log_is_json_when_nobody_looks(house, seen):
    house.exchange("GET", "/bearer/x")
    for line in house.log_lines():
        assert isinstance(json.loads(line), dict)


def test_what_a_caller_sends_cannot_forge_a_line(house, seen):
    """The path is the caller's: quotes and escapes in it stay inside their value."""
    response = house.exchange("GET", "/bearer/a%22%C2%85'b&c")
    line = json.loads(line_of(house, response.value("X-Request-Id")))
    assert line["route"] == "bearer"


def test_a_terminal_gets_text(build, upstream):
    """`auto`: a person reads it."""
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}})
    reader, terminal = pty.openpty()
    written = bytearray()

    def read():
        try:
            while block := os.read(reader, 65536):
                written.extend(block)
        except OSError:
            pass

    threading.Thread(target=read, daemon=True).start()
    try:
        house.start(stdio=terminal)
        os.close(terminal)
        with upstream.answering():
            response = house.exchange("GET", "/shared/some/path")
        assert response.status == 200
        line = until(lambda: next((line for line in bytes(written).splitlines() if b"/some/path" in line), None), "the line")
        assert not line.lstrip().startswith(b"{")
        for part in b"GET", b"shared", b"200":
            assert part in line
        house.stop()
    finally:
        house.remove()


@pytest.mark.parametrize("format", ["text", "json"])
def test_the_format_can_be_fixed(build, upstream, format):
    with build({"shared": {"connector": "bearer", "upstream": upstream.origin}}, log={"format": format}) as house:
        with upstream.answering():
            house.exchange("GET", "/shared/x")
        line = until(lambda: next((line for line in house.log_lines() if "/x" in line), None), "the line")
        assert line.startswith("{") == (format == "json")


def fill(pipe):
    """Writes into a pipe until it takes no more."""
    try:
        while True:
            os.write(pipe, b"x" * 4096)
    except BlockingIOError:
        pass


def empty(pipe):
    """All that is in a pipe."""
    found = bytearray()
    try:
        while True:
            found += os.read(pipe, 65536)
    except BlockingIOError:
        return found


@pytest.fixture
def clogged():
    """A pipe that is full: our end to read, the end for a daemon, and our end to write, which does not wait."""
    reader, theirs = os.pipe()
    writer = os.open(f"/proc/self/fd/{theirs}", os.O_WRONLY | os.O_NONBLOCK)
    os.set_blocking(reader, False)
    fill(writer)
    yield reader, theirs, writer
    for descriptor in reader, theirs, writer:
        os.close(descriptor)


def test_a_log_that_nobody_reads_stops_nothing(build, upstream, clogged):
    """Lines are lost, and how many is said when there is room again."""
    reader, theirs, writer = clogged
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}})
    written = bytearray()

    def is_told():
        assert house.exchange("GET", "/shared/kept").status == 200
        written.extend(empty(reader))
        return b"/kept" in written and b"dropped" in written

    try:
        house.start(stdio=theirs)
        with upstream.answering():
            for number in range(20):
                with Wire(house.address, deadline=5) as wire:
                    assert wire.exchange("GET", f"/shared/lost-{number}").status == 200
            empty(reader)
            until(is_told, "lines, and how many are missing")
        assert b"/lost-0" not in written
        fill(writer)
        house.signal(signal.SIGTERM)
        assert house.wait(5) == 0
    finally:
        house.remove()


def test_a_log_that_is_read_too_slowly_stops_nothing(build, upstream, clogged):
    """Room for one page and no more: it is not enough for what was lost and what is new."""
    reader, theirs, writer = clogged
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}}, loops=1)
    try:
        house.start(stdio=theirs)
        empty(reader)
        path = "/nowhere/" + "x" * 1500
        house.exchange("GET", path)
        until(house.rests, "the line to be written")
        line = next(line for line in empty(reader).splitlines(keepends=True) if path.encode() in line)
        path += "x" * (2044 - len(line))  # so that two lines are just less than a page
        fill(writer)
        with Wire(house.address, deadline=5) as wire:
            wire.exchange("GET", "/-/livez")
            until(house.rests, "a line to be lost")
            assert len(os.read(reader, 4096)) == 4096
            wire.send(f"GET {path} HTTP/1.1\r\nHost: {wire.host}\r\n\r\n".encode() * 2)
            for _ in range(2):
                assert wire.response().status == 404
            assert wire.exchange("GET", "/-/livez").status == 200
        house.stop()
    finally:
        house.remove()


def test_the_status_verb_tells_how_it_goes(house):
    done = house.run_well("status")
    assert str(house.pid) in done.out
    told = json.loads(house.run_well("status", "--json").out)
    assert told


def test_the_healthcheck_verb(house, build, upstream):
    assert house.run("healthcheck").returncode == 0
    stopped = build({"shared": {"connector": "bearer", "upstream": upstream.origin}})
    try:
        assert stopped.run("healthcheck").returncode == 69
    finally:
        stopped.remove()
