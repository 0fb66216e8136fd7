"""``pangting rules``: run the rules over finished calls, and compare with what came live."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from copilot.cli.inputs import Language, existing
from copilot.cli.output import Json, print_json, settings_of

app = typer.Typer(help="Compliance rules: one language, live and after the call.", no_args_is_help=True)


@app.command()
def run(
    context: typer.Context,
    call: Annotated[str, typer.Argument(help="The id of a finished call, or a JSON file of lines {channel, start_ms, end_ms, text}.")],
    rules: Annotated[Path | None, typer.Option("--rules", help="These rules instead of those in force.")] = None,
    language: Language = "zh",
    json_: Json = False,
) -> None:
    """Run the rules over a finished call and compare with the alerts that the agent saw."""
    from copilot.assembly.rule_tools import open_rule_desk

    text = existing(rules).read_text(encoding="utf-8") if rules is not None else None
    with open_rule_desk(settings_of(context)) as desk:
        path = Path(call)
        result: dict[str, Any] = (
            desk.run_lines(json.loads(path.read_text(encoding="utf-8")), language, text) if path.is_file() else desk.run_call(call, text)
        )
    if json_:
        print_json(result)
        return
    for alert in result["alerts"]:
        typer.echo(f"{alert['at_ms'] / 1000:8.1f}s  {alert['severity']:<8} {alert['rule_id']:<28} {alert['quote']}")
    typer.echo(f"{len(result['alerts'])} alerts.")
    for key, words in (("only_live", "only live"), ("only_after", "only after the call")):
        if result.get(key):
            typer.echo(f"{words}: {', '.join(result[key])}")


@app.command()
def compare(
    context: typer.Context,
    last: Annotated[int, typer.Option("--last", min=1, max=1000, help="So many of the newest ended calls.")] = 200,
    json_: Json = False,
) -> None:
    """The alerts that came live beside those of the rules in force over the finished calls: totals by rule, those that differ first."""
    from copilot.assembly.pack_tools import dry_run_file

    result = dry_run_file(settings_of(context), "compliance", None, {"limit": last}, lambda _done, _total: True)
    if json_:
        print_json({name: result[name] for name in ("calls", "skipped", "version", "live")})
        return
    typer.echo(f"{result['calls']} calls, rules version {result['version']}. Alerts counted once per utterance.")
    typer.echo(f"{'rule':<36} {'live':>5} {'after':>6} {'both':>5} {'only live':>10} {'only after':>11}")
    for line in result["live"]:
        if line["live"] or line["after"]:
            figures = f"{line['live']:>5} {line['after']:>6} {line['both']:>5} {line['only_live']:>10} {line['only_after']:>11}"
            typer.echo(f"{line['key']:<36} {figures}")
