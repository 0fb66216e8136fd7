"""The prompt library: versioned files ``<name>.v<version>.<language>.md`` in ``copilot/llm/prompts``. The newest version is used."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

from copilot.domain.errors import ConfigError

_FILE = re.compile(r"(?P<name>[a-z_]+)\.v(?P<version>\d+)\.(?P<language>[a-z]{2})\.md")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """Instructions for a model. They hold no data: that goes into a message of its own (see ``data_block``)."""

    name: str
    version: int
    language: str
    text: str

    @property
    def label(self) -> str:
        """Name and version, for traces: ``reply.v1``."""
        return f"{self.name}.v{self.version}"


@cache
def prompt(name: str, language: str) -> Prompt:
    """The newest version in ``language``, else in English. Raises ConfigError when there is no such prompt."""
    found: dict[str, list[tuple[int, str]]] = {}
    for entry in resources.files("copilot.llm").joinpath("prompts").iterdir():
        match = _FILE.fullmatch(entry.name)
        if match is not None and match["name"] == name:
            found.setdefault(match["language"], []).append((int(match["version"]), entry.name))
    chosen = language if language in found else "en"
    if chosen not in found:
        raise ConfigError(f"There is no prompt {name!r}; the files in copilot/llm/prompts are incomplete, install Pangting again.")
    version, file = max(found[chosen])
    text = resources.files("copilot.llm").joinpath("prompts", file).read_text(encoding="utf-8")
    return Prompt(name=name, version=version, language=chosen, text=text)


def data_block(data: object) -> str:
    """Data for a model as JSON between marks that it cannot contain: an angle bracket inside is written ``\\u003c``."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e")
    return f"<data>\n{text}\n</data>"
