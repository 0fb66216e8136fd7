"""``pangting calls`` and ``pangting retention``: erasing what was said."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from copilot.cli.output import Json, print_json, print_line, settings_of
from copilot.domain.errors import InvalidInput
from copilot.domain.ids import CallId, OrgId

app = typer.Typer(help="Stored calls.", no_args_is_help=True)
retention = typer.Typer(help="How long calls are kept.", no_args_is_help=True)


@app.command()
def erase(
    context: typer.Context,
    call_id: Annotated[list[str], typer.Argument(help="Ids of ended calls.")],
    json_: Json = False,
) -> None:
    """Erase calls: key, transcript, artifacts, vault and recording. What happened when stays, and an audit line. Cannot be undone."""
    from copilot.assembly.erasure import open_erasure

    settings = settings_of(context)
    with open_erasure(settings) as erasure:
        for name in call_id:
            files = erasure.erase(OrgId(settings.org), CallId(name), f"cli:uid-{os.getuid()}")
            if json_:
                print_line({"call_id": name, "recording_files": files})
            else:
                typer.echo(f"{name}: erased, with {files} files of its recording.")


@retention.command("run")
def run(
    context: typer.Context,
    days: Annotated[int, typer.Option("--days", min=0, help="Keep calls of so many days (default: retention.days).")] = 0,
    json_: Json = False,
) -> None:
    """Erase every ended call that is older than the rule, now. A server does it once an hour by itself when retention.days is set."""
    from copilot.assembly.erasure import open_erasure

    settings = settings_of(context)
    kept = days or settings.retention.days
    if not kept:
        raise InvalidInput("No rule says how long calls are kept; give --days or set retention.days.")
    with open_erasure(settings) as erasure:
        erased = erasure.expire(kept)
    if json_:
        print_json({"days": kept, "erased": erased})
    else:
        typer.echo(f"{erased} calls older than {kept} days were erased.")
