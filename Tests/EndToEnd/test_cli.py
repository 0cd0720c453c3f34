"""The command line as a person or a script meets it: results on stdout, messages on stderr, statuses of sysexits (DESIGN §8)."""

import json
import os
import pty
import re
import signal
import stat
import subprocess
import sys
import termios

import pytest

from harness import DEADLINE
from harness.daemon import BIN, TOP, chatelaine
from harness.waiting import until
from secrets_used import SECRETS

OK, USAGE, DATA, UNAVAILABLE, IO, PERMISSION, CONFIGURATION = 0, 64, 65, 69, 74, 77, 78


@pytest.fixture
def place(build, upstream):
    """A house that does not run."""
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}})
    yield house
    house.remove()


@pytest.mark.parametrize("arguments, status", [
    (["version"], OK), (["help"], OK), (["--help"], OK), (["--version"], OK),
    ([], USAGE), (["nonsense"], USAGE), (["serve", "nonsense"], USAGE), (["serve", "--nonsense"], USAGE),
    (["secret"], USAGE), (["secret", "nonsense"], USAGE), (["secret", "set"], USAGE), (["explain", "only-a-route"], USAGE),
    (["key"], USAGE), (["key", "generate"], USAGE), (["check", "--config"], USAGE),
    (["check", "--config", "/no/such/file"], CONFIGURATION), (["serve", "--config", "/no/such/file"], CONFIGURATION),
], ids=lambda value: " ".join(value) or "(none)" if isinstance(value, list) else None)
def test_exit_statuses(arguments, status):
    done = chatelaine(*arguments)
    assert done.returncode == status, done.err
    if status == OK:
        assert done.out and not done.err
    else:
        assert done.err and not done.out, "a message is no result"
        assert done.err.count("\n") <= 12, "a mistake is answered shortly"


@pytest.mark.parametrize("verb", ["serve", "demo", "init", "check", "explain", "key", "secret", "status", "reload",
                                  "healthcheck", "version", "help"])
def test_each_verb_is_in_the_help_and_has_its_own(verb):
    assert re.search(rf"^\s+{verb}\b", chatelaine("help").out, re.MULTILINE)
    done = chatelaine("help", verb)
    assert done.returncode == OK
    assert f"chatelaine {verb}" in done.out
    assert chatelaine(verb, "--help").out == done.out


def test_a_misspelt_verb_gets_a_suggestion():
    assert 'did you mean "secret"' in chatelaine("secrte").err


def test_the_version_is_one_line():
    assert re.fullmatch(r"chatelaine \d+\.\d+\.\d+\S*\n", chatelaine("version").out)


def test_a_full_disk_or_a_closed_pipe_is_not_success():
    with open("/dev/full", "wb") as full:
        done = subprocess.run([BIN, "help"], stdout=full, stderr=subprocess.PIPE, timeout=DEADLINE)
    assert done.returncode == IO


# check


def test_check_is_silent_about_secrets_and_content_with_a_good_configuration(place):
    assert place.run("check").returncode == OK


def test_check_reports_every_mistake_with_its_place(place):
    place.write("""{
  "version": 1,
  "listen": [ { "tcp": "127.0.0.1:99999" } ],
  "routes": {
    "a": { "conector": "bearer", "upstream": "https://api.example.com" },
    "b": { "connector": "bearrer", "upstream": "http://api.example.com", "timeouts": { "connect": "5 parsecs" } },
  },
}
""")
    done = place.run("check")
    assert done.returncode == CONFIGURATION
    for line in 3, 5, 6:
        assert re.search(rf"^{re.escape(str(place.config))}:{line}:\d+: error: ", done.err, re.MULTILINE), done.err
    assert 'did you mean "connector"?' in done.err
    assert 'did you mean "bearer"?' in done.err
    assert re.search(r"^\s*\^", done.err, re.MULTILINE), "a caret"
    assert done.err.count("error: ") >= 4, "every mistake at once"


def test_check_connect_tries_each_route(place, upstream):
    place.settings["routes"]["dead"] = {**place.settings["routes"]["shared"], "upstream": "https://127.0.0.1:1",
                                        "secrets": {"token": "shared/token"}}
    place.write()
    assert place.run("check").returncode == OK, "offline, nothing is tried"
    with upstream.answering() as seen:
        done = place.run("check", "--connect")
        seen.none()
    assert done.returncode == UNAVAILABLE
    assert "dead" in done.out + done.err
    del place.settings["routes"]["dead"]
    place.write()
    assert place.run("check", "--connect").returncode == OK


@pytest.mark.parametrize("key, value", [("callers", {"billing": {"uid": 1001}}), ("allow", [{"methods": ["GET"]}])])
def test_rules_for_several_callers_are_refused_by_name(place, key, value):
    """Not in this version: nobody may believe that a rule holds that is not looked at."""
    if key == "allow":
        place.settings["routes"]["shared"]["allow"] = value
    else:
        place.settings["callers"] = value
    place.write()
    done = place.run("check")
    assert done.returncode == CONFIGURATION
    assert f'"{key}"' in done.err
    assert "version" in done.err


def test_the_configuration_is_found_where_the_design_says(place, tmp_path):
    assert chatelaine("check", env={"CHATELAINE_CONFIG": str(place.config)}).returncode == OK
    (tmp_path / "chatelaine").mkdir()
    (tmp_path / "chatelaine" / "chatelaine.jsonc").write_bytes(place.config.read_bytes())
    assert chatelaine("check", env={"XDG_CONFIG_HOME": str(tmp_path)}).returncode == OK
    assert chatelaine("check", "--config", place.config, env={"CHATELAINE_CONFIG": "/no/such/file"}).returncode == OK


# key


def test_a_generated_key_is_the_owners_to_read_and_never_overwritten(tmp_path):
    file = tmp_path / "master.key"
    assert chatelaine("key", "generate", file).returncode == OK
    assert stat.S_IMODE(file.stat().st_mode) == 0o400
    before = file.read_bytes()
    done = chatelaine("key", "generate", file)
    assert done.returncode != OK
    assert "exists" in done.err
    assert file.read_bytes() == before
    other = tmp_path / "other.key"
    chatelaine("key", "generate", other)
    assert other.read_bytes() != before


def test_a_key_that_cannot_be_written_is_an_io_error(tmp_path):
    assert chatelaine("key", "generate", tmp_path / "no" / "such" / "directory").returncode in (IO, 73)


def test_what_may_not_be_written_is_a_permission():
    demoted = {"user": 65534, "group": 65534} if os.geteuid() == 0 else {}
    done = chatelaine("key", "generate", "/usr/master.key", **demoted)
    assert done.returncode == PERMISSION, done.err


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_descriptor_that_is_missing_is_not_taken_by_a_file(tmp_path, closed):
    """Without descriptor 2 a message would land in the key that is written."""
    key = tmp_path / "master.key"
    done = subprocess.run(["sh", "-c", f'exec {closed}>&-; exec "$0" key generate "$1"', BIN, key], capture_output=True,
                          timeout=DEADLINE)
    assert done.returncode == OK
    assert re.fullmatch(r"chatelaine-master-key-1:[\w-]{43}:[0-9a-f]{8}\n", key.read_text())


# secret


def test_a_secret_comes_from_stdin_or_a_file_and_never_back(place, tmp_path):
    file = tmp_path / "value"
    file.write_text("from-a-file-77")
    place.run_well("secret", "set", "mine/one", input="from-stdin-66")
    place.run_well("secret", "set", "mine/two", "--from-file", file)
    listed = place.run_well("secret", "list").out
    assert "mine/one" in listed and "mine/two" in listed
    names = json.dumps(json.loads(place.run_well("secret", "list", "--json").out))
    assert '"mine/one"' in names
    for value in "from-stdin-66", "from-a-file-77":
        assert value not in listed + names
    place.run_well("secret", "rm", "mine/one")
    assert "mine/one" not in place.run_well("secret", "list").out


def test_a_line_feed_at_the_end_of_stdin_is_not_part_of_the_secret(place, upstream):
    """`echo value | chatelaine secret set …` is what people type."""
    place.run_well("secret", "set", "shared/token", input="typed-with-echo\n")
    with place, upstream.answering() as seen:
        place.exchange("GET", "/shared/x")
        assert seen.only().value("Authorization") == "Bearer typed-with-echo"


class Prompted:
    """`secret set` at a terminal, up to its prompt."""

    def __init__(self, place):
        self.reader, self.terminal = pty.openpty()
        self.before = termios.tcgetattr(self.terminal)
        self.process = subprocess.Popen(
            [BIN, "--config", str(place.config), "secret", "set", "mine/typed"], stdin=self.terminal, stdout=self.terminal,
            stderr=self.terminal, start_new_session=True,
        )
        self.shown = bytearray()
        until(self.has_prompt, "a prompt")
        assert not termios.tcgetattr(self.terminal)[3] & termios.ECHO

    def has_prompt(self):
        self.shown.extend(os.read(self.reader, 4096))
        return b"gives up): " in self.shown

    def end(self):
        """The exit status, when the terminal is as it was."""
        status = self.process.wait(DEADLINE)
        assert termios.tcgetattr(self.terminal) == self.before
        os.close(self.terminal)
        try:
            while block := os.read(self.reader, 4096):
                self.shown.extend(block)
        except OSError:
            pass
        os.close(self.reader)
        return status


def test_a_secret_is_prompted_for_without_echo(place):
    prompted = Prompted(place)
    os.write(prompted.reader, b"typed-secret-88\n")
    assert prompted.end() == OK, prompted.shown
    assert b"typed-secret-88" not in prompted.shown
    assert "mine/typed" in place.run_well("secret", "list").out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_at_the_prompt_leaves_the_terminal_as_it_was(place, number):
    prompted = Prompted(place)
    prompted.process.send_signal(number)
    assert prompted.end() == -number
    assert "mine/typed" not in place.run_well("secret", "list").out


def test_a_paste_of_several_lines_is_refused_and_not_cut(place):
    prompted = Prompted(place)
    os.write(prompted.reader, b"-----BEGIN-----\nMIIE\n-----END-----\n")
    assert prompted.end() == DATA
    assert b"--from-file" in prompted.shown
    assert "mine/typed" not in place.run_well("secret", "list").out


def test_backspace_takes_a_whole_character(place):
    prompted = Prompted(place)
    os.write(prompted.reader, "ab\u20ac\x7f\x7fc\n".encode())
    assert prompted.end() == OK
    assert b"2 bytes" in prompted.shown


def test_a_daemon_of_another_user_is_told_nothing(place):
    """Only root can be two users here."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    place.home.chmod(0o777)
    code = ("import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen();"
            "print(flush=True); c, _ = s.accept(); print(len(c.recv(100)), flush=True)")
    other = subprocess.Popen([sys.executable, "-c", code, str(place.admin)], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "\n"
    done = place.run("secret", "set", "mine/x", input="value")
    assert done.returncode == PERMISSION, done.err
    assert other.stdout.readline() == "0\n", "nothing was sent"
    other.wait(DEADLINE)


def test_a_daemon_with_another_store_is_not_asked(house, place):
    place.settings["admin"] = house.settings["admin"]
    place.write()
    key = place.key.read_bytes()
    for arguments in ["secret", "set", "mine/x"], ["key", "rotate"], ["secret", "list"]:
        done = place.run(*arguments, input="value")
        assert done.returncode == CONFIGURATION, done.err
        assert str(place.store) in done.err and str(house.store) in done.err
    assert place.key.read_bytes() == key and not place.key.with_name("master.key.new").exists()
    assert "mine/x" not in house.run_well("secret", "list").out


@pytest.mark.parametrize("arguments, input, status", [
    (["secret", "rm", "no/such"], None, DATA),
    (["secret", "set", "mine/x"], "", DATA),
    (["secret", "set", "not a name"], "x", USAGE),
    (["secret", "set", "mine/x", "a-value-as-argument"], None, USAGE),
    (["secret", "set", "mine/x", "--from-file", "/no/such/file"], None, IO),
    (["explain", "nowhere", "GET", "/x"], None, CONFIGURATION),
    (["explain", "shared", "GET", "x"], None, USAGE),
    (["reload"], None, UNAVAILABLE), (["status"], None, UNAVAILABLE), (["healthcheck"], None, UNAVAILABLE),
], ids=lambda value: " ".join(value) if isinstance(value, list) else None)
def test_what_cannot_be_done_has_its_status(place, arguments, input, status):
    done = place.run(*arguments, input=input)
    assert done.returncode == status, done.err
    assert done.err and not done.out


def test_while_the_daemon_runs_the_command_line_asks_it(house):
    """It alone has the store open; the same verbs go through the admin socket."""
    house.run_well("secret", "set", "cli/through-the-daemon", input="value")
    assert "cli/through-the-daemon" in house.run_well("secret", "list").out
    house.run_well("secret", "rm", "cli/through-the-daemon")
    assert "cli/through-the-daemon" not in house.run_well("secret", "list").out
    assert house.run("secret", "rm", "cli/through-the-daemon").returncode == DATA


def test_explain_works_without_a_daemon_and_without_a_network(place):
    done = place.run_well("explain", "shared", "GET", "/x")
    assert "Authorization" in done.out and "•••" in done.out
    assert SECRETS["shared/token"] not in done.out


def test_explain_of_a_missing_secret_says_which(place):
    place.run_well("secret", "rm", "shared/token")
    done = place.run("explain", "shared", "GET", "/x")
    assert done.returncode == CONFIGURATION or "shared/token" in done.out
    assert "chatelaine secret set shared/token" in done.out + done.err


def test_explain_that_fails_shows_how_far_it_went(place):
    """Here: a token with a line feed in it is no header's value."""
    place.run_well("secret", "set", "shared/token", input="two\nlines")
    done = place.run("explain", "shared", "GET", "/x")
    assert done.returncode == DATA, done.err
    assert "GET" in done.out and "/x" in done.out
    told = place.run("explain", "shared", "GET", "/x", "--json")
    assert told.returncode == DATA
    assert json.loads(told.out)["error"] in told.err


# init


def test_init_makes_everything_and_its_two_commands_work(tmp_path):
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_STATE_HOME": str(tmp_path / "state"),
            "XDG_DATA_HOME": str(tmp_path / "data"), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    for directory in "config", "state", "data", "run":
        (tmp_path / directory).mkdir(mode=0o700)
    config = tmp_path / "config" / "chatelaine" / "chatelaine.jsonc"
    done = chatelaine("init", "--config", config, env=home)
    assert done.returncode == OK, done.err
    assert config.exists() and "//" in config.read_text(), "a commented configuration"
    commands = [line.strip().removeprefix("$ ") for line in done.out.splitlines() if re.match(r"\s+(\$ )?chatelaine ", line)]
    assert len(commands) == 2, done.out
    assert chatelaine("check", "--config", config, env=home).returncode == OK

    assert "secret set" in commands[0] and "serve" in commands[1], commands
    told = subprocess.run(["bash", "-c", commands[0].replace("chatelaine", BIN, 1)], input=b"a-value", capture_output=True,
                          env={**os.environ, **home}, timeout=DEADLINE)
    assert told.returncode == 0, told.stderr
    listed = chatelaine("secret", "list", "--config", config, env=home).out
    assert commands[0].split("secret set ")[1].split()[0] in listed

    assert not [file for file in config.parent.iterdir() if file.suffix == ".new"]

    # A second time nothing is overwritten.
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    again = chatelaine("init", "--config", config, env=home)
    assert again.returncode != OK
    assert str(config) in again.err
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_the_example_configuration_is_valid_as_it_is_but_for_its_places(tmp_path):
    """What `make install` puts beside the real one: every complaint about it is about a file, not about the text."""
    done = chatelaine("check", "--config", TOP / "config" / "chatelaine.jsonc")
    assert not re.search(r"chatelaine\.jsonc:\d+:\d+: error", done.err), done.err
