"""``pangting calls`` and ``pangting retention``: finding what was said, and erasing it."""

from __future__ import annotations

import os
from typing import Annotated, Literal

import typer

from copilot.cli.output import Json, print_json, print_line, settings_of
from copilot.domain.errors import InvalidInput
from copilot.domain.ids import CallId, OrgId

app = typer.Typer(help="Stored calls.", no_args_is_help=True)
Several = list[str] | None
retention = typer.Typer(help="How long calls are kept.", no_args_is_help=True)


@app.command()
def search(
    context: typer.Context,
    query: Annotated[str, typer.Argument(help='Words; "…" in one piece, -word must not be there. Empty: whatever fits the options.')] = "",
    mode: Annotated[
        Literal["words", "sound", "meaning"],
        typer.Option(help="Every word is there; or sounds like it; or the calls were about something like it."),
    ] = "words",
    team: Annotated[Several, typer.Option(help="Only calls of this team; several: of any of them. So are the next ones.")] = None,
    agent: Annotated[Several, typer.Option(help="User id.")] = None,
    ticket: Annotated[Several, typer.Option(help="Category: level1, or /level2.")] = None,
    intent: Annotated[Several, typer.Option(help="Intent.")] = None,
    score: Annotated[Several, typer.Option(help="Quality: fatal, 0, 60, 75, 85 or 95 (the band by its lower end).")] = None,
    risk: Annotated[Several, typer.Option(help="Complaint risk: high, watch or low.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many calls, newest (by meaning: nearest) first.")] = 20,
    json_: Json = False,
) -> None:
    """Find ended calls. Leaves an audit line without the words."""
    from copilot.assembly import open_call_search

    given = {"team": team, "agent": agent, "ticket": ticket, "intent": intent, "score": score, "risk": risk}
    chosen = {name: tuple(values) for name, values in given.items() if values}
    with open_call_search(settings_of(context)) as desk:
        found = desk.search(query, mode, chosen, limit, f"cli:uid-{os.getuid()}")
    if json_:
        print_json(found)
        return
    typer.echo(f"{found['total']} calls")
    for call in found["calls"]:
        typer.echo(f"{call['call_id']}  {call['started_at'] or ''}  {call['ticket'] or ''}")
        for match in call["matches"]:
            minutes, seconds = divmod(match["start_ms"] // 1000, 60)
            where = f"{match['channel']} {minutes:02}:{seconds:02}" if match["channel"] else "summary"
            typer.echo(f"  {where}  {match['text']}")


@app.command()
def reindex(
    context: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; do index and store agree? (Status 1: no.)")] = False,
    json_: Json = False,
) -> None:
    """Build the index of calls anew from the store, beside the one in use. Vectors that it has are not made again."""
    from rich.console import Console
    from rich.progress import Progress

    from copilot.assembly import open_call_search

    console = Console(stderr=True)
    with (
        open_call_search(settings_of(context)) as desk,
        Progress(console=console, disable=not console.is_terminal, transient=True) as bar,
    ):
        task = bar.add_task("calls", total=None)
        result = desk.check() if check else desk.reindex(lambda done, _total: bar.update(task, completed=done))
    if json_:
        print_json(result)
    else:
        if not check:
            typer.echo(f"{result['written']} calls were written in {result['seconds']:.1f} s.")
        typer.echo(f"{result['calls']} calls in the index, {len(result['differences'])} differ from the store.")
    if result["differences"] or result["stale"]:
        raise typer.Exit(1)


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
