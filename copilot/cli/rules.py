"""``pangting rules``: check a file, run the rules over a finished call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from copilot.cli.inputs import Language, existing
from copilot.cli.output import Json, print_json, settings_of

app = typer.Typer(help="Compliance rules: one language, live and after the call.", no_args_is_help=True)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A compliance.yaml.")],
    json_: Json = False,
) -> None:
    """Check a file of rules: every fault with its place in the file and the way out. Exit status 1 if there is one."""
    from copilot.live.rules import compliance_faults, parse_compliance

    existing(file)
    text = file.read_text(encoding="utf-8")
    faults = compliance_faults(text)
    if json_:
        print_json({"file": str(file), "faults": faults, "rules": 0 if faults else len(parse_compliance(text))})
    else:
        for fault in faults:
            typer.echo(f"{file}: {fault}")
        if not faults:
            typer.echo(f"{file}: {len(parse_compliance(text))} rules, no fault.")
    if faults:
        raise typer.Exit(1)


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
