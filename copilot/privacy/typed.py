"""What a person typed about a call (a note, a corrected summary, a whisper), masked before it is stored. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from copilot.privacy.find import find_pii
from copilot.privacy.texts import replaced

_SHORTEST = 3
"""Shorter values are found in words that have nothing to do with them."""


def mask_typed(text: str, vault: Mapping[str, str] | None = None) -> str:
    """``text`` with the call's known values (``vault``: token → value) as their tokens, and anything else that is personal as its kind.

    A value that the call has not heard gets no token of its own (【手机号】): nobody needs it back.
    """
    for token, value in sorted((vault or {}).items(), key=lambda item: -len(item[1])):
        if len(value) >= _SHORTEST:
            text = text.replace(value, token)
    return replaced(text, [(span, f"【{span.type}】") for span in find_pii(text)]).text
