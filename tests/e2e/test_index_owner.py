"""The running server is the one writer of its index; commands beside it go through it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtest.server_process import ServerFailed, ServerProcess

pytestmark = [pytest.mark.models, pytest.mark.timeout(600)]

FAQ = """domain: branches
lang: zh
entries:
  - id: harbour-counter
    title: {title}
    answer: {title}，凭身份证办理。
    owner: 网点管理部
"""


def title_found(server: ServerProcess, query: str) -> str:
    return str(json.loads(server.command("kb", "search", query, "--top-k", "1", "--json"))[0]["title"])


def test_commands_write_through_the_server(server: ServerProcess, tmp_path: Path) -> None:
    check = json.loads(server.command("kb", "reindex", "--check", "--json"))
    assert (check["differences"], check["stale"]) == ([], "")
    report = json.loads(server.command("kb", "reindex", "--json"))
    assert report["rebuilt"] == "asked for"
    assert report["differences"] == []
    written_by = json.loads((server.data_dir / "index" / "default" / "writer.json").read_text())
    assert server.process is not None
    assert written_by["pid"] == server.process.pid
    faq = tmp_path / "harbour.yaml"
    for title in ("港口仓库的专用柜台几点开门", "港口仓库的专用柜台搬到了北门"):
        faq.write_text(FAQ.format(title=title), encoding="utf-8")
        server.command("kb", "import", str(faq), "--json")
        assert title_found(server, title) == title, "the command comes back when it can be found"
    assert json.loads(server.command("kb", "reindex", "--check", "--json"))["differences"] == []


def test_a_second_server_on_the_same_data_says_who_owns_the_index(server: ServerProcess) -> None:
    second = ServerProcess(data_dir=server.data_dir)
    assert server.process is not None
    with pytest.raises(ServerFailed, match=rf"Process {server.process.pid} .*is writing the index"):
        second.command("serve")
