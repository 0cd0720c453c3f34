"""What is installed, what runs in the image, and that the README points at things that are there."""

import re
import shutil
import subprocess

import pytest

from harness import DEADLINE
from harness.daemon import BIN, TOP

released = pytest.mark.skipif(BIN != str(TOP / ".build/release/chatelaine"), reason="needs the release build")
# What the image's base and the packages that the Dockerfile names bring along.
IN_THE_IMAGE = {"libssl.so.3", "libcrypto.so.3", "libsqlite3.so.0", "libc.so.6", "libm.so.6", "libgcc_s.so.1", "libstdc++.so.6",
                "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}


@released
def test_make_install_puts_everything_below_destdir(tmp_path):
    subprocess.run(["make", "install", f"DESTDIR={tmp_path}", "PREFIX=/usr"], cwd=TOP, check=True, capture_output=True,
                   timeout=DEADLINE)
    installed = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert installed == ["etc/chatelaine/chatelaine.example.jsonc", "usr/bin/chatelaine",
                         "usr/lib/systemd/system/chatelaine.service"]
    assert subprocess.run([tmp_path / "usr/bin/chatelaine", "version"], timeout=DEADLINE).returncode == 0
    unit = (tmp_path / "usr/lib/systemd/system/chatelaine.service").read_text()
    assert re.findall(r"^Exec\w+=(\S+)", unit, re.MULTILINE) == ["/usr/bin/chatelaine"] * 2


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_unit_is_one_that_systemd_understands(tmp_path):
    unit = tmp_path / "chatelaine.service"
    unit.write_text((TOP / "systemd/chatelaine.service").read_text().replace("/usr/local/bin/chatelaine", BIN))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, timeout=DEADLINE)
    assert not [line for line in done.stderr.splitlines() if "chatelaine.service" in line], done.stderr
    assert "SWIFT_BACKTRACE=enable=no" in unit.read_text()


@released
def test_the_binary_needs_only_what_the_image_has():
    needed = subprocess.run(["readelf", "--dynamic", BIN], capture_output=True, text=True, check=True).stdout
    libraries = set(re.findall(r"\(NEEDED\).*\[(.+)\]", needed))
    assert libraries and libraries <= IN_THE_IMAGE, f"not in the image: {libraries - IN_THE_IMAGE}"


def test_what_the_readme_names_is_there():
    text = (TOP / "README.md").read_text()
    table = text[text.index("## Where does X live?"):text.index("## Working on it")]
    named = [name for name in re.findall(r"`([^`]+)`", table) if "*" not in name]
    folder = None
    for name in named:
        path = TOP / name if "/" in name or (TOP / name).exists() else folder / name
        assert path.exists(), f"README names {name}"
        folder = path if path.is_dir() else path.parent
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("https:")]
    for link in links:
        assert (TOP / link).exists(), f"README links {link}"
    targets = set(re.findall(r"^([a-z0-9-]+):", (TOP / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z0-9-]+)", text)) <= targets
