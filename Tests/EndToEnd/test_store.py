"""The store on disk: damage is refused by its own name, and what was acknowledged survives `kill -9`."""

import hashlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import time

import pytest

from harness.daemon import BIN, House

DATA, UNAVAILABLE, PERMISSION, CONFIGURATION = 65, 69, 77, 78


@pytest.fixture
def place(build, upstream):
    """A house that does not run, with a store of two secrets and more."""
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}})
    yield house
    house.remove()


def settle(place):
    """Folds the write-ahead log into the file, so that damaging the file is damaging the store."""
    with sqlite3.connect(place.store) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def another_key(place):
    place.key.unlink()
    place.run_well("key", "generate", place.key)


def malformed_key(place):
    place.key.unlink()
    place.key.write_text("not a key\n")
    place.key.chmod(0o400)


def missing_key(place):
    place.key.unlink()


def readable_key(place):
    place.key.chmod(0o444)


def truncated(place):
    settle(place)
    with open(place.store, "r+b") as file:
        file.truncate(place.store.stat().st_size // 2)


def emptied(place):
    settle(place)
    with open(place.store, "r+b") as file:
        file.truncate(0)


def text_file(place):
    settle(place)
    place.store.write_text("this is somebody's diary\n" * 100)


def foreign_database(place):
    settle(place)
    place.store.unlink()
    with sqlite3.connect(place.store) as database:
        database.execute("CREATE TABLE diary (day TEXT, entry TEXT)")
        database.execute("INSERT INTO diary VALUES ('monday', 'rain')")
    database.close()
    place.store.chmod(0o600)


def flipped_bits(place):
    """One bit of each sealed value."""
    with sqlite3.connect(place.store) as database:
        table, columns = sealed(database)
        for row, *blobs in database.execute(f"SELECT rowid, {', '.join(columns)} FROM {table}").fetchall():
            for column, blob in zip(columns, blobs):
                if len(blob) >= 64:
                    changed = bytes([*blob[:-1], blob[-1] ^ 1])
                    database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (changed, row))
    database.close()


def swapped_rows(place):
    """Two secrets change places: their sealed values, and all that is needed to open them. One of them is in use."""
    with sqlite3.connect(place.store) as database:
        table, columns = sealed(database)
        rows = database.execute(
            f"SELECT rowid, {', '.join(columns)} FROM {table} WHERE name IN ('shared/token', 'bearer/token')").fetchall()
        assert len(rows) == 2 and rows[0][1:] != rows[1][1:]
        sets = ", ".join(f"{column} = ?" for column in columns)
        for (row, *_), (_, *blobs) in (rows[0], rows[1]), (rows[1], rows[0]):
            database.execute(f"UPDATE {table} SET {sets} WHERE rowid = ?", (*blobs, row))
    database.close()


def newer_schema(place):
    with sqlite3.connect(place.store) as database:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        assert version >= 1
        database.execute(f"PRAGMA user_version = {version + 1}")
    database.close()


def open_to_all(place):
    place.store.chmod(0o666)


def missing_store(place):
    """As a disk that was not mounted or a careless hand leaves it: only the lock file remains."""
    for file in place.store.parent.glob("store.db*"):
        if not file.name.endswith(".lock"):
            file.unlink()


def no_store(place):
    missing_store(place)
    (place.store.parent / "store.db.lock").unlink()


def sealed(database):
    """The table of the secrets' sealed values, and its columns that hold bytes."""
    for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        if "secret" in table or "version" in table:
            columns = [name for _, name, kind, *_ in database.execute(f"PRAGMA table_info({table})") if kind == "BLOB"]
            if columns and database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] >= 2:
                return table, columns
    raise AssertionError("no table of sealed values")


# What is damaged, and the exit status.
DAMAGES = {
    another_key: CONFIGURATION, missing_key: CONFIGURATION, missing_store: CONFIGURATION,
    readable_key: PERMISSION, open_to_all: PERMISSION,
    malformed_key: DATA, truncated: DATA, emptied: DATA, text_file: DATA, foreign_database: DATA, flipped_bits: DATA,
    swapped_rows: DATA, newer_schema: DATA,
}


def fingerprint(place):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted([place.key, *place.store.parent.glob("store.db")]) if file.exists()}


def refusal(place):
    """What `serve` says when it does not start: status and message."""
    place.start(wait=False)
    status = place.wait()
    return status, place.log()


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_store_is_refused_and_left_as_it_is(place, damage):
    damage(place)
    before = fingerprint(place)
    status, message = refusal(place)
    assert status == DAMAGES[damage], message
    assert any(name in message for name in (str(place.store), str(place.key), "shared/token")), "it says what is damaged"
    assert place.run("secret", "set", "mine/new", input="x").returncode == DAMAGES[damage]
    assert fingerprint(place) == before, "nothing is overwritten, repaired or started empty"


def test_each_damage_has_its_own_message(build, upstream):
    messages = {}
    for damage in DAMAGES:
        place = build({"shared": {"connector": "bearer", "upstream": upstream.origin}})
        try:
            damage(place)
            _, message = refusal(place)
            messages[damage.__name__] = re.sub(r"/\S+|\d+", "…", message)
        finally:
            place.remove()
    # An empty file and half of one may be told alike, and so may a row that was changed and one that was swapped: what
    # authenticates them gives one answer. Every other pair is told apart.
    for alike in "emptied", "flipped_bits":
        del messages[alike]
    assert len(set(messages.values())) == len(messages), messages


def test_an_undamaged_store_opens(place, upstream):
    """The control: what was refused above opens when nothing was done to it."""
    with place, upstream.answering():
        assert place.exchange("GET", "/shared/x").status == 200


def test_the_store_and_its_company_are_the_owners_alone(place):
    with place:
        for file in place.store.parent.glob("store.db*"):
            assert file.stat().st_mode & 0o077 == 0, file


def test_a_second_daemon_on_the_same_store_is_told_so(house, build, upstream):
    other = build({"shared": {"connector": "bearer", "upstream": upstream.origin}})
    other.settings["store"] = house.settings["store"]
    other.write()
    try:
        status, message = refusal(other)
        assert status == UNAVAILABLE
        assert str(house.store) in message
        # The command line of the other configuration cannot reach the daemon that has the store, and says so.
        assert other.run("secret", "list").returncode == UNAVAILABLE
    finally:
        other.remove()
    assert house.exchange("GET", "/-/readyz").status == 200


def test_a_rotated_master_key_opens_what_the_old_one_did(place, upstream):
    old = place.home / "old.key"
    shutil.copy2(place.key, old)
    done = place.run("key", "rotate")
    assert done.returncode == 0, done.err
    assert place.key.read_bytes() != old.read_bytes()
    place.start()
    with upstream.answering():
        assert place.exchange("GET", "/shared/x").status == 200
    place.stop()
    shutil.copy2(old, place.key.with_suffix(".tmp"))
    place.key.with_suffix(".tmp").replace(place.key)
    assert refusal(place)[0] == CONFIGURATION


def test_a_rotation_while_the_daemon_runs_disturbs_nobody(place, upstream):
    place.start()
    with upstream.answering():
        for _ in range(3):
            place.run_well("key", "rotate")
            assert place.exchange("GET", "/shared/x").status == 200
        place.stop()
        place.start()
        assert place.exchange("GET", "/shared/x").status == 200
    place.stop()


def test_a_rotation_that_is_killed_leaves_a_store_that_opens(place):
    """At any moment of it: the key file and the store belong together, or the next command finishes what was begun."""
    random.seed(4)
    before = place.run_well("secret", "list").out
    killed = 0
    for _ in range(40):
        process = subprocess.Popen([BIN, "--config", str(place.config), "key", "rotate"], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(random.uniform(0, 0.03))
        except subprocess.TimeoutExpired:
            process.kill()
            killed += 1
            process.wait()
        assert place.run_well("secret", "list").out == before
        place.run_well("explain", "shared", "GET", "/x")
    assert killed > 5


def test_the_key_may_come_from_a_credential_or_a_passphrase(upstream, safe):
    place = House({"shared": {"connector": "bearer", "upstream": upstream.origin}}, store=safe)
    try:
        # A systemd credential: a file in the directory that the service manager names.
        credentials = place.home / "credentials"
        credentials.mkdir(mode=0o700)
        shutil.copy2(place.key, credentials / "master")
        place.settings["store"]["key"] = {"credential": "master"}
        place.write()
        environment = {"CREDENTIALS_DIRECTORY": str(credentials)}
        assert "shared/token" in place.run_well("secret", "list", env=environment).out
        assert place.run("secret", "list").returncode != 0, "without the directory there is no key"
        # A passphrase makes a store of its own.
        no_store(place)
        passphrase = place.home / "passphrase"
        passphrase.write_text("correct horse battery staple\n")
        passphrase.chmod(0o400)
        place.settings["store"]["key"] = {"passphrase_file": str(passphrase)}
        place.write()
        place.run_well("init")
        place.run_well("secret", "set", "mine/one", input="value")
        assert "mine/one" in place.run_well("secret", "list").out
        passphrase.unlink()
        passphrase.write_text("an entirely wrong horse\n")
        passphrase.chmod(0o400)
        assert place.run("secret", "list").returncode == CONFIGURATION
    finally:
        place.remove()


def test_the_first_secret_makes_the_store_and_a_lost_one_is_not_made_anew(place):
    no_store(place)
    assert "made" in place.run_well("secret", "set", "first/one", input="value").err
    assert "first/one" in place.run_well("secret", "list").out
    # The lock file stays behind: where it is and the store is not, something was lost.
    place.store.unlink()
    refused = place.run("secret", "set", "second/one", input="value")
    assert refused.returncode == CONFIGURATION and "no store" in refused.err
    assert not place.store.exists()


def test_init_replaces_neither_a_lost_key_nor_a_lost_store(place):
    missing_key(place)
    refused = place.run("init")
    assert refused.returncode == CONFIGURATION and "restore the key" in refused.err
    assert not place.key.exists()
    place.run_well("key", "generate", place.key)
    missing_store(place)
    refused = place.run("init")
    assert refused.returncode == CONFIGURATION and "no store" in refused.err
    assert not place.store.exists()


def test_after_a_clean_stop_the_file_alone_is_the_whole_store(place, build, upstream):
    place.start()
    place.run_well("secret", "set", "late/one", input="value")
    place.stop()
    log = place.store.with_name("store.db-wal")
    assert not log.exists() or not log.stat().st_size
    copy = build({"shared": {"connector": "bearer", "upstream": upstream.origin}})
    try:
        missing_store(copy)
        shutil.copy2(place.store, copy.store)
        shutil.copy2(place.key, copy.key.with_suffix(".tmp"))
        copy.key.with_suffix(".tmp").replace(copy.key)
        assert "late/one" in copy.run_well("secret", "list").out
    finally:
        copy.remove()


def test_after_a_rotation_to_another_file_the_configuration_follows_without_a_restart(place, tmp_path):
    other = tmp_path / "other.key"
    place.run_well("key", "generate", other)
    with place:
        place.settings["store"]["key"] = {"file": str(other)}
        place.write()
        refused = place.run("reload")
        assert refused.returncode == CONFIGURATION and "does not open" in refused.err
        place.run_well("key", "rotate", "--file", other)
        place.run_well("reload")
        place.stop()
        place.start()


def test_a_passphrase_from_a_pipe_is_read_once(place, tmp_path):
    no_store(place)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    place.settings["store"]["key"] = {"passphrase_file": str(pipe)}
    place.write()
    writer = subprocess.Popen(["sh", "-c", f"echo four random words here > {pipe}"])
    place.run_well("secret", "set", "first/one", input="value")
    writer.wait()


def test_a_pipe_in_a_keys_place_is_refused_and_not_waited_for(place):
    place.key.unlink()
    os.mkfifo(place.key, 0o400)
    assert place.run("secret", "list").returncode == PERMISSION


def test_two_rotations_at_once_leave_a_store_that_opens(place, upstream):
    place.start()
    for _ in range(5):
        rotations = [subprocess.Popen([BIN, "--config", str(place.config), "key", "rotate"], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(3)]
        told = [rotation.communicate()[1].decode() for rotation in rotations]
        statuses = [rotation.returncode for rotation in rotations]
        assert 0 in statuses and set(statuses) <= {0, UNAVAILABLE}, told
    place.stop()
    place.start()
    with upstream.answering():
        assert place.exchange("GET", "/shared/x").status == 200
    place.stop()


# kill -9

WRITES = 200


def written(place, number):
    """Starts one write; its name and value belong to its number."""
    process = subprocess.Popen(
        [BIN, "--config", str(place.config), "secret", "set", f"crash/{number}"], stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )
    process.stdin.write(value(number))
    process.stdin.close()
    return process


def value(number):
    return b"value-of-%d-%s" % (number, hashlib.sha256(b"%d" % number).hexdigest().encode())


def all_there(place, acknowledged, build, upstream):
    """Every acknowledged secret is listed and has its own value, as an upstream sees it."""
    listed = {entry["name"] for entry in json.loads(place.run_well("secret", "list", "--json").out)}
    missing = [number for number in acknowledged if f"crash/{number}" not in listed]
    assert not missing, f"acknowledged and lost: {missing}"
    place.settings["routes"] = {
        f"part-{start}": {
            **place.settings["routes"]["shared"], "secrets": {"token": "shared/token"},
            "headers": {f"X-Crash-{number}": {"secret": f"crash/{number}"} for number in acknowledged[start:start + 60]},
        }
        for start in range(0, len(acknowledged), 60)
    }
    place.write()
    seen_values = {}
    with place, upstream.answering() as seen:
        for route in place.settings["routes"]:
            assert place.exchange("GET", f"/{route}/x").status == 200
        for exchange in seen.all:
            seen_values.update({name.decode(): got for name, got in exchange.fields if name.startswith(b"X-Crash-")})
    assert seen_values == {f"X-Crash-{number}": value(number) for number in acknowledged}


def test_kill_9_of_the_writer_loses_no_acknowledged_secret(place, build, upstream):
    random.seed(2)
    begun = time.monotonic()
    written(place, 0).wait()
    usual = time.monotonic() - begun
    acknowledged = [0]
    killed = 0
    for number in range(1, WRITES):
        process = written(place, number)
        if number % 2:
            # Anywhere in its life, from before it opened the store to after its answer.
            try:
                process.wait(random.uniform(0, 1.2 * usual))
            except subprocess.TimeoutExpired:
                process.kill()
                killed += 1
        if process.wait() == 0:
            acknowledged.append(number)
        process.stderr.close()
    assert killed > WRITES / 10, "the test has to kill"
    assert len(acknowledged) > WRITES / 4
    all_there(place, acknowledged, build, upstream)


def test_kill_9_of_the_daemon_loses_no_acknowledged_secret(place, build, upstream):
    """The same through the admin socket: each round kills the daemon while a write is on its way."""
    random.seed(3)
    acknowledged, number = [], 1000
    for _ in range(8):
        place.start()
        for last in [False] * 5 + [True]:
            number += 1
            process = written(place, number)
            if last:
                try:
                    process.wait(random.uniform(0, 0.02))
                except subprocess.TimeoutExpired:
                    pass
                place.signal(signal.SIGKILL)
                place.wait()
            if process.wait() == 0:
                acknowledged.append(number)
            process.stderr.close()
    assert len(acknowledged) >= 40
    all_there(place, acknowledged, build, upstream)
