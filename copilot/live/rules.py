"""Compliance rules and SOP checklists as typed, validated data (parsed from the bank's ``compliance.yaml`` and ``sop.yaml``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import yaml

from copilot.domain.errors import InvalidInput
from copilot.live.rule_language import Channel, Condition, Reader, Says

Severity = Literal["info", "warn", "critical"]
RuleKind = Literal["forbidden", "sensitive_request", "must_say", "fraud_signal", "abuse"]
_SEVERITIES = ("info", "warn", "critical")
_KINDS = ("forbidden", "sensitive_request", "must_say", "fraud_signal", "abuse")
_CHANNELS = ("agent", "customer", "any")


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplianceRule:
    """``when``: what the rule waits for, the same live and after the call; None for a ``must_say`` that only says what has to be said in a
    call about ``intents``. ``patterns`` per language: the short form of ``when: {says: {patterns}}``."""

    rule_id: str
    kind: RuleKind
    severity: Severity
    channel: str
    patterns: Mapping[str, tuple[re.Pattern[str], ...]]
    name: Mapping[str, str]
    advice: Mapping[str, str]
    intents: tuple[str, ...] = ()
    when: Condition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecklistStep:
    """``hint``: what the agent may say. ``script``: the same with slots of the call in it (``{card}``, ``{amount}``, ``{date}`` …)."""

    step_id: str
    says: Says
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


def _entries(text: str, key: str, pack: str) -> list[dict[str, Any]]:
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInput(f"{pack} is not valid YAML: {error}") from error
    entries = data.get(key) if isinstance(data, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and entry.get("id") for entry in entries):
        raise InvalidInput(f"{pack}: a list `{key}` of entries with an `id` is needed.")
    return entries


def compliance_faults(text: str) -> list[str]:
    """What is wrong with a ``compliance.yaml``: a sentence per fault that names its place and the way out; empty if it is fit for use."""
    try:
        data = yaml.load(text, yaml.CSafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        return [f"line {mark.line + 1 if mark else '?'}: not valid YAML ({getattr(error, 'problem', None) or error})"]
    entries = data.get("rules") if isinstance(data, dict) else None
    if not isinstance(entries, list) or not entries:
        return ["a list `rules` of entries with an `id` is needed"]
    reader, seen = Reader(), set()
    for number, raw in enumerate(entries):
        if not isinstance(raw, dict) or not raw.get("id"):
            reader.fault(f"rules[{number}]", "needs an id")
            continue
        path = f"rules[{number}] ({raw['id']})"
        if raw["id"] in seen:
            reader.fault(path, "is there twice; keep one")
        seen.add(raw["id"])
        _compliance_rule(raw, path, reader)
    return reader.faults


def _compliance_rule(raw: dict[str, Any], path: str, reader: Reader) -> ComplianceRule | None:
    for key, allowed in (("kind", _KINDS), ("severity", _SEVERITIES), ("channel", _CHANNELS)):
        if raw.get(key) not in allowed:
            reader.fault(path, f"{key} is {raw.get(key)!r}; it must be one of {', '.join(allowed)}")
            return None
    name = raw.get("name")
    if not isinstance(name, dict):
        reader.fault(f"{path} › name", "must be given in zh and en")
        name = {}
    channel = cast("Channel", raw["channel"])
    said = reader.says({"patterns": raw["patterns"]}, path, channel) if "patterns" in raw else None
    when: Condition | None = None
    if "when" in raw:
        when = reader.condition(raw["when"], f"{path} › when", channel)
    elif said is None:
        reader.fault(path, "needs patterns or when")
    elif raw["kind"] != "must_say":
        when = said
    if isinstance(when, Says):
        said = when
    return ComplianceRule(
        rule_id=str(raw["id"]),
        kind=cast("RuleKind", raw["kind"]),
        severity=cast("Severity", raw["severity"]),
        channel=channel,
        patterns=said.patterns if said is not None else {},
        name=name,
        advice=raw.get("advice") or {},
        intents=tuple(raw.get("intents") or ()),
        when=when,
    )


def parse_compliance(text: str) -> tuple[ComplianceRule, ...]:
    """The rules of ``compliance.yaml``. Raises InvalidInput naming the rules and the faults."""
    faults = compliance_faults(text)
    if faults:
        raise InvalidInput(f"compliance.yaml cannot be used: {'; '.join(faults[:5])}.")
    reader = Reader()
    entries = yaml.load(text, yaml.CSafeLoader)["rules"]
    return tuple(rule for raw in entries if (rule := _compliance_rule(raw, "", reader)) is not None)


def parse_checklists(text: str) -> tuple[Checklist, ...]:
    """The checklists of ``sop.yaml``. Raises InvalidInput naming the step and the fault."""
    checklists, reader = [], Reader()
    for raw in _entries(text, "checklists", "sop"):
        steps = []
        for step in raw.get("steps") or ():
            where = f"checklist {raw['id']}, step {step.get('id')}"
            spoken = {key: step[key] for key in ("channel", "patterns", "words", "sounds", "like", "at_least", "unless") if key in step}
            says = reader.says(spoken, where, "agent")
            if says is not None:
                steps.append(
                    ChecklistStep(
                        step_id=str(step["id"]),
                        says=says,
                        name=step.get("name") or {},
                        hint=step.get("hint") or {},
                        script=step.get("script") or {},
                    )
                )
        checklists.append(
            Checklist(checklist_id=str(raw["id"]), intents=tuple(raw.get("intents") or ()), name=raw.get("name") or {}, steps=tuple(steps))
        )
    if reader.faults:
        raise InvalidInput(f"sop.yaml cannot be used: {'; '.join(reader.faults[:5])}.")
    return tuple(checklists)
