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

from copilot.domain.packs import PackFault

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
        "leads": "leads",
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
        "leads": ("id", "name", "patterns"),
    }
)
_LANGUAGES = frozenset({"zh", "en"})
_PATTERN_KEYS = frozenset({"patterns", "rules"})
_SHORTEST_ALIAS = 2


def faults(name: str, text: str) -> list[PackFault]:
    """What is wrong with a pack, each with its entry; empty if it is fit for use."""
    try:
        data = yaml.load(text, yaml.CSafeLoader)
    except yaml.YAMLError as error:
        return [syntax_fault(error)]
    key = LISTS[name]
    entries = data.get(key) if isinstance(data, dict) else None
    if not isinstance(entries, list) or not entries:
        return [PackFault(place="", message=f"must hold a list called {key}", path=(key,))]
    found: list[PackFault] = []
    seen: set[str] = set()
    for number, entry in enumerate(entries, 1):
        path: tuple[str | int, ...] = (key, number - 1)
        if not isinstance(entry, dict):
            found.append(PackFault(place=f"{key} {number}", message="must be a mapping", path=path))
            continue
        label = entry.get("id", entry.get("text"))
        where = f"{key} {number}" + (f" ({label})" if label else "")
        problems = [(f"{required} is missing", path) for required in _REQUIRED[name] if entry.get(required) in (None, "", [], {})]
        if isinstance(label, str):
            if label in seen:
                problems.append(("is there twice; keep one", path))
            seen.add(label)
        names = entry.get("name")
        if isinstance(names, dict) and not _LANGUAGES.issubset(names):
            problems.append(("name must be given in zh and en", (*path, "name")))
        problems += [(problem, (*path, *below)) for problem, below in _bad_patterns(entry)]
        problems += [(f"the step {step} is there twice; keep one", (*path, "steps", at)) for at, step in _doubled_steps(entry.get("steps"))]
        found += [PackFault(place=where, message=message, path=at) for message, at in problems]
    if name == "lexicon":
        found += _bad_terms(entries)
    return found


def _doubled_steps(steps: Any) -> Iterator[tuple[int, str]]:
    names = [str(step.get("id")) if isinstance(step, dict) else "" for step in steps] if isinstance(steps, list) else []
    return ((at, name) for at, name in enumerate(names) if name and name in names[:at])


def syntax_fault(error: yaml.YAMLError) -> PackFault:
    """A text that is no YAML, with the place at which reading stopped."""
    mark = getattr(error, "problem_mark", None)
    said = str(getattr(error, "problem", None) or error).splitlines()[0]
    line = mark.line + 1 if mark is not None else 0
    return PackFault(
        place="", message=f"not valid YAML{f' at line {line}' if line else ''} ({said})", line=line, column=mark.column + 1 if mark else 0
    )


def _bad_terms(entries: list[Any]) -> Iterator[PackFault]:
    """Weights and aliases of a lexicon. An alias is replaced wherever it stands, so it must be no term and belong to one."""
    known = [(number, entry) for number, entry in enumerate(entries) if isinstance(entry, dict)]
    terms = {str(entry.get("text")) for _, entry in known}
    owners: dict[str, str] = {}
    for number, entry in known:
        term = str(entry.get("text"))

        def fault(message: str, *below: str | int, term: str = term, number: int = number) -> PackFault:
            return PackFault(place=f"terms ({term})", message=message, path=("terms", number, *below))

        weight = entry.get("weight", 1.0)
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < math.inf:
            yield fault("weight must be a number above 0", "weight")
        aliases = entry.get("aliases", [])
        if not isinstance(aliases, list):
            yield fault("aliases must be a list", "aliases")
            continue
        for at, alias in enumerate(aliases):
            if not isinstance(alias, str) or len(alias.strip()) < _SHORTEST_ALIAS:
                yield fault(f"the alias {alias!r} must be a text of at least {_SHORTEST_ALIAS} characters", "aliases", at)
            elif alias in terms:
                yield fault(f"the alias {alias!r} is itself a term", "aliases", at)
            elif owners.setdefault(alias.casefold(), term) != term:
                yield fault(f"the alias {alias!r} belongs to {owners[alias.casefold()]} already", "aliases", at)


def _bad_patterns(node: Any, key: str = "", path: tuple[str | int, ...] = ()) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """Patterns anywhere below, under ``patterns`` or ``rules``: a list, or a list per language. Each with its path."""
    if isinstance(node, dict):
        inside = key if key in _PATTERN_KEYS and set(node) <= _LANGUAGES else ""
        for name, value in node.items():
            yield from _bad_patterns(value, inside or str(name), (*path, str(name)))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            if isinstance(value, str) and key in _PATTERN_KEYS:
                try:
                    re.compile(value)
                except re.error as error:
                    yield f"the pattern {value!r} does not compile ({error})", (*path, number)
            else:
                yield from _bad_patterns(value, key, (*path, number))
