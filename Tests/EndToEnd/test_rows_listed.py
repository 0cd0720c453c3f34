"""Every row of HTTP.md has a test that carries its number and drives the daemon."""

import pathlib
import re
import subprocess
import sys

# The rules are numbered through; HTTP.md is not in the repository. None is the parsers' alone: what they decide shows on the
# wire, too.
ROWS = set(range(1, 135))


def test_every_row_is_driven_through_the_daemon():
    """By the names that pytest itself collects here."""
    here = pathlib.Path(__file__).parent
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", str(here)], capture_output=True, text=True, cwd=here)
    assert listed.returncode == 0, listed.stdout[-2000:] + listed.stderr[-2000:]
    names = [line for line in listed.stdout.splitlines() if "::" in line]
    found = {int(number) for name in names for part in re.findall(r"row_\d{3}(?:_and_\d{3})*", name)
             for number in re.findall(r"\d{3}", part)}
    assert found - {0} == ROWS
