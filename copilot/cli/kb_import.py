"""``pangting kb import``: files, folders and archives into the knowledge base."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from copilot.cli.inputs import LANGUAGES, existing
from copilot.cli.output import Json, print_json, settings_of

if TYPE_CHECKING:
    from rich.progress import Progress

    from copilot.domain.imports import ImportFile

_MAX_SHOWN = 50


def import_(
    context: typer.Context,
    paths: Annotated[
        list[Path],
        typer.Argument(help="Files, folders and zip archives: PDF, DOCX, XLSX, CSV, HTML, Markdown, TXT; bank folders with packs."),
    ],
    publish: Annotated[bool, typer.Option("--publish", help="In force at once, without review (bank folders say it themselves).")] = False,
    retire: Annotated[
        bool, typer.Option("--retire", help="Retire what an earlier import of the same folder, archive or file had and this one has not.")
    ] = False,
    language: Annotated[str, typer.Option("--language", help="`zh` or `en` for all articles (default: as their text is).")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read everything and say what would change; store nothing.")] = False,
    json_: Json = False,
) -> None:
    """Import knowledge, as drafts for review. The same file again changes nothing; a file is stored whole or, with a reason, not at all."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from copilot.assembly import open_knowledge
    from copilot.domain.errors import InvalidInput
    from copilot.domain.imports import ImportOptions

    if language and language not in LANGUAGES:
        raise typer.BadParameter(f"{language!r} is not a language of this product; it is {' or '.join(LANGUAGES)}.")
    for path in paths:
        existing(path, folder=True)
    options = ImportOptions(state="published" if publish else "draft", retire=retire, language=language)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    quiet = json_ or not console.is_terminal
    with (
        open_knowledge(settings_of(context), console.print) as desk,
        Progress(*columns, console=console, disable=quiet, transient=True) as bar,
    ):
        shown = _Shown(bar)
        report = desk.import_paths(paths, options, dry_run=dry_run, told=shown.file, progress=shown.step)
    if not (report["files"] or report["articles"] or report["packs"] or report["removed"]):
        raise InvalidInput(f"Nothing was imported: {', '.join(map(str, paths))} holds no file of a kind that can be read.")
    if json_:
        print_json(report)
    else:
        for line in _lines(report):
            typer.echo(line)
    if any(file["state"] == "failed" for file in report["files"]):
        sys.exit(1)


def carry_out(context: typer.Context, org: str, run_id: str, node: str) -> None:
    """Carry out an import of a running server (which starts this itself)."""
    from copilot.assembly import carry_out_import

    carry_out_import(settings_of(context), org, run_id, node)


class _Shown:
    """Progress on a terminal: one bar, named after what is being done."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("import", total=None)

    def file(self, file: ImportFile) -> None:
        self._bar.update(self._task, description=file.source, completed=file.done, total=file.total or None)

    def step(self, done: int, total: int, what: str) -> None:
        self._bar.update(self._task, description=what, completed=done, total=total or None)


def _lines(report: dict[str, Any]) -> list[str]:
    lines = []
    for file in [file for file in report["files"] if file["state"] == "failed"][:_MAX_SHOWN]:
        lines.append(f"failed: {file['source']}: {file['message']}")
    for file in [file for file in report["files"] if file["notes"]][:_MAX_SHOWN]:
        lines.append(f"note: {file['source']}: {'; '.join(file['notes'])}")
    removed = report["removed"]
    if removed:
        more = f" and {len(removed) - 10} more" if len(removed) > 10 else ""
        lines.append(f"no longer there: {', '.join(removed[:10])}{more}")
    changed = [name for name, was in report["packs"].items() if was]
    would = "would change" if report["dry_run"] else "changed"
    states = [file["state"] for file in report["files"]]
    if states:
        count = {state: states.count(state) for state in ("done", "unchanged", "failed")}
        lines.append(f"{len(states)} files: {count['done']} read, {count['unchanged']} unchanged, {count['failed']} failed.")
    gone = sum(file["counts"]["gone"] for file in report["files"])
    if gone:
        lines.append(f"{gone} articles imported earlier are no longer in their files.")
    if report["held"]:
        lines.append(f"{report['held']} articles were left alone: somebody has a draft of them open. Import again when it is finished.")
    lines.append(
        f"{report['articles']} articles read, {report['changed']} {would}; packs {would}: {', '.join(changed) or 'none'}"
        + (f"; {report['passages']} passages in the index." if "passages" in report else ".")
    )
    return lines
