"""Runs an HTTP look-up that a tool file declares: its host only, no redirects, bounded in time and size, its fields only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from copilot.domain.errors import EngineError, InvalidInput
from copilot.tools.files import HttpTool

_MOST_BYTES = 65_536
_MOST_TEXT = 500


def address(tool: HttpTool, values: Mapping[str, str]) -> str:
    """The URL with its holes filled. Raises InvalidInput for a value that is missing, too many, or does not match its pattern."""
    if set(values) != {parameter.name for parameter in tool.parameters}:
        raise InvalidInput("The look-up needs exactly the values that its file names.")
    url = tool.url
    for parameter in tool.parameters:
        value = values[parameter.name]
        if len(value) > _MOST_TEXT or parameter.pattern.fullmatch(value) is None or set(value) <= {"."}:
            raise InvalidInput(f"The value for {parameter.name} does not have the form that the look-up asks for.")
        url = url.replace(f"{{{parameter.name}}}", quote(value, safe=""))
    return url


def look_up(tool: HttpTool, values: Mapping[str, str], client: httpx.Client) -> dict[str, str]:
    """field → text. ``client`` must not follow redirects of itself. Raises InvalidInput, EngineError. Blocks."""
    url = address(tool, values)
    try:
        with client.stream(tool.method, url, timeout=tool.timeout_s, follow_redirects=False) as response:
            if response.status_code != httpx.codes.OK:
                raise EngineError(f"The look-up's server answered with status {response.status_code}.")
            body = b""
            for piece in response.iter_bytes():
                body += piece
                if len(body) > _MOST_BYTES:
                    raise EngineError("The look-up's answer is too long.")
    except httpx.HTTPError as error:
        raise EngineError(f"The look-up's server could not be reached in time ({type(error).__name__}).", retryable=True) from None
    return _fields(tool, body)


def _fields(tool: HttpTool, body: bytes) -> dict[str, str]:
    try:
        answer: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise EngineError("The look-up's answer is not JSON.") from None
    if not isinstance(answer, dict):
        raise EngineError("The look-up's answer is not a JSON object.")
    found = {name: answer[name] for name in tool.fields if name in answer}
    return {name: str(value)[:_MOST_TEXT] for name, value in found.items() if isinstance(value, str | int | float | bool)}
