"""``pangting privacy``: what the masker sees."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import typer

from copilot.cli.inputs import Language
from copilot.cli.output import Json, print_line
from copilot.domain.errors import InvalidInput

app = typer.Typer(help="Personal information in text.", no_args_is_help=True)


def _lines() -> Iterator[str]:
    """Lines of standard input without their ends, UTF-8 whatever the locale. Raises InvalidInput naming the line."""
    for number, raw in enumerate(sys.stdin.buffer, 1):
        try:
            yield raw.rstrip(b"\r\n").decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidInput(f"Line {number} of the input is not UTF-8 text; convert the input to UTF-8.") from None


@app.command()
def mask(
    json_: Json = False,
    language: Language = "zh",
) -> None:
    """Read lines from standard input; print each with its personal information as tokens. With --json: one {text, spans} object a line."""
    from copilot.privacy.masker import Masker

    for line in _lines():
        # Every line is a text of its own: numbering starts again, as for a call of one sentence.
        masked = Masker(language).mask(line)
        if json_:
            print_line({"text": masked.text, "spans": [{"start": s.start, "end": s.end, "type": s.type} for s in masked.spans]})
        else:
            typer.echo(masked.text)
