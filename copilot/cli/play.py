"""``pangting play``: any recording as a live call."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from copilot.cli.inputs import Language, existing
from copilot.cli.output import Json, print_line
from copilot.domain.errors import EngineError, InvalidInput


async def announce(api: str, key: str, call_id: str, channels: list[str], metadata: Mapping[str, str]) -> list[str]:
    """Announces a call over HTTP; the ids its connections must give. Raises EngineError, InvalidInput with the server's sentence."""
    import httpx

    plain = dict(metadata)
    body = {"call_id": call_id, "legs": [{"channel": channel} for channel in channels], "language": plain.pop("language", None)}
    try:
        async with httpx.AsyncClient(base_url=api, trust_env=False, timeout=20) as client:
            headers = {"Authorization": f"Bearer {key}"}
            answer = await client.post("/api/v1/telephony/calls", json=body | {"metadata": plain}, headers=headers)
            told = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise EngineError(f"{api} cannot be reached ({type(error).__name__}): is the server running?", retryable=True) from error
    if answer.status_code != 201:
        raise InvalidInput(str(told.get("detail", f"The server answered with HTTP status {answer.status_code}.")))
    return [str(leg["id"]) for leg in told["legs"]]


def play(
    file: Annotated[Path, typer.Argument(help="Audio file with one or two channels (customer left, agent right).")],
    url: Annotated[str, typer.Option("--url", help="Telephony address, e.g. ws://127.0.0.1:8765/v1/twilio or tcp://127.0.0.1:9092.")],
    protocol: Annotated[
        str, typer.Option("--protocol", help="What the server's path speaks: raw, twilio, audiohook, asterisk, audiosocket, freeswitch …")
    ] = "raw",
    call_id: Annotated[str, typer.Option("--call-id", help="Call id (default: a new one).")] = "",
    agent: Annotated[str, typer.Option("--agent", help="User name of the agent whose sidebar shows the call.")] = "",
    language: Language = "zh",
    key_env: Annotated[str, typer.Option("--key-env", help="Environment variable with the integration's key.")] = "PANGTING_KEY",
    secret_env: Annotated[
        str, typer.Option("--secret-env", help="Environment variable with the client secret that signs the handshake (audiohook).")
    ] = "PANGTING_SECRET",  # noqa: S107 - the name of a variable
    api: Annotated[
        str, typer.Option("--api", help="Announce the call first, at the server's API, e.g. http://127.0.0.1:8000 (audiosocket).")
    ] = "",
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

    key = os.environ.get(key_env, "")
    metadata = {"agent": agent} if agent else {}
    call = call_id or f"play-{os.urandom(6).hex()}"
    asyncio.run(
        send(
            file,
            protocol=protocol,
            url=url,
            key=key,
            secret=os.environ.get(secret_env, ""),
            announce=partial(announce, api, key) if api else None,
            call_id=call,
            metadata=metadata,
            on_event=show,
            speed=speed,
            language=language,
        )
    )
    if not json_:
        typer.echo(f"Call {call} is over.")
