"""``pangting analytics``: what the center learns from its calls."""

from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from copilot.cli.inputs import Language
from copilot.cli.output import Json, print_json, settings_of
from copilot.domain.errors import InvalidInput

app = typer.Typer(help="What the center learns from its calls.", no_args_is_help=True)
_DAY = ["%Y-%m-%d"]


@app.command()
def report(
    context: typer.Context,
    since: Annotated[datetime | None, typer.Option("--from", formats=_DAY, help="First day (default: six before --to).")] = None,
    until: Annotated[datetime | None, typer.Option("--to", formats=_DAY, help="Last day, inclusive (default: yesterday).")] = None,
    form: Annotated[Literal["html", "xlsx", "json"], typer.Option("--format", help="Form of the file.")] = "html",
    out: Annotated[Path | None, typer.Option("--out", help="Where to write it (default: standard output).")] = None,
    team: Annotated[str, typer.Option("--team", help="Only calls of this team (its id).")] = "",
    language: Language = "zh",
) -> None:
    """A report of a window against as many days before it: figures and names, nothing that was said."""
    from copilot.assembly import open_insights

    if form == "xlsx" and out is None and sys.stdout.isatty():
        raise typer.BadParameter("A workbook is no text for a terminal; name a file with --out.")
    with open_insights(settings_of(context)) as desk:
        content = desk.report(_day(since), _day(until), form, language, team or None)
    if out is None:
        sys.stdout.buffer.write(content)
        return
    try:
        out.write_bytes(content)
    except OSError as error:
        raise InvalidInput(f"{out} cannot be written ({error.strerror}).") from error
    typer.echo(f"{out}: {len(content)} bytes", err=True)


@app.command()
def update(context: typer.Context, json_: Json = False) -> None:
    """Read what is new in finished calls now, and make the clusters anew if that is due. A running server does it by itself."""
    from copilot.assembly import open_insights

    with open_insights(settings_of(context)) as desk:
        calls = desk.update()
    if json_:
        print_json({"calls": calls})
    else:
        typer.echo(f"{calls} calls were read.")


def _day(value: datetime | None) -> date | None:
    return value.date() if value is not None else None
