"""The rule for skips, tried on a suite of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """
import pytest
def test_missing(): pytest.skip("redis-server is missing")
@pytest.fixture
def server(): pytest.skip("no browser")
def test_missing_in_a_fixture(server): pass
@pytest.mark.skipif(True, reason="no font")
def test_missing_by_mark(): pass
def test_left_out(): pytest.skip("by design: no object store is named")
@pytest.mark.xfail(reason="known")
def test_expected(): assert False
"""


@pytest.mark.parametrize(
    ("ci", "outcomes"),
    [("true", {"failed": 1, "skipped": 1, "xfailed": 1, "errors": 2}), ("", {"skipped": 4, "xfailed": 1})],
)
def test_in_ci_a_skip_is_a_failure_unless_it_is_by_design(tmp_path: Path, ci: str, outcomes: dict[str, int]) -> None:
    (tmp_path / "conftest.py").write_text((Path(__file__).parents[1] / "conftest.py").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "test_some.py").write_text(SUITE, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env={"CI": ci, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False)
    counted = re.findall(r"(\d+) (\w+)", done.stdout.strip().splitlines()[-1].partition(" in ")[0])
    assert {outcome: int(number) for number, outcome in counted} == outcomes, done.stdout
