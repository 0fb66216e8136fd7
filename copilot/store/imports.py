"""Import runs, their files and what came from which source. The articles themselves are written by ``copilot.store.import_articles``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from copilot import codec
from copilot.domain.clock import Clock
from copilot.domain.errors import Conflict, NotFound
from copilot.domain.ids import OrgId
from copilot.domain.imports import OPEN_STATES, ImportCounts, ImportFile, ImportInput, ImportOptions, ImportRun, RunState
from copilot.domain.knowledge import Article
from copilot.domain.people import AuditEntry
from copilot.store.audit import append_entry
from copilot.store.database import Database
from copilot.store.import_articles import ArticleWriter, prepared
from copilot.store.import_tables import import_files, import_sources, imports

_OVER = ("done", "unchanged", "failed")


class SqlImports:
    """``copilot.domain.ports.imports.ImportStore`` and what the screens read. Synchronous and thread-safe."""

    def __init__(self, database: Database, clock: Clock, org_id: OrgId) -> None:
        self._database = database
        self._clock = clock
        self._org_id = org_id

    # -- reading -----------------------------------------------------------------------------------------------------------------------

    def run(self, run_id: str) -> ImportRun:
        with self._database.read() as connection:
            return self._run(connection, run_id)

    def runs(self, limit: int = 20) -> list[ImportRun]:
        """Newest first."""
        query = sa.select(imports).where(imports.c.org_id == self._org_id).order_by(imports.c.created_at.desc(), imports.c.run_id)
        with self._database.read() as connection:
            rows = connection.execute(query.limit(limit)).mappings().all()
            return [_run(row, self._files(connection, row["run_id"])) for row in rows]

    def files(self, run_id: str) -> list[ImportFile]:
        with self._database.read() as connection:
            return self._files(connection, run_id)

    def inputs(self, run_id: str) -> list[ImportInput]:
        with self._database.read() as connection:
            found = connection.execute(sa.select(imports.c.inputs).where(*self._here(run_id))).scalar_one()
        return [ImportInput(name=name, path=path) for name, path in found]

    def path(self, run_id: str, number: int) -> str:
        query = sa.select(import_files.c.path).where(*self._file_here(run_id, number))
        with self._database.read() as connection:
            return str(connection.execute(query).scalar_one())

    def is_known(self, source: str, sha256: str, options: ImportOptions) -> bool:
        table = import_sources.c
        query = sa.select(table.sha256, table.state, table.removed).where(table.org_id == self._org_id, table.source == source)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None or row.removed or row.sha256 != sha256:
            return False
        return options.state == "draft" or bool(row.state == "published")

    def plan(self, source: str, articles: Sequence[Article], options: ImportOptions) -> ImportCounts:
        with self._database.read() as connection:
            return ArticleWriter(connection, self._org_id, source, options).plan(prepared(articles)).counts

    def missing(self, run_id: str) -> list[str]:
        with self._database.read() as connection:
            row = connection.execute(sa.select(imports.c.collections).where(*self._here(run_id))).scalar_one()
            files = self._files(connection, run_id)
            table = import_sources.c
            query = sa.select(table.source).where(table.org_id == self._org_id, sa.not_(table.removed)).order_by(table.source)
            known = list(connection.execute(query).scalars())
        here = {file.source for file in files}
        # What an archive holds that could not be opened is not known, so nothing of it counts as removed.
        closed = tuple(f"{PurePosixPath(file.source).with_suffix('')}/" for file in files if file.state == "failed")
        whole = tuple(f"{name}/" for name in row)
        return [source for source in known if source.startswith(whole) and source not in here and not source.startswith(closed)]

    # -- writing -----------------------------------------------------------------------------------------------------------------------

    def create(self, run: ImportRun, inputs: Sequence[ImportInput]) -> ImportRun:
        """A queued run. The audit trail says who imports how much."""
        now = self._clock.now()
        with self._database.write() as connection:
            connection.execute(
                sa.insert(imports).values(
                    org_id=self._org_id,
                    run_id=run.run_id,
                    state="queued",
                    actor=run.actor,
                    node=run.node,
                    name=run.name,
                    options=codec.to_json(run.options),
                    inputs=[[item.name, item.path] for item in inputs],
                    collections=[],
                    removed=[],
                    created_at=now,
                    cancel_requested=False,
                )
            )
            self._audit(connection, run.actor, "import.create", run.run_id, f"{len(inputs)} files, {run.options.state}")
            return self._run(connection, run.run_id)

    def begin(self, run_id: str, node: str) -> bool:
        with self._database.write() as connection:
            mine = sa.and_(*self._here(run_id), imports.c.state == "queued", imports.c.node == node)
            values = {"state": "running", "started_at": sa.func.coalesce(imports.c.started_at, self._clock.now())}
            if connection.execute(sa.update(imports).where(mine).values(**values)).rowcount == 0:
                return False
            self._requeue_files(connection, run_id)
        return True

    def register(self, run_id: str, files: Sequence[tuple[ImportFile, str]], collections: Sequence[str]) -> None:
        table = import_files
        with self._database.write() as connection:
            connection.execute(sa.delete(table).where(table.c.org_id == self._org_id, table.c.run_id == run_id))
            rows = [{"org_id": self._org_id, "run_id": run_id, "path": path, **_row(file)} for file, path in files]
            if rows:
                connection.execute(sa.insert(table), rows)
            connection.execute(sa.update(imports).where(*self._here(run_id)).values(collections=list(collections)))

    def progress(self, run_id: str, number: int, done: int, total: int) -> bool:
        with self._database.write() as connection:
            file = self._file(connection, run_id, number)
            self._put(connection, run_id, replace(file, state="reading", done=done, total=total))
            return bool(connection.execute(sa.select(imports.c.cancel_requested).where(*self._here(run_id))).scalar_one())

    def commit(self, run_id: str, file: ImportFile, articles: Sequence[Article]) -> ImportCounts:
        ready, now = prepared(articles), self._clock.now()
        with self._database.write() as connection:
            run = self._run(connection, run_id)
            writer = ArticleWriter(connection, self._org_id, file.source, run.options)
            writer.check_owners(run_id, (article.key for article in ready))
            plan = writer.plan(ready)
            writer.write(plan, run.actor, now)
            source = {
                "sha256": "" if plan.counts.held else file.sha256,
                "state": run.options.state,
                "run_id": run_id,
                "imported_at": now,
                "removed": False,
            }
            self._put_source(connection, file.source, source)
            self._put(connection, run_id, replace(file, state="done", counts=plan.counts))
        return plan.counts

    def close_file(self, run_id: str, file: ImportFile) -> None:
        with self._database.write() as connection:
            self._put(connection, run_id, file)

    def finish(self, run_id: str, state: RunState, removed: Sequence[str]) -> ImportRun:
        now = self._clock.now()
        with self._database.write() as connection:
            run = self._run(connection, run_id)
            if run.options.retire:
                for source in removed:
                    writer = ArticleWriter(connection, self._org_id, source, run.options)
                    writer.write(writer.plan([]), run.actor, now)
                    table = import_sources
                    here = sa.and_(table.c.org_id == self._org_id, table.c.source == source)
                    connection.execute(sa.update(table).where(here).values(removed=True, run_id=run_id, imported_at=now))
            self._requeue_files(connection, run_id)
            values = {"state": state, "finished_at": now, "removed": list(removed)}
            connection.execute(sa.update(imports).where(*self._here(run_id)).values(**values))
            run = self._run(connection, run_id)
            said = f"{run.finished - run.failed} files done, {run.failed} failed, {run.counts.new} new, {run.counts.changed} changed"
            self._audit(connection, run.actor, f"import.{state}", run_id, said)
        return run

    def cancel(self, run_id: str, actor: str) -> ImportRun:
        """A queued run is cancelled at once; a running one stops before its next page. What is done stays. Raises NotFound, Conflict."""
        with self._database.write() as connection:
            run = self._run(connection, run_id)
            if run.state not in OPEN_STATES:
                raise Conflict("This import is over already.")
            over = {"state": "cancelled", "finished_at": self._clock.now()} if run.state == "queued" else {}
            connection.execute(sa.update(imports).where(*self._here(run_id)).values(cancel_requested=True, **over))
            self._audit(connection, actor, "import.cancel", run_id, "")
            return self._run(connection, run_id)

    def requeue(self, run_id: str) -> None:
        """A run whose process is gone goes on from the file that it was at."""
        with self._database.write() as connection:
            running = sa.and_(*self._here(run_id), imports.c.state == "running")
            connection.execute(sa.update(imports).where(running).values(state="queued"))
            self._requeue_files(connection, run_id)

    # -- within a transaction ----------------------------------------------------------------------------------------------------------

    def _requeue_files(self, connection: Connection, run_id: str) -> None:
        for file in self._files(connection, run_id):
            if file.state == "reading":
                self._put(connection, run_id, replace(file, state="queued", done=0))

    def _run(self, connection: Connection, run_id: str) -> ImportRun:
        row = connection.execute(sa.select(imports).where(*self._here(run_id))).mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no import {run_id}.")
        return _run(row, self._files(connection, run_id))

    def _files(self, connection: Connection, run_id: str) -> list[ImportFile]:
        table = import_files
        query = sa.select(table).where(table.c.org_id == self._org_id, table.c.run_id == run_id).order_by(table.c.number)
        return [_file(row) for row in connection.execute(query).mappings()]

    def _file(self, connection: Connection, run_id: str, number: int) -> ImportFile:
        return _file(connection.execute(sa.select(import_files).where(*self._file_here(run_id, number))).mappings().one())

    def _put(self, connection: Connection, run_id: str, file: ImportFile) -> None:
        connection.execute(sa.update(import_files).where(*self._file_here(run_id, file.number)).values(**_row(file)))

    def _put_source(self, connection: Connection, source: str, values: dict[str, Any]) -> None:
        table = import_sources
        here = sa.and_(table.c.org_id == self._org_id, table.c.source == source)
        if connection.execute(sa.update(table).where(here).values(**values)).rowcount == 0:
            connection.execute(sa.insert(table).values(org_id=self._org_id, source=source, **values))

    def _here(self, run_id: str) -> Sequence[sa.ColumnElement[bool]]:
        return imports.c.org_id == self._org_id, imports.c.run_id == run_id

    def _file_here(self, run_id: str, number: int) -> Sequence[sa.ColumnElement[bool]]:
        table = import_files.c
        return table.org_id == self._org_id, table.run_id == run_id, table.number == number

    def _audit(self, connection: Connection, actor: str, action: str, target: str, detail: str) -> None:
        now = self._clock.now()
        append_entry(connection, AuditEntry(org_id=self._org_id, at=now, actor=actor, action=action, target=target, detail=detail))


class ImportQueue:
    """Runs of every organisation, for the process that carries them out."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_node(self, node: str, states: Iterable[RunState]) -> list[tuple[OrgId, str]]:
        """(organisation, run), oldest first."""
        query = sa.select(imports.c.org_id, imports.c.run_id).where(imports.c.node == node, imports.c.state.in_(tuple(states)))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(imports.c.created_at, imports.c.run_id)).all()
        return [(OrgId(row.org_id), row.run_id) for row in rows]

    def nodes(self, states: Iterable[RunState]) -> list[str]:
        """Who has runs in these states."""
        with self._database.read() as connection:
            return sorted(connection.execute(sa.select(imports.c.node).distinct().where(imports.c.state.in_(tuple(states)))).scalars())


def _row(file: ImportFile) -> dict[str, Any]:
    body = codec.to_json(file)
    return {"number": body.pop("number"), "source": body.pop("source"), "state": body.pop("state"), "body": body}


def _file(row: RowMapping) -> ImportFile:
    return codec.from_json(ImportFile, {**row["body"], "number": row["number"], "source": row["source"], "state": row["state"]})


def _run(row: RowMapping, files: Sequence[ImportFile]) -> ImportRun:
    return ImportRun(
        org_id=OrgId(row["org_id"]),
        run_id=row["run_id"],
        state=row["state"],
        actor=row["actor"],
        node=row["node"],
        name=row["name"],
        options=codec.from_json(ImportOptions, row["options"]),
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        files=len(files),
        finished=sum(file.state in _OVER for file in files),
        failed=sum(file.state == "failed" for file in files),
        counts=sum((file.counts for file in files), ImportCounts()),
        collections=tuple(row["collections"]),
        removed=tuple(row["removed"]),
        cancel_requested=row["cancel_requested"],
    )
