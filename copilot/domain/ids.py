"""Identifiers. Strings at run time, distinct types for the checker."""

from __future__ import annotations

import re
from typing import NewType

OrgId = NewType("OrgId", str)
CallId = NewType("CallId", str)
UserId = NewType("UserId", str)
TeamId = NewType("TeamId", str)
ArticleId = NewType("ArticleId", str)
PassageId = NewType("PassageId", str)
UtteranceId = NewType("UtteranceId", str)
SuggestionId = NewType("SuggestionId", str)
JobId = NewType("JobId", str)

_CALL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


def is_call_id(value: str) -> bool:
    """True if ``value`` may name a call: 1–128 of ``A–Z a–z 0–9 . _ : -``, so that it is safe in a path and a log line."""
    return _CALL_ID.fullmatch(value) is not None


def utterance_id(channel: str, number: int) -> UtteranceId:
    """The id of the ``number``-th utterance (from 1) of a channel: ``customer-7``. Unique within its call."""
    return UtteranceId(f"{channel}-{number}")


def utterance_number(value: str) -> int:
    """The inverse of ``utterance_id``: 7 of ``customer-7``; 0 for something else."""
    number = value.rpartition("-")[2]
    return int(number) if number.isascii() and number.isdigit() else 0


def suggestion_id(number: int) -> SuggestionId:
    """The id of the ``number``-th suggestion (from 1) of a call: ``s3``. Unique within its call."""
    return SuggestionId(f"s{number}")
