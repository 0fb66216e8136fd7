"""The configuration files beside the articles (intents, taxonomy, rubric, sop, compliance, lexicon): checked before they are stored.

Checked here is what every reader relies on: it parses, its list is there, ids are unique, names are in both languages, patterns compile.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import yaml

LISTS: Mapping[str, str] = MappingProxyType(
    {
        "intents": "intents",
        "taxonomy": "categories",
        "rubric": "items",
        "sop": "checklists",
        "compliance": "rules",
        "lexicon": "terms",
        "moods": "moods",
        "review": "plans",
    }
)
"""The packs, and the list that each must hold."""

_REQUIRED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "intents": ("id", "name", "examples"),
        "taxonomy": ("id", "name", "children"),
        "rubric": ("id", "section", "weight", "name", "check"),
        "sop": ("id", "intents", "name", "steps"),
        "compliance": ("id", "severity", "kind", "channel", "name"),
        "lexicon": ("text",),
        "moods": ("id", "name", "examples"),
        "review": ("id", "kind"),
    }
)
_LANGUAGES = frozenset({"zh", "en"})
_PATTERN_KEYS = frozenset({"patterns", "rules"})
_SHORTEST_ALIAS = 2


def faults(name: str, text: str) -> list[str]:
    """What is wrong with a pack, each with its entry; empty if it is fit for use."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        return [f"not valid YAML{f' at line {mark.line + 1}' if mark else ''} ({getattr(error, 'problem', None) or error})"]
    key = LISTS[name]
    entries = data.get(key) if isinstance(data, dict) else None
    if not isinstance(entries, list) or not entries:
        return [f"must hold a list called {key}"]
    found: list[str] = []
    seen: set[str] = set()
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict):
            found.append(f"{key} {number}: must be a mapping")
            continue
        label = entry.get("id", entry.get("text"))
        where = f"{key} {number}" + (f" ({label})" if label else "")
        found += [f"{where}: {required} is missing" for required in _REQUIRED[name] if entry.get(required) in (None, "", [], {})]
        if isinstance(label, str):
            if label in seen:
                found.append(f"{where}: is there twice; keep one")
            seen.add(label)
        names = entry.get("name")
        if isinstance(names, dict) and not _LANGUAGES.issubset(names):
            found.append(f"{where}: name must be given in zh and en")
        found += [f"{where}: {problem}" for problem in _bad_patterns(entry)]
    if name == "lexicon":
        found += _bad_terms([entry for entry in entries if isinstance(entry, dict)])
    return found


def _bad_terms(entries: list[dict[str, Any]]) -> Iterator[str]:
    """Weights and aliases of a lexicon. An alias is replaced wherever it stands, so it must be no term and belong to one."""
    terms = {str(entry.get("text")) for entry in entries}
    owners: dict[str, str] = {}
    for entry in entries:
        term = str(entry.get("text"))
        weight = entry.get("weight", 1.0)
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < math.inf:
            yield f"terms ({term}): weight must be a number above 0"
        aliases = entry.get("aliases", [])
        if not isinstance(aliases, list):
            yield f"terms ({term}): aliases must be a list"
            continue
        for alias in aliases:
            if not isinstance(alias, str) or len(alias.strip()) < _SHORTEST_ALIAS:
                yield f"terms ({term}): the alias {alias!r} must be a text of at least {_SHORTEST_ALIAS} characters"
            elif alias in terms:
                yield f"terms ({term}): the alias {alias!r} is itself a term"
            elif owners.setdefault(alias.casefold(), term) != term:
                yield f"terms ({term}): the alias {alias!r} belongs to {owners[alias.casefold()]} already"


def _bad_patterns(node: Any, key: str = "") -> Iterator[str]:
    """Patterns anywhere below, under ``patterns`` or ``rules``: a list, or a list per language."""
    if isinstance(node, dict):
        inside = key if key in _PATTERN_KEYS and set(node) <= _LANGUAGES else ""
        for name, value in node.items():
            yield from _bad_patterns(value, inside or str(name))
    elif isinstance(node, list):
        for value in node:
            if isinstance(value, str) and key in _PATTERN_KEYS:
                try:
                    re.compile(value)
                except re.error as error:
                    yield f"the pattern {value!r} does not compile ({error})"
            else:
                yield from _bad_patterns(value, key)
