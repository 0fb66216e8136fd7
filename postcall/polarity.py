"""Done or not done, and until when: what overlap with the transcript does not see, checked by rule. Pure."""

from __future__ import annotations

from typing import Literal

from postcall.cues import CUES


def polarity(text: str, language: str) -> Literal["done", "not_done", ""]:
    """Whether a text tells of an act as done or as not done; empty when it tells of none, or of both."""
    cues = CUES[language]
    undone = cues.undone.search(text) is not None
    # What is left when the denied acts are taken out: 已登记，但没有冻结 tells of both.
    done = cues.done.search(cues.undone.sub("", text)) is not None
    if undone == done:
        return ""
    return "not_done" if undone else "done"


def due(text: str, language: str) -> str:
    """The time that a text names, in its words; empty when it names none."""
    found = CUES[language].due.search(text)
    return found[0].strip() if found is not None else ""
