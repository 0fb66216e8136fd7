"""Finds personal information in a line of speech or text. Pure; same text and context, same spans.

One recogniser after another takes its places, the surest first: e-mail addresses, plates, addresses, numbers, names. What each looks at is
in its own module; docs/explanation/privacy-at-the-door.md tells how they decide.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from copilot.privacy.contacts import emails, word_secrets
from copilot.privacy.digits import Run, has_digits, runs
from copilot.privacy.english import english_addresses, english_names
from copilot.privacy.names import chinese_names
from copilot.privacy.numbers import numbers
from copilot.privacy.places import addresses, plates
from copilot.privacy.spans import Kind, Span

_TOKEN = re.compile(r"【[^【】]{0,12}】")
_LATIN = re.compile(r"[A-Za-z]")
_HAN = re.compile(r"[\u4e00-\u9fff]")


def find_pii(text: str, expected: Kind | Sequence[Kind] | None = None, known: Sequence[str] = ()) -> list[Span]:
    """Spans of ``text``, in order, without overlap.

    ``expected``: what the call waits for (one kind, or several, the newest last), so that a bare answer is understood. ``known``: names
    that were said before.
    """
    waiting: tuple[Kind, ...] = () if expected is None else (expected,) if isinstance(expected, str) else tuple(expected)
    # What is a token already stays, and its name announces nothing.
    text = _TOKEN.sub(lambda token: "。" * len(token.group()), text)
    latin, han = _LATIN.search(text) is not None, _HAN.search(text) is not None
    found: list[Span] = []
    if latin or "@" in text:
        found += emails(text)
        found += word_secrets(text, waiting, found)
    if has_digits(text):
        if han or latin:
            found += plates(text, waiting, found)
        if han:
            found += addresses(text, waiting, found)
        if latin:
            found += [
                span
                for span in english_addresses(text, waiting)
                if all(span.end <= other.start or span.start >= other.end for other in found)
            ]
        found += numbers(text, waiting, found)
    elif han:
        found += addresses(text, waiting, found)
    if han:
        found += chinese_names(text, waiting, found, known)
    if latin:
        found += english_names(text, waiting, found)
    return sorted(found, key=lambda span: span.start)


def trailing_digits(text: str) -> Run | None:
    """The digit string that runs to the end of ``text`` and may go on; None if there is none."""
    found = runs(text)
    if found and not text[found[-1].end :].strip(" -–—,，、"):
        return found[-1]
    return None
