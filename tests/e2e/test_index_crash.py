"""kill -9 while an index is being written, by a real process over a real store: afterwards index and store agree, and nothing is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from copilot.domain.ids import ArticleId
from copilot.domain.knowledge import Article, Query
from loadtest.server_process import ROOT
from tests.fakes.index_writer import open_all

PASSAGES = 2
"""Of an article: its title and its answer."""


def article(number: int, title: str) -> Article:
    return Article(
        article_id=ArticleId(f"a{number}"), version=1, language="zh", domain="d", title=title, body="", answer=f"{title}，请到网点。"
    )


BANK = [article(number, f"第{number}号业务怎么办理") for number in range(240)]


def killed_at(folder: Path, step: str, passages: int) -> int:
    """Runs the writer until it has written so many passages, then kills it. How many it had written."""
    command = [sys.executable, "-m", "tests.fakes.index_writer", str(folder), step]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        done = 0
        for line in writer.stdout:
            word, _, count = line.strip().partition(" ")
            done = int(count or 0)
            if word == "done" or done >= passages:
                break
        writer.kill()
    assert word == "passages", "it must be killed while it writes"
    return done


@pytest.mark.parametrize(("step", "passages"), [("rebuild", 1), ("rebuild", 400), ("edit", 1), ("edit", 100)])
def test_index_and_store_agree_after_a_kill(tmp_path: Path, step: str, passages: int) -> None:
    base, store, _ = open_all(tmp_path)
    store.upsert(BANK)
    base.refresh(store)
    if step == "edit":
        store.upsert([article(number, f"第{number}号业务改由手机办理") for number in range(80)])
    changed = base.differences(store)
    assert len(changed) == (80 if step == "edit" else 0)
    killed_at(tmp_path, step, passages)

    base, store, _ = open_all(tmp_path)
    assert base.state().stale == "", "the index before is whole and in use"
    assert base.differences(store) == changed, "nothing of the interrupted run is in it"
    base.refresh(store)
    assert base.differences(store) == ()
    assert base.state().watermark == store.watermark()
    assert base.state().passages == PASSAGES * len(BANK)
    assert len(list((tmp_path / "index").glob("gen-*"))) == 1, "what was left behind is cleared away"
    hit = base.search(Query(text="第7号业务改由手机办理", language="zh"))[0]
    assert (hit.article.article_id, hit.article.version) == ("a7", 2 if step == "edit" else 1)


def test_what_was_embedded_before_the_kill_is_not_embedded_again(tmp_path: Path) -> None:
    _, store, _ = open_all(tmp_path)
    store.upsert(BANK)
    done = killed_at(tmp_path, "edit", 200)
    base, store, inner = open_all(tmp_path)
    report = base.refresh(store)
    assert report.written == PASSAGES * len(BANK)
    assert 0 < inner.embedded <= report.written - done
    assert base.differences(store) == ()
