"""The bank's packs for the live loop, from the article store; parsed again when a newer version is stored."""

from __future__ import annotations

import threading
from typing import Any

import yaml

from copilot.domain.knowledge import BankTerm
from copilot.domain.ports.knowledge import ArticleStore
from copilot.live.desk import BankRules
from copilot.live.rules import Checklist, ComplianceRule, parse_checklists, parse_compliance


class RulesCache:
    """Rules of one organisation. ``current`` is cheap when nothing changed; synchronous and thread-safe."""

    def __init__(self, store: ArticleStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._versions: dict[str, int] = {}
        self._compliance: tuple[ComplianceRule, ...] = ()
        self._checklists: tuple[Checklist, ...] = ()
        self._lexicon: tuple[BankTerm, ...] = ()

    def current(self) -> BankRules:
        """The rules in force now."""
        with self._lock:
            for name in ("compliance", "sop", "lexicon"):
                found = self._store.pack(name)
                if found is None or self._versions.get(name) == found[0]:
                    continue
                self._take(name, *found)
                self._versions[name] = found[0]
            return BankRules(compliance=self._compliance, checklists=self._checklists, lexicon=self._lexicon)

    def _take(self, name: str, version: int, text: str) -> None:
        if name == "compliance":
            self._compliance = parse_compliance(text, version)
        elif name == "sop":
            self._checklists = parse_checklists(text)
        else:
            self._lexicon = lexicon_terms(text)


def lexicon_terms(text: str) -> tuple[BankTerm, ...]:
    """The terms of ``lexicon.yaml`` (``terms: [{text, weight, aliases}]``), heaviest first."""
    data: Any = yaml.safe_load(text) or {}
    terms = [
        BankTerm(
            text=str(term["text"]),
            weight=float(term.get("weight", 1.0)),
            aliases=tuple(str(alias) for alias in term.get("aliases") or ()),
        )
        for term in data.get("terms", ())
    ]
    return tuple(sorted(terms, key=lambda term: -term.weight))
