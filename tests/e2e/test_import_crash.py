"""kill -9 during an import: each file whole or not at all, the run goes on or says interrupted, index and store agree."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from copilot.domain.imports import ImportInput, ImportOptions, ImportRun
from kb.chunking import passages
from loadtest.import_files import faq_xlsx, manual_pdf
from loadtest.server_process import ROOT, ServerProcess
from tests.fakes.import_server import import_server
from tests.fakes.stores import AT, ORG, make_store, sqlite_url

pytestmark = pytest.mark.timeout(1200)
NODE = "node"
PAGES, ROWS = 90, 400


def until(true: Callable[[], object], what: str, timeout_s: float = 600) -> None:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if true():
            return
        time.sleep(0.05)
    pytest.fail(f"not within {timeout_s:.0f} s: {what}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "手册"
    made.mkdir()
    faq_xlsx(made / "a.xlsx", ROWS)
    manual_pdf(made / "b.pdf", PAGES)
    (made / "c.md").write_text("# 挂失\n\n先冻结。\n", encoding="utf-8")
    return made


def sources(store: object) -> dict[str, int]:
    """Source → articles stored."""
    import sqlalchemy as sa

    from copilot.store import tables as t

    found: dict[str, int] = {}
    with store.database.read() as connection:  # type: ignore[attr-defined]
        for body in connection.execute(sa.select(t.articles.c.body)).scalars():
            found[body["source"]] = found.get(body["source"], 0) + 1
    return found


def test_the_importing_process_is_killed_in_the_middle_of_a_file(tmp_path: Path, folder: Path) -> None:
    store = make_store(sqlite_url(tmp_path), tmp_path)
    store.people.ensure_org(ORG)
    imports = store.imports(ORG)
    run = ImportRun(
        org_id=ORG, run_id="r1", state="queued", actor="u", node=NODE, name="手册", options=ImportOptions(), created_at=AT
    )  # fmt: skip
    imports.create(run, [ImportInput(name="手册", path=str(folder))])
    environment = {
        **os.environ,
        "PANGTING_DATA_DIR": str(tmp_path),
        "PANGTING_STORE__URL": sqlite_url(tmp_path),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "copilot", "kb", "carry-out", ORG, "r1", NODE]

    def reading() -> bool:
        return any(file.source.endswith("b.pdf") and file.state == "reading" and file.done > 5 for file in imports.files("r1"))

    child = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE)
    until(reading, "the PDF is being read")
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert sources(store) == {"手册/a.xlsx": ROWS}, "one file whole, nothing of the one it was at"
    assert imports.run("r1").state == "running"
    imports.requeue("r1")
    child = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE)
    assert child.wait(600) == 0
    done = imports.run("r1")
    assert (done.state, done.files, done.failed) == ("done", 3, 0)
    found = sources(store)
    assert found["手册/a.xlsx"] == ROWS
    assert found["手册/c.md"] == 1
    assert found["手册/b.pdf"] == next(file.counts.new for file in imports.files("r1") if file.source.endswith("b.pdf")) >= PAGES
    store.close()


def test_a_process_ends_when_its_parent_is_gone(tmp_path: Path, folder: Path) -> None:
    store = make_store(sqlite_url(tmp_path), tmp_path)
    store.people.ensure_org(ORG)
    imports = store.imports(ORG)
    run = ImportRun(org_id=ORG, run_id="r1", state="queued", actor="u", node=NODE, name="x", options=ImportOptions(), created_at=AT)
    imports.create(run, [ImportInput(name="手册", path=str(folder))])
    environment = {**os.environ, "PANGTING_DATA_DIR": str(tmp_path), "PANGTING_STORE__URL": sqlite_url(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "copilot", "kb", "carry-out", ORG, "r1", NODE]
    child = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE)
    until(lambda: imports.run("r1").state == "running", "it runs")
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(60) == 1
    store.close()


def test_a_file_that_ends_its_process_fails_alone_and_the_next_server_goes_on(tmp_path: Path, folder: Path) -> None:
    """The service's own child is killed once while it reads the PDF: that file has failed, the others are done."""
    people = {"editor": ("editor",)}
    with import_server(tmp_path / "data", people) as server:
        headers = {"authorization": f"Bearer {server.token('editor')}"}
        files = [("files", (f"手册/{path.name}", path.read_bytes())) for path in sorted(folder.iterdir())]
        answer = httpx.post(f"{server.base}/api/v1/kb/imports", files=files, headers=headers, timeout=60)
        assert answer.status_code == 202
        run_id = answer.json()["run_id"]
        imports = server.bench.store.imports(ORG)

        def reading() -> bool:
            return any(file.source.endswith("b.pdf") and file.state == "reading" and file.done > 2 for file in imports.files(run_id))

        until(reading, "the PDF is being read")
        for pid in children(os.getpid(), run_id):
            os.kill(pid, signal.SIGKILL)
        until(lambda: imports.run(run_id).state == "done", "the others are imported")
        states = {file.source: (file.state, file.fault) for file in imports.files(run_id)}
        assert states == {"手册/a.xlsx": ("done", ""), "手册/b.pdf": ("failed", "stopped"), "手册/c.md": ("done", "")}
        until(lambda: not list((tmp_path / "data/imports").iterdir()), "the upload is removed", 30)


def children(parent: int, run_id: str) -> list[int]:
    """Our own child processes that carry the run out."""
    import psutil

    return [child.pid for child in psutil.Process(parent).children() if run_id in child.cmdline()]


@pytest.mark.models
@pytest.mark.slow
def test_a_killed_command_says_interrupted_and_afterwards_index_and_store_agree(tmp_path: Path, folder: Path) -> None:
    place = ServerProcess(data_dir=tmp_path / "data")
    environment = place.environment()
    command = [sys.executable, "-m", "copilot", "kb", "import", str(folder), "--publish", "--json"]

    def stored(query: str) -> list[tuple]:
        import sqlite3

        path = tmp_path / "data/pangting.db"
        if not path.exists():
            return []
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            try:
                return connection.execute(query).fetchall()
            except sqlite3.OperationalError:
                return []

    child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: stored("select 1 from import_files where source like '%b.pdf' and state = 'reading'"), "the PDF is being read")
    child.send_signal(signal.SIGKILL)
    child.wait()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True, timeout=1000)
    report = json.loads(done.stdout)
    assert {file["source"]: file["state"] for file in report["files"]} == {
        "手册/a.xlsx": "unchanged",
        "手册/b.pdf": "done",
        "手册/c.md": "done",
    }
    assert stored("select state from imports order by created_at") == [("interrupted",), ("done",)]
    from copilot.assembly import engines
    from copilot.settings import load

    settings = load(data_dir=tmp_path / "data")
    store = engines.open_store(settings)
    published = store.articles(ORG).published()
    store.close()
    assert report["passages"] == sum(len(passages(article)) for article in published), "the index holds what the store has in force"


@pytest.mark.models
@pytest.mark.slow
def test_a_killed_server_goes_on_with_the_import_when_it_is_back(tmp_path: Path, folder: Path) -> None:
    server = ServerProcess(data_dir=tmp_path / "data")
    server.prepare({"editor": ("editor", "知识专员")})
    server.start()
    try:
        server.wait_ready()
        headers = {"authorization": f"Bearer {signed_in(server)}"}
        files = [("files", (f"手册/{path.name}", path.read_bytes())) for path in sorted(folder.iterdir())]
        run_id = httpx.post(f"{server.base}/api/v1/kb/imports", files=files, headers=headers, timeout=60).json()["run_id"]

        def shown() -> dict:
            return httpx.get(f"{server.base}/api/v1/kb/imports/{run_id}", headers=headers, timeout=60).json()

        until(lambda: any(f["source"].endswith("b.pdf") and f["done"] > 5 for f in shown()["files"]), "the PDF is being read")
        server.kill()
        server.start()
        server.wait_ready()
        until(lambda: shown()["run"]["state"] == "done", "the run is over")
        assert {file["source"]: file["state"] for file in shown()["files"]} == {
            "手册/a.xlsx": "done",
            "手册/b.pdf": "done",
            "手册/c.md": "done",
        }
        assert shown()["run"]["counts"]["new"] >= ROWS + PAGES
    finally:
        server.stop()


def signed_in(server: ServerProcess) -> str:
    credentials = {"username": "editor", "password": server.passwords["editor"]}
    return str(httpx.post(f"{server.base}/api/v1/auth/login", json=credentials, timeout=60).json()["token"])
