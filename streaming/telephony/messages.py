"""Reading JSON text messages from a peer that may send anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from copilot.domain.errors import RemoteProtocolError

MAX_TEXT_CHARS = 65_536
MAX_METADATA_ENTRIES = 32
MAX_METADATA_KEY = 64
MAX_METADATA_VALUE = 512
MAX_LOOSE_ENTRIES = 128
"""Of free-form metadata: what the integration does not map is cut down to 32 later."""
DTMF_DIGITS = tuple("0123456789*#ABCD")

# RFC 6455 §7.4.1
PROTOCOL_VIOLATION = 1002
UNSUPPORTED = 1003
BAD_PAYLOAD = 1007
TOO_BIG = 1009
TRY_AGAIN_LATER = 1013


def parse_object(text: str) -> dict[str, Any]:
    """A JSON object, at most 65,536 characters long. Raises RemoteProtocolError (1007, 1009)."""
    if len(text) > MAX_TEXT_CHARS:
        raise RemoteProtocolError(f"A text message may have at most {MAX_TEXT_CHARS} characters.", code=TOO_BIG)
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise RemoteProtocolError("A text message must be JSON.", code=BAD_PAYLOAD) from None
    if not isinstance(message, dict):
        raise RemoteProtocolError("A text message must be a JSON object.", code=BAD_PAYLOAD)
    return cast("dict[str, Any]", message)


def is_plain(text: str) -> bool:
    """True if the text can be stored and sent on: JSON also escapes halves of surrogate pairs and NUL, which UTF-8 and databases refuse."""
    return "\x00" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def need_str(message: dict[str, Any], key: str, where: str) -> str:
    """The non-empty string ``message[key]`` of at most 512 characters."""
    value = message.get(key)
    if not isinstance(value, str) or not value or len(value) > MAX_METADATA_VALUE or not is_plain(value):
        raise RemoteProtocolError(f'"{where}" needs "{key}" as a non-empty string.', code=BAD_PAYLOAD)
    return value


def need_object(message: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    """The JSON object ``message[key]``."""
    value = message.get(key)
    if not isinstance(value, dict):
        raise RemoteProtocolError(f'"{where}" needs "{key}" as an object.', code=BAD_PAYLOAD)
    return cast("dict[str, Any]", value)


def flat_metadata(value: object, where: str) -> dict[str, str]:
    """Flat strings from the peer; numbers and booleans become strings. At most 32 entries, keys ≤ 64 and values ≤ 512 characters."""
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > MAX_METADATA_ENTRIES:
        raise RemoteProtocolError(f'"{where}" must be an object of at most {MAX_METADATA_ENTRIES} strings.', code=BAD_PAYLOAD)
    metadata: dict[str, str] = {}
    for key, item in value.items():
        if isinstance(item, bool):
            item = "true" if item else "false"  # noqa: PLW2901 - the JSON spelling, not Python's
        elif isinstance(item, int | float):
            item = str(item)  # noqa: PLW2901
        if (
            not isinstance(item, str)
            or not key
            or len(key) > MAX_METADATA_KEY
            or len(item) > MAX_METADATA_VALUE
            or not is_plain(key + item)
        ):
            raise RemoteProtocolError(
                f'"{where}" must hold strings: keys of at most {MAX_METADATA_KEY}, values of at most {MAX_METADATA_VALUE} characters.',
                code=BAD_PAYLOAD,
            )
        metadata[key] = item
    return metadata


def loose_metadata(value: Mapping[str, object]) -> dict[str, str]:
    """Free-form JSON as flat strings: nested objects become ``outer.inner``, and what does not fit is left out instead of refused.

    At most 128 entries, three levels deep; lists and null are left out; keys ≤ 64 and values ≤ 512 characters.
    """
    flat: dict[str, str] = {}
    waiting: list[tuple[str, int, Mapping[str, object]]] = [("", 0, value)]
    while waiting:
        prefix, depth, level = waiting.pop(0)
        for name, item in level.items():
            key = prefix + name
            if len(flat) >= MAX_LOOSE_ENTRIES or not name or len(key) > MAX_METADATA_KEY or not is_plain(key):
                continue
            if isinstance(item, dict) and depth < 2:
                waiting.append((key + ".", depth + 1, item))
            elif isinstance(item, bool):
                flat[key] = "true" if item else "false"
            elif isinstance(item, int | float | str) and len(text := str(item)) <= MAX_METADATA_VALUE and is_plain(text):
                flat[key] = text
    return flat


def whole_number(value: object, limit: int) -> int | None:
    """A whole number in [0, limit], as a JSON number or, as many vendors write it, a string of digits; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 16:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= limit else None


def language_of(value: object) -> str | None:
    """``zh`` or ``en`` from a language tag such as ``zh-CN``; None if absent. Raises RemoteProtocolError for another language."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        primary = value.replace("_", "-").split("-")[0].lower()
        if primary in {"zh", "en"}:
            return primary
    raise RemoteProtocolError('"language" must be zh or en.', code=BAD_PAYLOAD)
