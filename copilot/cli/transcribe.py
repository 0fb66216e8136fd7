"""``pangting transcribe``: files through the same engine as live calls."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from copilot.cli.inputs import Language, existing
from copilot.cli.output import Json, print_line, settings_of


def transcribe(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="Audio files (WAV, FLAC, OGG …) with one or two channels.")],
    language: Language = "zh",
    json_: Json = False,
) -> None:
    """Transcribe recordings. Two channels are customer (left) and agent (right). With --json: one object a line, for each file."""
    from copilot.assembly import batch_transcriber
    from copilot.codec import to_json

    # All of them first: a wrong name at the end of a long list is told before an hour of work.
    for file in files:
        existing(file)
    with batch_transcriber(settings_of(context)) as work:
        for file in files:
            finals = work(file, language)
            if json_:
                said = [{key: value for key, value in to_json(final).items() if key != "voice"} for final in finals]
                print_line({"file": str(file), "language": language, "utterances": said})
                continue
            typer.echo(f"{file}")
            for final in finals:
                typer.echo(f"  {final.start_ms / 1000:7.2f}–{final.end_ms / 1000:7.2f} s  {final.channel:<8}  {final.text}")
