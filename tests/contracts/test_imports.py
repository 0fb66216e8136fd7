"""Imports on both databases: one source, the same articles; a file whole or not at all; drafts that people wrote are left alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from copilot.domain.errors import Conflict, Forbidden
from copilot.domain.imports import ImportFile, ImportInput, ImportOptions, ImportRun
from copilot.domain.people import User
from copilot.store import tables as t
from copilot.store.store import Store
from kb.import_run import ImportTools, carry_out, preview
from kb.reading.limits import Limits
from tests.fakes.stores import AT, ORG, make_store, new_database, postgres_server, scope, sqlite_url

NODE = "node"
EDITOR, OTHER = (
    User(org_id=ORG, user_id=name, username=name, display_name=name, roles=frozenset({"editor"}))  # type: ignore[arg-type]
    for name in ("u-importer", "u-other")
)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = sqlite_url(tmp_path) if request.param == "sqlite" else new_database(request.getfixturevalue("postgres"))
    opened = make_store(url, tmp_path)
    opened.people.ensure_org(ORG)
    yield opened
    opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "manuals"
    made.mkdir()
    write(made, "faq.csv", "问题,答案\n甲怎么办,答甲\n乙怎么办,答乙\n丙怎么办,答丙\n")
    write(made, "a.md", "# 挂失\n\n先冻结。\n")
    return made


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="utf-8")


counter = iter(range(10_000))


def create(store: Store, path: Path, options: ImportOptions | None = None) -> str:
    run = ImportRun(
        org_id=ORG,
        run_id=f"r{next(counter)}",
        state="queued",
        actor=EDITOR.user_id,
        node=NODE,
        name=path.name,
        options=options or ImportOptions(),
        created_at=AT,
    )
    return store.imports(ORG).create(run, [ImportInput(name=path.name, path=str(path))]).run_id


def tools(folder: Path, **more: object) -> ImportTools:
    return ImportTools(spool=folder.parent / "spool", limits=Limits(), ocr=None, **more)  # type: ignore[arg-type]


def run(store: Store, path: Path, options: ImportOptions | None = None, **more: object) -> tuple[ImportRun, dict[str, ImportFile]]:
    run_id = create(store, path, options)
    done = carry_out(store.imports(ORG), run_id, NODE, tools(path, **more))
    return done, {file.source: file for file in store.imports(ORG).files(run_id)}


def stored(store: Store) -> list[tuple[str, int, str, str]]:
    """(title, version, state, answer or body) of every version, by title."""
    query = sa.select(t.articles.c.body).where(t.articles.c.org_id == ORG)
    with store.database.read() as connection:
        bodies = list(connection.execute(query).scalars())
    return sorted((body["title"], body["version"], body["state"], body["answer"] or body["body"]) for body in bodies)


FIRST = [
    ("丙怎么办", 1, "draft", "答丙"),
    ("乙怎么办", 1, "draft", "答乙"),
    ("挂失", 1, "draft", "先冻结。\n"),
    ("甲怎么办", 1, "draft", "答甲"),
]


def test_a_folder_arrives_as_drafts_and_again_changes_nothing(store: Store, folder: Path) -> None:
    done, files = run(store, folder)
    assert (done.state, done.files, done.finished, done.failed, done.counts.new) == ("done", 2, 2, 0, 4)
    assert {name: file.state for name, file in files.items()} == {"manuals/a.md": "done", "manuals/faq.csv": "done"}
    assert stored(store) == FIRST
    assert store.articles(ORG).published() == []
    again, files = run(store, folder)
    assert {file.state for file in files.values()} == {"unchanged"}
    assert (again.counts.new, again.counts.changed) == (0, 0)
    assert stored(store) == FIRST
    actions = [entry.action for entry in store.audit.entries(scope("auditor", "auditor"))]
    assert actions.count("import.create") == actions.count("import.done") == 2


def test_a_changed_source_updates_its_article_and_leaves_the_others(store: Store, folder: Path) -> None:
    run(store, folder)
    write(folder, "faq.csv", "问题,答案\n甲怎么办,答甲\n丁怎么办,答丁\n乙怎么办,新的答案\n")
    done, files = run(store, folder)
    counts = files["manuals/faq.csv"].counts
    assert (counts.new, counts.changed, counts.unchanged, counts.gone) == (1, 1, 1, 1)
    found = {title: (version, text) for title, version, _, text in stored(store)}
    assert found["乙怎么办"] == (1, "新的答案"), "a draft nobody has touched is replaced in its place"
    assert found["丙怎么办"] == (1, "答丙"), "what is gone is reported, and stays"
    assert len(found) == 5
    assert done.removed == ()


def test_what_a_person_wrote_is_never_overwritten_and_comes_later(store: Store, folder: Path) -> None:
    run(store, folder)
    desk = store.article_desk(ORG)
    key = next(row for row in drafts(store) if row.title == "乙怎么办")
    saved = desk.save(replace(key, answer="编辑写的"), desk.open_version(key.article_id, "zh").revision, OTHER)
    write(folder, "faq.csv", "问题,答案\n甲怎么办,答甲\n乙怎么办,新的答案\n丙怎么办,答丙\n")
    done, _ = run(store, folder)
    assert done.counts.held == 1
    assert desk.open_version(key.article_id, "zh").article.answer == "编辑写的"
    desk.discard(key.article_id, "zh", saved.revision, OTHER)
    done, files = run(store, folder)
    assert files["manuals/faq.csv"].state == "done", "a file with something held back is read again"
    assert done.counts.new + done.counts.changed == 1
    assert desk.open_version(key.article_id, "zh").article.answer == "新的答案"


def drafts(store: Store) -> list[object]:
    from copilot import codec
    from copilot.domain.knowledge import Article

    query = sa.select(t.articles.c.body).where(t.articles.c.org_id == ORG, t.articles.c.state == "draft")
    with store.database.read() as connection:
        return [codec.from_json(Article, body) for body in connection.execute(query).scalars()]


def test_who_imported_may_not_approve_and_the_next_version_follows_the_published_one(store: Store, folder: Path) -> None:
    run(store, folder)
    desk = store.article_desk(ORG)
    article = next(row for row in drafts(store) if row.title == "挂失")
    submitted = desk.submit(article.article_id, "zh", desk.open_version(article.article_id, "zh").revision, EDITOR)
    with pytest.raises(Forbidden):
        desk.publish(article.article_id, "zh", submitted.revision, EDITOR)
    desk.publish(article.article_id, "zh", submitted.revision, OTHER)
    again, _ = run(store, folder)
    assert again.counts.changed == 0, "publishing is no reason to import again"
    write(folder, "a.md", "# 挂失\n\n先挂失。\n")
    run(store, folder)
    assert [row[1:] for row in stored(store) if row[0] == "挂失"] == [(1, "published", "先冻结。\n"), (2, "draft", "先挂失。\n")]
    (published,) = store.articles(ORG).published()
    assert published.body == "先冻结。\n", "the draft replaces nothing"
    following = desk.open_version(article.article_id, "zh")
    submitted = desk.submit(article.article_id, "zh", following.revision, EDITOR)
    desk.publish(article.article_id, "zh", submitted.revision, OTHER)


def test_published_at_once_and_a_removed_source_is_reported_then_retired_then_back(store: Store, folder: Path) -> None:
    run(store, folder, ImportOptions(state="published"))
    assert len(store.articles(ORG).published()) == 4
    text = (folder / "a.md").read_text(encoding="utf-8")
    (folder / "a.md").unlink()
    done, _ = run(store, folder, ImportOptions(state="published"))
    assert done.removed == ("manuals/a.md",)
    assert len(store.articles(ORG).published()) == 4, "only reported"
    done, _ = run(store, folder, ImportOptions(state="published", retire=True))
    assert done.removed == ("manuals/a.md",)
    assert "挂失" not in {article.title for article in store.articles(ORG).published()}
    assert run(store, folder, ImportOptions(retire=True))[0].removed == ()
    write(folder, "a.md", text)
    done, _ = run(store, folder, ImportOptions(state="published"))
    assert "挂失" in {article.title for article in store.articles(ORG).published()}


def test_drafts_are_published_by_importing_them_again_as_published(store: Store, folder: Path) -> None:
    run(store, folder)
    run(store, folder, ImportOptions(state="published"))
    assert len(store.articles(ORG).published()) == 4
    assert len(stored(store)) == 4, "no draft is left behind"


def test_one_bad_file_harms_no_other(store: Store, folder: Path) -> None:
    write(folder, "bad.csv", "问题,答案\n甲,\n")
    write(folder, "empty.txt", "")
    write(folder, "z.pdf", "no PDF")
    done, files = run(store, folder)
    assert (done.state, done.files, done.failed) == ("done", 5, 3)
    assert {name: file.fault for name, file in files.items() if file.fault} == {
        "manuals/bad.csv": "rows",
        "manuals/empty.txt": "empty",
        "manuals/z.pdf": "wrong_type",
    }
    assert stored(store) == FIRST


def test_an_id_used_in_two_files_of_one_import_is_a_fault_of_the_second(store: Store, folder: Path) -> None:
    for name in ("x.yaml", "y.yaml"):
        write(folder, name, "domain: cards\nlang: zh\nentries:\n  - {id: card-loss, title: 丢卡, answer: 好。}\n")
    _, files = run(store, folder)
    assert (files["manuals/x.yaml"].state, files["manuals/y.yaml"].fault) == ("done", "taken")
    (folder / "x.yaml").rename(folder / "y.yaml")
    _, files = run(store, folder, ImportOptions(retire=True))
    assert files["manuals/y.yaml"].state == "done", "a file that moved takes its articles along"
    assert [row for row in stored(store) if row[0] == "丢卡"] == [("丢卡", 1, "draft", "好。")]


def test_a_cancelled_run_stops_and_keeps_what_is_done(store: Store, folder: Path) -> None:
    imports = store.imports(ORG)
    waiting = create(store, folder)
    assert imports.cancel(waiting, "u").state == "cancelled"
    assert carry_out(imports, waiting, NODE, tools(folder)).state == "cancelled"
    assert stored(store) == []
    with pytest.raises(Conflict):
        imports.cancel(waiting, "u")
    running = create(store, folder)

    def told(file: ImportFile) -> None:
        if file.state == "done":
            imports.cancel(running, "u")

    done = carry_out(imports, running, NODE, tools(folder, told=told))
    assert (done.state, done.finished) == ("cancelled", 1)
    assert [row[0] for row in stored(store)] == ["挂失"]


def test_a_run_whose_process_died_goes_on_where_it_was(store: Store, folder: Path) -> None:
    class Died(BaseException):
        pass

    def told(file: ImportFile) -> None:
        if file.source == "manuals/faq.csv" and file.state == "reading":
            raise Died

    imports, run_id = store.imports(ORG), create(store, folder)
    with pytest.raises(Died):
        carry_out(imports, run_id, NODE, tools(folder, told=told))
    assert imports.run(run_id).state == "running"
    assert [row[0] for row in stored(store)] == ["挂失"], "nothing of the file that it was at"
    assert not imports.begin(run_id, NODE), "nobody takes a running one"
    assert store.import_queue.of_node(NODE, ("running",)) == [(ORG, run_id)]
    imports.requeue(run_id)
    assert not imports.begin(run_id, "another node")
    done = carry_out(imports, run_id, NODE, tools(folder))
    assert (done.state, done.counts.new) == ("done", 4)
    assert stored(store) == FIRST


def test_a_preview_says_what_would_happen_and_stores_nothing(store: Store, folder: Path) -> None:
    given = [ImportInput(name="manuals", path=str(folder))]
    before = list(preview(store.imports(ORG), given, ImportOptions(), tools(folder)))
    assert [(file.source, file.counts.new) for file in before] == [("manuals/a.md", 1), ("manuals/faq.csv", 3)]
    assert stored(store) == []
    run(store, folder)
    after = list(preview(store.imports(ORG), given, ImportOptions(), tools(folder)))
    assert [file.state for file in after] == ["unchanged", "unchanged"]
