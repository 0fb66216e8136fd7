"""The wordings of ``kb/wordings.yaml``, compiled. Read once, when first asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

Pattern = re.Pattern[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wordings:
    """Of one language; what each part means is said in the file."""

    contrasts: tuple[tuple[tuple[str, ...], ...], ...]
    aspects: Mapping[str, tuple[Pattern, ...]]
    stances: Mapping[str, tuple[tuple[Pattern, ...], tuple[Pattern, ...]]]
    synonyms: tuple[tuple[str, ...], ...]
    openings: tuple[str, ...]


@cache
def wordings(language: str) -> Wordings:
    """``zh``, else English."""
    text = resources.files("kb").joinpath("wordings.yaml").read_text(encoding="utf-8")
    part: dict[str, Any] = yaml.safe_load(text)["zh" if language == "zh" else "en"]
    return Wordings(
        contrasts=tuple(tuple(tuple(str(entry).split("|")) for entry in group) for group in part["contrasts"]),
        aspects={name: _compiled(patterns) for name, patterns in part["aspects"].items()},
        stances={name: (_compiled(sides["yes"]), _compiled(sides["no"])) for name, sides in part["stances"].items()},
        synonyms=tuple(tuple(str(word) for word in group) for group in part["synonyms"]),
        openings=tuple(str(opening) for opening in part["openings"]),
    )


def _compiled(patterns: list[str]) -> tuple[Pattern, ...]:
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)
