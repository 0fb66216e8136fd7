"""``pangting privacy``: what the masker sees."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from copilot.cli.output import Json, print_line

app = typer.Typer(help="Personal information in text.", no_args_is_help=True)


@app.command()
def mask(
    json_: Json = False,
    language: Annotated[str, typer.Option("--language", help="zh or en: whose cues are tried first.")] = "zh",
) -> None:
    """Read lines from stdin; print each with its personal information as tokens (--json: one {text, spans} object a line)."""
    from copilot.privacy.masker import Masker

    for raw in sys.stdin:
        line = raw.rstrip("\n")
        # Every line is a text of its own: numbering starts again, as for a call of one sentence.
        masked = Masker(language).mask(line)
        if json_:
            print_line({"text": masked.text, "spans": [{"start": s.start, "end": s.end, "type": s.type} for s in masked.spans]})
        else:
            typer.echo(masked.text)
