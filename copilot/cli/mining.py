"""``pangting kb mine``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from copilot.cli.inputs import Language, existing
from copilot.cli.output import Json, print_json, settings_of


def mine(
    context: typer.Context,
    paths: Annotated[list[Path] | None, typer.Argument(help="Markdown or text files, or folders of them.")] = None,
    author: Annotated[str, typer.Option("--author", help="Username of the knowledge editor whose drafts they become.")] = "",
    articles: Annotated[bool, typer.Option("--articles", help="Also from the long articles in force, such as imported documents.")] = False,
    calls: Annotated[int, typer.Option("--calls", min=0, max=90, help="Also from the calls of so many days (0: none).")] = 0,
    language: Language = "zh",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what is found; store nothing.")] = False,
    json_: Json = False,
) -> None:
    """Questions and answers out of documents and finished calls, as drafts with their place beside them; again, only new ones."""
    from rich.console import Console
    from rich.progress import Progress

    from copilot.assembly.mining import open_mining

    if not author:
        raise typer.BadParameter("Name the knowledge editor whose drafts these become: --author USERNAME.")
    for path in paths or ():
        existing(path, folder=True)
    console = Console(stderr=True)
    with open_mining(settings_of(context)) as desk, Progress(console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("pairs", total=None)

        def show(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, description=what)

        result = desk.mine(paths or [], articles=articles, days=calls, language=language, author=author, keep=not dry_run, progress=show)
    if json_:
        print_json(result)
        return
    for row in result["pairs"]:
        typer.echo(f"{row['state']:5}  {row['question']}  [{row['source']}]")
    typer.echo(f"{len(result['pairs'])} pairs found, {result['new']} new drafts, {result['known']} known before.")
