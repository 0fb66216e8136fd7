"""Compliance rules and SOP checklists as typed, validated data (parsed from the bank's ``compliance.yaml`` and ``sop.yaml``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import yaml

from copilot.domain.errors import InvalidInput

Severity = Literal["info", "warn", "critical"]
RuleKind = Literal["forbidden", "sensitive_request", "must_say", "fraud_signal", "abuse"]
_SEVERITIES = ("info", "warn", "critical")
_KINDS = ("forbidden", "sensitive_request", "must_say", "fraud_signal", "abuse")
_CHANNELS = ("agent", "customer", "any")
LANGUAGES = ("zh", "en")


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplianceRule:
    """``patterns`` per language. ``must_say`` rules are judged after the call, the others as soon as they are said."""

    rule_id: str
    kind: RuleKind
    severity: Severity
    channel: str
    patterns: Mapping[str, tuple[re.Pattern[str], ...]]
    name: Mapping[str, str]
    advice: Mapping[str, str]
    intents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecklistStep:
    """``hint``: what the agent may say. ``script``: the same with slots of the call in it (``{card}``, ``{amount}``, ``{date}`` …)."""

    step_id: str
    channel: str
    patterns: Mapping[str, tuple[re.Pattern[str], ...]]
    name: Mapping[str, str]
    hint: Mapping[str, str]
    script: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checklist:
    """The steps of a standard procedure (SOP), shown when one of ``intents`` is detected."""

    checklist_id: str
    intents: tuple[str, ...]
    name: Mapping[str, str]
    steps: tuple[ChecklistStep, ...]


def _patterns(raw: Any, where: str) -> dict[str, tuple[re.Pattern[str], ...]]:
    compiled: dict[str, tuple[re.Pattern[str], ...]] = {}
    for language in LANGUAGES:
        found = []
        for pattern in (raw or {}).get(language) or ():
            try:
                found.append(re.compile(str(pattern), re.IGNORECASE))
            except re.error as error:
                raise InvalidInput(f"{where}: the {language} pattern {pattern!r} is not a valid regular expression ({error}).") from error
        compiled[language] = tuple(found)
    return compiled


def _one_of(value: Any, allowed: tuple[str, ...], where: str, key: str) -> str:
    if value not in allowed:
        raise InvalidInput(f"{where}: {key} is {value!r}; it must be one of {', '.join(allowed)}.")
    return str(value)


def _entries(text: str, key: str, pack: str) -> list[dict[str, Any]]:
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInput(f"{pack} is not valid YAML: {error}") from error
    entries = data.get(key) if isinstance(data, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and entry.get("id") for entry in entries):
        raise InvalidInput(f"{pack}: a list `{key}` of entries with an `id` is needed.")
    return entries


def parse_compliance(text: str) -> tuple[ComplianceRule, ...]:
    """The rules of ``compliance.yaml``. Raises InvalidInput naming the rule and the fault."""
    rules = []
    for raw in _entries(text, "rules", "compliance"):
        where = f"compliance rule {raw['id']}"
        rules.append(
            ComplianceRule(
                rule_id=str(raw["id"]),
                kind=cast("RuleKind", _one_of(raw.get("kind"), _KINDS, where, "kind")),
                severity=cast("Severity", _one_of(raw.get("severity"), _SEVERITIES, where, "severity")),
                channel=_one_of(raw.get("channel"), _CHANNELS, where, "channel"),
                patterns=_patterns(raw.get("patterns"), where),
                name=raw.get("name") or {},
                advice=raw.get("advice") or {},
                intents=tuple(raw.get("intents") or ()),
            )
        )
    return tuple(rules)


def parse_checklists(text: str) -> tuple[Checklist, ...]:
    """The checklists of ``sop.yaml``. Raises InvalidInput naming the step and the fault."""
    checklists = []
    for raw in _entries(text, "checklists", "sop"):
        steps = []
        for step in raw.get("steps") or ():
            where = f"checklist {raw['id']}, step {step.get('id')}"
            steps.append(
                ChecklistStep(
                    step_id=str(step["id"]),
                    channel=_one_of(step.get("channel", "agent"), _CHANNELS, where, "channel"),
                    patterns=_patterns(step.get("patterns"), where),
                    name=step.get("name") or {},
                    hint=step.get("hint") or {},
                    script=step.get("script") or {},
                )
            )
        checklists.append(
            Checklist(checklist_id=str(raw["id"]), intents=tuple(raw.get("intents") or ()), name=raw.get("name") or {}, steps=tuple(steps))
        )
    return tuple(checklists)
