"""``pangting play``: any recording as a live call."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from copilot.cli.inputs import Language, existing
from copilot.cli.output import Json, print_line


def play(
    file: Annotated[Path, typer.Argument(help="Audio file with one or two channels (customer left, agent right).")],
    url: Annotated[str, typer.Option("--url", help="Telephony websocket, e.g. ws://127.0.0.1:8765/v1/twilio.")],
    protocol: Annotated[
        str, typer.Option("--protocol", help="What the server's path speaks: raw, twilio, freeswitch, jambonz, vonage …")
    ] = "raw",
    call_id: Annotated[str, typer.Option("--call-id", help="Call id (default: a new one).")] = "",
    agent: Annotated[str, typer.Option("--agent", help="User name of the agent whose sidebar shows the call.")] = "",
    language: Language = "zh",
    key_env: Annotated[str, typer.Option("--key-env", help="Environment variable with the integration's key.")] = "PANGTING_KEY",
    speed: Annotated[float, typer.Option("--speed", min=0.1, max=20.0, help="1.0 is real time.")] = 1.0,
    json_: Json = False,
) -> None:
    """Play a recording into a running server as if it were a call, paced in real time."""
    from streaming.play import play as send

    existing(file)

    def show(event: dict[str, Any]) -> None:
        if json_:
            print_line(event)
        elif event.get("type") == "final":
            typer.echo(f"{event['start_ms'] / 1000:7.2f} s  {event['channel']:<8}  {event['text']}")

    metadata = {"agent": agent} if agent else {}
    call = call_id or f"play-{os.urandom(6).hex()}"
    asyncio.run(
        send(
            file,
            protocol=protocol,
            url=url,
            key=os.environ.get(key_env, ""),
            call_id=call,
            metadata=metadata,
            on_event=show,
            speed=speed,
            language=language,
        )
    )
    if not json_:
        typer.echo(f"Call {call} is over.")
