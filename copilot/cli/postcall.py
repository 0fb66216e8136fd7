"""``pangting postcall``: after-call work on a transcript."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from copilot.cli.inputs import Language, existing, text_of
from copilot.cli.output import Json, print_json, print_line, settings_of
from copilot.codec import to_json
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


@app.command("import")
def bring_in(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(help="A folder of recordings, one recording, or a CSV file with a column `file`.")],
    language: Language = "zh",
    speakers: Annotated[
        Literal["auto", "voices", "none"],
        typer.Option("--speakers", help="Of recordings with one channel: by voices if the extra is installed (auto), by voices, or not."),
    ] = "auto",
    json_: Json = False,
) -> None:
    """Bring recordings in as calls: recognised here, worked up by the worker behind live calls. A second time changes nothing."""
    import asyncio

    from copilot.assembly import open_import, recordings_of

    files = recordings_of(existing(source, folder=True), "en" if language == "en" else "zh")
    if not files:
        raise InvalidInput(f"{source} holds no recording (WAV, FLAC, MP3, OGG).")

    async def work() -> int:
        failed = 0
        async with open_import(settings_of(context), speakers=speakers) as desk:
            for number, file in enumerate(files, start=1):
                done = await desk.bring_in(file)
                failed += done.outcome == "failed"
                if json_:
                    print_line({**to_json(done), "path": str(done.path)})
                    continue
                told = done.reason or f"{done.utterances} utterances, {done.duration_ms / 1000:.0f} s, speakers: {done.speakers or '-'}"
                typer.echo(f"[{number}/{len(files)}] {done.outcome:<8} {done.path.name}  {told}")
        return failed

    failed = asyncio.run(work())
    if failed:
        typer.echo(f"{failed} of {len(files)} could not be brought in; mend them and run the command again.", err=True)
        raise typer.Exit(1)
