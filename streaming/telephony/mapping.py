"""What a peer's metadata means to us: which key is the call id, the agent, the caller's number … as the integration says. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from copilot.domain.audio import CallStart
from copilot.domain.errors import ConfigError, RemoteProtocolError
from copilot.domain.ids import is_call_id
from streaming.telephony.messages import BAD_PAYLOAD, MAX_METADATA_ENTRIES, language_of

FIELDS: Final = ("call_id", "agent", "customer", "customer_id", "ani", "dnis", "skill", "direction", "language")
"""Our names, in the order in which they are kept when there is too much metadata."""


def check_mapping(keys: Mapping[str, str], integration: str) -> None:
    """Raises ConfigError for a name that is not ours, or an empty key of the peer's."""
    for name, key in keys.items():
        if name not in FIELDS or not key:
            raise ConfigError(
                f"metadata_keys of integration {integration!r} must map some of {', '.join(FIELDS)} to the names the peer gives them."
            )


def mapped(start: CallStart, keys: Mapping[str, str], fresh_id: str) -> CallStart:
    """``start`` with the peer's values under our names, and with an id: the mapped one, else its own, else ``fresh_id``.

    ``keys`` maps our names to the peer's (``{"call_id": "variables.uuid", "ani": "from"}``; nested objects have dotted names). A value
    moves: its old name is gone. At most 32 entries stay, ours first. Raises RemoteProtocolError (1007) when the key that names the call is
    missing or no call id, or the language is none of ours.
    """
    ours = {name: start.metadata[key] for name, key in keys.items() if key in start.metadata}
    external_id = start.external_id or fresh_id
    if "call_id" in keys:
        external_id = ours.pop("call_id", "")
        if not is_call_id(external_id):
            raise RemoteProtocolError(
                f'The metadata needs "{keys["call_id"]}": 1–128 letters, digits or . _ : - that begin with a letter or digit.',
                code=BAD_PAYLOAD,
            )
    taken = set(keys.values())
    rest = {name: value for name, value in start.metadata.items() if name not in taken and name not in ours}
    everything = {name: ours[name] for name in FIELDS if name in ours} | dict(sorted(rest.items(), key=lambda item: item[0] not in FIELDS))
    language = language_of(ours["language"]) if "language" in ours else start.language
    metadata = dict(list(everything.items())[:MAX_METADATA_ENTRIES])
    return replace(start, external_id=external_id, language=language, metadata=metadata)
