"""``pangting postcall``: after-call work on a transcript."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from copilot.cli.inputs import Language, text_of
from copilot.cli.output import Json, print_json, settings_of
from copilot.domain.errors import InvalidInput

app = typer.Typer(help="After-call work.", no_args_is_help=True)


@app.command()
def run(
    context: typer.Context,
    transcript: Annotated[Path, typer.Option("--transcript", help="JSON list of {channel, start_ms, end_ms, text}.")],
    language: Language = "zh",
    json_: Json = False,
) -> None:
    """Summary, ticket and scorecard of one transcript, with the bank packs that were imported."""
    from copilot.assembly import postcall_desk
    from postcall.turns import turns_from_json

    try:
        lines: Any = json.loads(text_of(transcript))
    except ValueError as error:
        raise InvalidInput(f"{transcript} is not valid JSON ({error}).") from error
    # Before models and packs are loaded: a faulty transcript is told at once.
    turns_from_json(lines)
    with postcall_desk(settings_of(context)) as produce:
        result = produce(lines, language)
    if json_:
        print_json(result)
        return
    summary, ticket, scorecard = result["summary"], result["ticket"], result["scorecard"]
    typer.echo(summary["overall"])
    typer.echo(f"{ticket['level1']} › {ticket['level2']}  ({ticket['confidence']:.2f})")
    typer.echo(f"{scorecard['score']:.0f} / 100")
    for item in scorecard["items"]:
        typer.echo(f"  {item['answer']:<12} {item['item_id']}")
