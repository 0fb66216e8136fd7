"""Carries out an import run: finds the files, reads one after the other, and stores each whole or not at all."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from copilot.domain.errors import Conflict
from copilot.domain.imports import ImportCancelled, ImportCounts, ImportFile, ImportInput, ImportOptions, ImportRun
from copilot.domain.ports.imports import ImportStore
from kb.reading.archive import Expander, Found, folder_files
from kb.reading.files import FileArticles, read_file
from kb.reading.limits import Limits
from kb.reading.port import Fault, Ocr, Reading, Unreadable

Told = Callable[[ImportFile], None]
"""Is told of every file whose state or progress changed."""
_SAVED_EVERY_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportTools:
    """``spool``: an empty directory of the run's own, where archives are unpacked. ``alive`` may raise to end the run where it is: it
    stays as it is in the store. ``apart`` carries out the reading of a file, which takes long and holds no lock; storing is not in it."""

    spool: Path
    limits: Limits
    ocr: Callable[[], Ocr] | None
    told: Told = lambda _file: None
    alive: Callable[[], None] = lambda: None
    apart: Callable[[Callable[[], FileArticles]], FileArticles] = lambda read: read()


def found_files(inputs: Sequence[ImportInput], tools: ImportTools) -> tuple[list[Found], list[str]]:
    """(the files, the collections). Raises Unreadable when there are too many."""
    tools.spool.mkdir(parents=True, exist_ok=True, mode=0o700)
    expander = Expander(tools.spool, tools.limits)
    files: list[Found] = []
    collections: list[str] = []
    for item in inputs:
        path = Path(item.path)
        given = folder_files(path) if path.is_dir() else [(item.name, path)]
        if path.is_dir():
            collections.append(path.resolve().name)
        for name, where in given:
            inside = list(expander.files(name, where))
            if len(inside) != 1 or inside[0].name != name:
                collections.append(str(Path(name).with_suffix("")))
            files += inside
            tools.alive()
    return files, collections


def carry_out(store: ImportStore, run_id: str, node: str, tools: ImportTools) -> ImportRun:
    """The whole run, or what is left of it. What is done stays done whenever this ends; a file is stored whole or not at all."""
    if not store.begin(run_id, node):
        return store.run(run_id)
    run = store.run(run_id)
    if run.files == 0 or not all(Path(store.path(run_id, file.number)).exists() for file in store.files(run_id) if file.state == "queued"):
        _register(store, run_id, tools)
    try:
        for file in store.files(run_id):
            if file.state == "queued":
                _one(store, run, file, tools)
    except ImportCancelled:
        return store.finish(run_id, "cancelled", ())
    return store.finish(run_id, "done", store.missing(run_id))


def _register(store: ImportStore, run_id: str, tools: ImportTools) -> None:
    try:
        files, collections = found_files(store.inputs(run_id), tools)
    except Unreadable as fault:
        name = store.run(run_id).name
        store.register(run_id, [(_failed(ImportFile(number=1, source=name, size=0), fault), "")], ())
        return
    rows = []
    for number, found in enumerate(_unique(files), 1):
        file = ImportFile(number=number, source=found.name, size=found.path.stat().st_size)
        rows.append((file if found.fault is None else _failed(file, found.fault), str(found.path)))
    store.register(run_id, rows, collections)
    for file, _ in rows:
        tools.told(file)


def _unique(files: Sequence[Found]) -> Iterator[Found]:
    """The source's name is its identity: of two files with one name the second is named with a number."""
    seen: dict[str, int] = {}
    for found in files:
        seen[found.name] = seen.get(found.name, 0) + 1
        yield found if seen[found.name] == 1 else replace(found, name=f"{found.name} ({seen[found.name]})")


def _one(store: ImportStore, run: ImportRun, file: ImportFile, tools: ImportTools) -> None:
    path = Path(store.path(run.run_id, file.number))
    if store.progress(run.run_id, file.number, 0, 0):
        raise ImportCancelled
    tools.told(replace(file, state="reading"))
    try:
        file = replace(file, sha256=_sha256(path))
        if store.is_known(file.source, file.sha256, run.options):
            file = replace(file, state="unchanged")
            store.close_file(run.run_id, file)
        else:
            reading, language = _reading(store, run, file, tools), run.options.language or None
            read = tools.apart(partial(read_file, path, file.source, run.options.state, reading, language))
            units = len(read.articles)
            file = replace(file, kind=read.kind, notes=read.notes, state="done", done=units, total=units)
            file = replace(file, counts=_committed(store, run, file, read))
    except Unreadable as fault:
        file = _failed(file, fault)
        store.close_file(run.run_id, file)
    except OSError as error:
        file = _failed(file, Unreadable("damaged", f"It cannot be opened ({error.strerror}); check that it is still there."))
        store.close_file(run.run_id, file)
    tools.told(file)


def _committed(store: ImportStore, run: ImportRun, file: ImportFile, read: FileArticles) -> ImportCounts:
    try:
        return store.commit(run.run_id, file, read.articles)
    except Conflict as error:
        raise Unreadable("taken", str(error)) from error


def _reading(store: ImportStore, run: ImportRun, file: ImportFile, tools: ImportTools) -> Reading:
    last = time.monotonic()

    def step(done: int, total: int) -> None:
        nonlocal last
        tools.alive()
        if time.monotonic() - last < _SAVED_EVERY_S:
            return
        cancelled = store.progress(run.run_id, file.number, done, total)
        last = time.monotonic()
        tools.told(replace(file, state="reading", done=done, total=total))
        if cancelled:
            raise ImportCancelled

    return Reading(limits=tools.limits, ocr=tools.ocr, step=step)


def preview(store: ImportStore, inputs: Sequence[ImportInput], options: ImportOptions, tools: ImportTools) -> Iterator[ImportFile]:
    """What an import would do, file by file; nothing is stored."""
    files, _ = found_files(inputs, tools)
    for number, found in enumerate(_unique(files), 1):
        file = ImportFile(number=number, source=found.name, size=found.path.stat().st_size)
        try:
            if found.fault is not None:
                raise found.fault
            file = replace(file, sha256=_sha256(found.path))
            if store.is_known(file.source, file.sha256, options):
                yield replace(file, state="unchanged")
                continue
            reading = Reading(limits=tools.limits, ocr=tools.ocr, step=_telling(file, tools))
            read = read_file(found.path, file.source, options.state, reading, options.language or None)
            counts = store.plan(file.source, read.articles, options)
            yield replace(file, state="done", kind=read.kind, notes=read.notes, counts=counts)
        except Unreadable as fault:
            yield _failed(file, fault)


def _telling(file: ImportFile, tools: ImportTools) -> Callable[[int, int], None]:
    return lambda done, total: tools.told(replace(file, state="reading", done=done, total=total))


def fail_reading(store: ImportStore, run_id: str, fault: Fault, message: str) -> None:
    """The file that was being read when its process died or stood still has failed, so that the others can go on."""
    for file in store.files(run_id):
        if file.state == "reading":
            store.close_file(run_id, _failed(file, Unreadable(fault, message)))


def _failed(file: ImportFile, fault: Unreadable) -> ImportFile:
    return replace(file, state="failed", fault=fault.fault, detail=fault.detail, message=str(fault))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
