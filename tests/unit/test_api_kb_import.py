"""Imports over the API: who may, what an upload may be, and that nothing stays of one that came to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from copilot.api.upload import Upload, source_name
from copilot.assembly.import_service import ImportService
from copilot.domain.errors import InvalidInput
from copilot.domain.imports import ImportInput
from copilot.settings import load
from tests.fakes.api_bench import ApiBench
from tests.fakes.stores import ORG

pytestmark = pytest.mark.anyio
FAQ = "问题,答案\n甲,乙\n".encode()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Any]:
    settings = load(data_dir=tmp_path, kb={"import_mb": 3})
    service: list[ImportService] = []

    class Late:
        """The service needs the bench's store."""

        def __getattr__(self, name: str) -> Any:
            return getattr(service[0], name)

    made = ApiBench(tmp_path, imports=Late())
    service.append(ImportService(settings, made.store, "node"))
    made.join("editor", "editor")
    made.join("auditor", "auditor")
    made.join("agent", "agent")
    made.service, made.spool = service[0], tmp_path / "imports"
    yield made
    made.store.close()


def client(bench: Any, username: str) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {bench.sessions[username].token}"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(bench.app), base_url="http://server", headers=headers)


def contents(inputs: list[ImportInput]) -> list[bytes]:
    return [Path(item.path).read_bytes() for item in inputs]


async def test_an_upload_waits_in_the_spool_with_its_names(bench: Any) -> None:
    files = [("files", ("手册/a.csv", FAQ)), ("files", ("手册/deep/b.md", "# 挂失\n".encode() * 100_000))]
    async with client(bench, "editor") as editor:
        answer = await editor.post("/api/v1/kb/imports?retire=true", files=files)
        assert answer.status_code == 202, answer.text
        run = answer.json()
        assert (run["state"], run["name"], run["actor_name"]) == ("queued", "手册", "Editor")
        assert run["options"] == {"state": "draft", "retire": True, "language": ""}
        inputs = bench.store.imports(ORG).inputs(run["run_id"])
        assert [item.name for item in inputs] == ["手册/a.csv", "手册/deep/b.md"]
        assert contents(inputs) == [FAQ, "# 挂失\n".encode() * 100_000]
        assert all(Path(item.path).is_relative_to(bench.spool) for item in inputs)
        listed = (await editor.get("/api/v1/kb/imports")).json()
        assert [item["run_id"] for item in listed["runs"]] == [run["run_id"]]
        assert listed["max_bytes"] == 3 << 20
        assert (await editor.get(f"/api/v1/kb/imports/{run['run_id']}")).json()["files"] == []
        cancelled = await editor.post(f"/api/v1/kb/imports/{run['run_id']}/cancel")
        assert cancelled.json()["state"] == "cancelled"
        assert (await editor.post(f"/api/v1/kb/imports/{run['run_id']}/cancel")).status_code == 409
        assert (await editor.get("/api/v1/kb/imports/none")).status_code == 404


async def test_only_editors_import_and_only_those_who_see_drafts_look(bench: Any) -> None:
    for username, looks in (("agent", 403), ("auditor", 200)):
        async with client(bench, username) as other:
            answer = await other.post("/api/v1/kb/imports", files=[("files", ("a.csv", FAQ))])
            assert answer.status_code == 403
            assert (await other.get("/api/v1/kb/imports")).status_code == looks
    assert not bench.spool.exists() or list(bench.spool.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"{}", 422),
        ("multipart/form-data", b"", 422),
        ("multipart/form-data; boundary=x", b"", 422),
        ("multipart/form-data; boundary=x", b"nonsense", 422),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nhalf', 422),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\nno file\r\n--x--\r\n', 422),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; filename="../a"\r\n\r\nfile\r\n--x--\r\n', 422),
        ("multipart/form-data; boundary=x", b"x" * (3 * 1024 * 1024 + 1), 413),
    ],
)
async def test_an_upload_that_is_none_leaves_nothing_behind(bench: Any, kind: str, body: bytes, status: int) -> None:
    async with client(bench, "editor") as editor:
        answer = await editor.post("/api/v1/kb/imports", content=body, headers={"content-type": kind})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert list(bench.spool.iterdir()) == [] if bench.spool.exists() else True
    assert bench.store.imports(ORG).runs() == []


async def test_a_body_larger_than_said_is_refused_while_it_comes(bench: Any) -> None:
    async def endless() -> Any:
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\n'
        for _ in range(64):
            yield b"x" * 65_536

    async with client(bench, "editor") as editor:
        headers = {"content-type": "multipart/form-data; boundary=x"}
        answer = await editor.post("/api/v1/kb/imports", content=endless(), headers=headers)
        assert answer.status_code == 413
        small = await editor.post("/api/v1/auth/logout", content=b"x" * 1_000_001)
        assert small.status_code == 413, "other routes keep their own limit"
    assert list(bench.spool.iterdir()) == []


async def test_too_many_waiting_imports_are_refused(bench: Any) -> None:
    async with client(bench, "editor") as editor:
        for _ in range(20):
            assert (await editor.post("/api/v1/kb/imports", files=[("files", ("a.csv", FAQ))])).status_code == 202
        assert (await editor.post("/api/v1/kb/imports", files=[("files", ("a.csv", FAQ))])).status_code == 503


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_an_upload_is_the_same_however_it_is_cut(tmp_path: Path, size: int) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a/b.txt"\r\nContent-Type: text/plain\r\n\r\n'
        b'one\r\n--not the end\r\n\r\n--x\r\nContent-Disposition: form-data; name="files"; filename="c.txt"\r\n\r\n\r\n--x--\r\n'
    )
    upload = Upload("multipart/form-data; boundary=x", tmp_path)
    for at in range(0, len(body), size):
        upload.feed(body[at : at + size])
    assert upload.finish() == [
        ImportInput(name="a/b.txt", path=str(tmp_path / "00000")),
        ImportInput(name="c.txt", path=str(tmp_path / "00001")),
    ]
    assert [(tmp_path / name).read_bytes() for name in ("00000", "00001")] == [b"one\r\n--not the end\r\n", b""]


@pytest.mark.parametrize(
    ("given", "name"), [("手册/年费.pdf", "手册/年费.pdf"), ("C:\\x\\a.pdf", "C:/x/a.pdf"), ("/a.pdf", "a.pdf"), ("./a", "a")]
)
def test_names_of_uploads(given: str, name: str) -> None:
    assert source_name(given) == name


@pytest.mark.parametrize("given", ["", "..", "a/../b", "a\0b", "x" * 501, "a\nb"])
def test_names_that_cannot_be_used(given: str) -> None:
    with pytest.raises(InvalidInput):
        source_name(given)
