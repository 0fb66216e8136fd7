"""Reading configuration written by people: every fault names the place in the file and what to do about it. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml

from copilot.domain.packs import BadPack, PackFault

T = TypeVar("T")
LANGUAGES = ("zh", "en")
Names = Mapping[str, str]
"""A text per language."""
Patterns = Mapping[str, tuple[re.Pattern[str], ...]]
"""Compiled, case-insensitive patterns per language."""


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping of the file with the place it stands at, such as ``rubric item opening-greeting, check``, and its path in the file."""

    place: str
    data: Mapping[str, Any]
    path: tuple[str | int, ...] = ()

    def fault(self, sentence: str, *below: str | int) -> BadPack:
        """``below``: the way from here to what is wrong."""
        return BadPack([PackFault(place=self.place, message=sentence, path=(*self.path, *below))])

    def text(self, key: str) -> str:
        """A non-empty string. Raises InvalidInput."""
        value = self.data.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.fault(f"`{key}` is missing; give it a text.", key)
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A number not below 0. Raises InvalidInput."""
        value = self.data.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise self.fault(f"`{key}` is {value!r}; it must be a number not below 0.", key)
        return float(value)

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self.data.get(key)
        if value not in allowed:
            raise self.fault(f"`{key}` is {value!r}; it must be one of {', '.join(allowed)}.", key)
        return str(value)

    def flag(self, key: str) -> bool:
        value = self.data.get(key, False)
        if not isinstance(value, bool):
            raise self.fault(f"`{key}` is {value!r}; it must be true or false.", key)
        return value

    def words(self, key: str) -> tuple[str, ...]:
        """A list of strings, empty when absent. Raises InvalidInput."""
        return self._strings(key, self.data.get(key))

    def child(self, key: str, place: str = "") -> Fields:
        """The mapping under ``key``. Raises InvalidInput when it is absent or something else."""
        value = self.data.get(key)
        if not isinstance(value, Mapping):
            raise self.fault(f"`{key}` must be a mapping.", key)
        return Fields(place or f"{self.place}, {key}", value, (*self.path, key))

    def children(self, key: str, what: str) -> tuple[Fields, ...]:
        """The list of mappings under ``key``, each placed by its ``id``. Raises InvalidInput, also when two share an id."""
        value = self.data.get(key)
        if not isinstance(value, list) or not value:
            raise self.fault(f"`{key}` must be a list with at least one entry.", key)
        seen: set[str] = set()
        found = []
        for number, entry in enumerate(value, start=1):
            if not isinstance(entry, Mapping) or not isinstance(entry.get("id"), str) or not entry["id"]:
                raise self.fault(f"entry {number} of `{key}` needs an `id`.", key, number - 1)
            if entry["id"] in seen:
                raise self.fault(f"the id {entry['id']} is there twice in `{key}`; rename one.", key, number - 1)
            seen.add(entry["id"])
            found.append(Fields(f"{what} {entry['id']}", entry, (*self.path, key, number - 1)))
        return tuple(found)

    def names(self, key: str) -> Names:
        """A text per language; at least one language. Raises InvalidInput."""
        value = self.data.get(key)
        if not isinstance(value, Mapping):
            raise self.fault(f"`{key}` must give a text per language, such as {{zh: …, en: …}}.", key)
        names = {str(language): str(text) for language, text in value.items() if text}
        if not names:
            raise self.fault(f"`{key}` is empty; give it a text in at least one language.", key)
        return names

    def word_lists(self, key: str) -> Mapping[str, tuple[str, ...]]:
        """A list of strings per language, empty when absent. Raises InvalidInput."""
        value = self.data.get(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self.fault(f"`{key}` must give a list per language, such as {{zh: [..], en: [..]}}.", key)
        return {str(language): self._strings(f"{key}.{language}", entries, key, str(language)) for language, entries in value.items()}

    def patterns(self, key: str) -> Patterns:
        """Regular expressions per language, at least one. Raises InvalidInput naming the expression."""
        lists = self.word_lists(key)
        if not any(lists.values()):
            raise self.fault(f"`{key}` is empty; give it at least one pattern.", key)
        return {
            language: tuple(self._compile(key, language, number, text) for number, text in enumerate(texts))
            for language, texts in lists.items()
        }

    def _compile(self, key: str, language: str, number: int, text: str) -> re.Pattern[str]:
        try:
            return re.compile(text, re.IGNORECASE)
        except re.error as error:
            sentence = f"the pattern {text!r} in `{key}` is not a valid regular expression ({error}); correct it."
            raise self.fault(sentence, key, language, number) from error

    def _strings(self, key: str, value: Any, *below: str) -> tuple[str, ...]:
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise self.fault(f"`{key}` must be a list of texts (put quotes around what looks like a number).", *(below or (key,)))
        return tuple(value)


def document(text: str, pack: str) -> Fields:
    """The top of a YAML file. Raises InvalidInput with the line of a syntax error."""
    try:
        data = yaml.load(text, yaml.CSafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
        said = f"The pack {pack} is not valid YAML{f' at line {line}' if line else ''}; correct it and import it again."
        raise BadPack([PackFault(place="", message=said, line=line, column=column)]) from error
    if not isinstance(data, Mapping):
        raise BadPack([PackFault(place="", message=f"The pack {pack} is empty or not a mapping; begin it with `version:`.")])
    return Fields(pack, data)


def version_of(fields: Fields) -> str:
    """The pack's version as text. Raises InvalidInput when it is missing."""
    version = fields.data.get("version")
    if isinstance(version, bool) or not isinstance(version, int | str) or version == "":
        raise fields.fault("`version` is missing; give it a number and raise it with every change.", "version")
    return str(version)


def named(names: Names, language: str) -> str:
    """The text in ``language``, else in any other."""
    return names.get(language) or next(iter(names.values()), "")


def each(entries: Iterable[Fields], make: Callable[[Fields], T]) -> tuple[T, ...]:
    """``make`` of every entry. Raises BadPack with the faults of all entries that have one."""
    made: list[T] = []
    faults: list[PackFault] = []
    for fields in entries:
        try:
            made.append(make(fields))
        except BadPack as error:
            faults += error.faults
    if faults:
        raise BadPack(faults)
    return tuple(made)
