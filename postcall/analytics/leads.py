"""Needs for a product in what a customer says, by the patterns of the leads pack. Pure.

A lead is a hint for a person who may call back, not a consent to be called: a call in which the customer asks not to be sold anything gives
none, and neither does a denied wish.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from copilot.domain.artifacts import Turn
from copilot.domain.insights import Lead, Place
from postcall.needs import CUSTOMER
from postcall.reading import Names, Patterns, document, version_of

PACK = "leads"
_QUOTE = 120
_DENIED = {
    "zh": re.compile(r"(?:不是|没有?|不|别|甭|从来没)(?:打算|准备|会|再|是)*(?:[我说过])*$"),
    "en": re.compile(r"\b(?:not|never|don't|do not|didn't|did not|no)(?: really| even| ever)? *$", re.IGNORECASE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadRule:
    lead: str
    name: Names
    patterns: Patterns


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadRules:
    """The pack. Without one nothing is a lead."""

    version: str = "0"
    rules: tuple[LeadRule, ...] = ()
    opt_out: Patterns | None = None


def parse_leads(text: str) -> LeadRules:
    """``leads.yaml``. Raises InvalidInput naming the entry, the fault and the fix."""
    top = document(text, PACK)
    rules = tuple(
        LeadRule(lead=fields.text("id"), name=fields.names("name"), patterns=fields.patterns("patterns"))
        for fields in top.children("leads", "lead")
    )
    opt_out = top.child("opt_out").patterns("patterns") if top.data.get("opt_out") else None
    return LeadRules(version=version_of(top), rules=rules, opt_out=opt_out)


def leads_of(turns: Sequence[Turn], language: str, rules: LeadRules) -> tuple[Lead, ...]:
    """Each lead once, at the first sentence that tells it."""
    said = [turn for turn in turns if turn.channel in CUSTOMER]
    refusals = rules.opt_out.get(language, ()) if rules.opt_out is not None else ()
    if any(pattern.search(turn.text) for turn in said for pattern in refusals):
        return ()
    found: dict[str, Lead] = {}
    for turn in said:
        for rule in rules.rules:
            if rule.lead not in found and _wished(turn.text, rule.patterns.get(language, ()), language):
                place = Place(utterance_id=turn.utterance_id, at_ms=turn.start_ms, text=turn.text[:_QUOTE])
                found[rule.lead] = Lead(lead=rule.lead, place=place)
    return tuple(found.values())


def _wished(text: str, patterns: Sequence[re.Pattern[str]], language: str) -> bool:
    denied = _DENIED["zh" if language == "zh" else "en"]
    return any(not denied.search(text[: match.start()]) for pattern in patterns for match in pattern.finditer(text))
