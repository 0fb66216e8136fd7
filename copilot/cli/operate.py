"""``pangting serve``, ``status``, ``schemas``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from copilot.cli.output import Json, print_json, settings_of
from copilot.domain.errors import InvalidInput


def serve(context: typer.Context) -> None:
    """Run the server: telephony, recognition, live loop, API, sidebar and after-call worker. Ctrl-C ends calls cleanly and stops."""
    import asyncio

    from copilot.assembly import build_server

    server = build_server(settings_of(context))
    sys.exit(asyncio.run(server.run()))


def status(
    context: typer.Context,
    url: Annotated[str, typer.Option("--url", help="Base URL of the server (default: from the settings).")] = "",
    json_: Json = False,
) -> None:
    """Is the server ready to take calls? Exit status 0 if so."""
    import httpx

    settings = settings_of(context)
    base = url or f"http://{settings.server.host}:{settings.server.port}"
    try:
        answer = httpx.get(f"{base}/readyz", timeout=3)
        ready = answer.status_code == 200
        if not ready:
            typer.echo(f"pangting: {base} answers, but cannot take calls yet (status {answer.status_code}).", err=True)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        ready = False
        typer.echo(f"pangting: no server answers at {base} ({type(error).__name__}); start one with: pangting serve", err=True)
    if json_:
        print_json({"url": base, "ready": ready})
    elif ready:
        typer.echo(f"{base} is ready.")
    sys.exit(0 if ready else 1)


def schemas(
    out: Annotated[Path | None, typer.Option("--out", help="Directory for the JSON Schema files (default: print one document).")] = None,
) -> None:
    """The JSON Schemas of events, calls, artifacts, articles and transcripts."""
    import json

    from copilot.codec import schema

    document = schema()
    if out is None:
        print_json(document)
        return
    with _writing(out):
        out.mkdir(parents=True, exist_ok=True)
        (out / "pangting.json").write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    typer.echo(str(out / "pangting.json"))


def reference(out: Annotated[Path, typer.Option("--out", help="Directory of the reference pages.")] = Path("docs/reference")) -> None:
    """Write the reference pages that are made from the code."""
    from copilot.cli.reference import write

    with _writing(out):
        written = write(out)
    for path in written:
        typer.echo(str(path))


@contextlib.contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidInput(f"{out} cannot be written to ({error.strerror}); give another directory with --out.") from error
