"""A manual of 300 pages and a list of 20,000 questions through the real process: complete, in bounded memory, again for nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from copilot.domain.imports import ImportInput, ImportOptions, ImportRun
from copilot.store import tables as t
from copilot.store.store import Store
from loadtest.import_files import faq_rows, faq_xlsx, manual_pdf
from loadtest.server_process import ROOT
from tests.fakes.stores import AT, ORG, make_store, sqlite_url

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]
MIB = 1 << 20


@dataclass(frozen=True)
class Cost:
    seconds: float
    cpu_seconds: float
    peak_bytes: int

    def say(self, what: str, unit: int) -> None:
        """The figures that docs/how-to/knowledge.md quotes."""
        print(f"\n{what}: {self.seconds:.1f} s ({self.cpu_seconds:.1f} s of CPU), {self.peak_bytes / MIB:.0f} MiB at most, {unit} units")


def carried_out(store: Store, place: Path, path: Path, run_id: str) -> Cost:
    run = ImportRun(
        org_id=ORG, run_id=run_id, state="queued", actor="u", node="node", name="x", options=ImportOptions(), created_at=AT
    )  # fmt: skip
    store.imports(ORG).create(run, [ImportInput(name=path.name, path=str(path))])
    environment = {**os.environ, "PANGTING_DATA_DIR": str(place), "PANGTING_STORE__URL": sqlite_url(place), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "copilot", "kb", "carry-out", ORG, run_id, "node"]
    begun = time.monotonic()
    child = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE)
    _, status, used = os.wait4(child.pid, 0)
    assert status == 0
    child.returncode = 0
    return Cost(time.monotonic() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def bodies(store: Store) -> list[dict]:
    with store.database.read() as connection:
        return list(connection.execute(sa.select(t.articles.c.body)).scalars())


@pytest.fixture
def store(tmp_path: Path):
    opened = make_store(sqlite_url(tmp_path), tmp_path)
    opened.people.ensure_org(ORG)
    yield opened
    opened.close()


def test_a_manual_of_300_pages(tmp_path: Path, store: Store) -> None:
    path = manual_pdf(tmp_path / "manual.pdf", 300)
    cost = carried_out(store, tmp_path, path, "r1")
    cost.say("PDF of 300 pages", 300)
    (file,) = store.imports(ORG).files("r1")
    assert (file.state, file.counts.new) == ("done", len(bodies(store)))
    numbers = [int(part.split("，")[0]) for body in bodies(store) for part in body["body"].split("规则编号为")[1:]]
    wanted = [page * 20 + paragraph * 5 + line for page in range(1, 301) for paragraph in range(3) for line in range(5)]
    assert sorted(numbers) == wanted, "every rule once, and whole"
    assert sum(body["body"].count("| 卡种 | 年费 | 免年费条件 |") for body in bodies(store)) == 60
    assert cost.peak_bytes < 500 * MIB
    small = carried_out(store, tmp_path, manual_pdf(tmp_path / "small.pdf", 30), "r2")
    assert cost.peak_bytes < small.peak_bytes + 100 * MIB, "memory does not grow with the pages"


def test_a_list_of_20_000_questions(tmp_path: Path, store: Store) -> None:
    path = faq_xlsx(tmp_path / "faq.xlsx", 20_000)
    cost = carried_out(store, tmp_path, path, "r1")
    cost.say("XLSX of 20,000 rows", 20_000)
    (file,) = store.imports(ORG).files("r1")
    assert (file.state, file.counts.new) == ("done", 20_000)
    assert {(body["title"], body["answer"]) for body in bodies(store)} == {(question, answer) for question, answer, *_ in faq_rows(20_000)}
    assert cost.peak_bytes < 1000 * MIB
    again = carried_out(store, tmp_path, path, "r2")
    again.say("the same again", 20_000)
    assert [file.state for file in store.imports(ORG).files("r2")] == ["unchanged"]
    faq_xlsx(path, 20_001)
    more = carried_out(store, tmp_path, path, "r3")
    more.say("one row more", 20_001)
    (file,) = store.imports(ORG).files("r3")
    assert (file.counts.new, file.counts.unchanged) == (1, 20_000)
    assert len(bodies(store)) == 20_001
