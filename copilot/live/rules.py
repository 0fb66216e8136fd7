"""Compliance rules and SOP checklists as typed, validated data (parsed from the bank's ``compliance.yaml`` and ``sop.yaml``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
    pack_version: int = 0
    """Of the stored pack that holds it; 0 for a file."""


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


def parse_compliance(text: str, pack_version: int = 0) -> tuple[ComplianceRule, ...]:
    """The rules of ``compliance.yaml``. ``pack_version``: that of the store. Raises InvalidInput naming the rules and the faults."""
    faults = compliance_faults(text)
    if faults:
        raise InvalidInput(f"compliance.yaml cannot be used: {'; '.join(faults[:5])}.")
    reader = Reader()
    entries = yaml.load(text, yaml.CSafeLoader)["rules"]
    rules = (_compliance_rule(raw, "", reader) for raw in entries)
    return tuple(replace(rule, pack_version=pack_version) for rule in rules if rule is not None)


def checklist_faults(text: str) -> list[str]:
    """What is wrong with a ``sop.yaml``: a sentence per fault that names its place and the way out; empty if it is fit for use."""
    try:
        data = yaml.load(text, yaml.CSafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        return [f"line {mark.line + 1 if mark else '?'}: not valid YAML ({getattr(error, 'problem', None) or error})"]
    entries = data.get("checklists") if isinstance(data, dict) else None
    if not isinstance(entries, list) or not entries:
        return ["a list `checklists` of entries with an `id` is needed"]
    reader, seen = Reader(), set()
    for number, raw in enumerate(entries):
        if not isinstance(raw, dict) or not raw.get("id"):
            reader.fault(f"checklists[{number}]", "needs an id")
            continue
        path = f"checklists[{number}] ({raw['id']})"
        if raw["id"] in seen:
            reader.fault(path, "is there twice; keep one")
        seen.add(raw["id"])
        _checklist(raw, path, reader)
    return reader.faults


def _checklist(raw: dict[str, Any], path: str, reader: Reader) -> Checklist:
    steps, given = [], raw.get("steps")
    if not isinstance(given, list) or not given:
        reader.fault(f"{path} › steps", "must be a list of steps")
        given = []
    for number, step in enumerate(given):
        where = f"{path} › steps[{number}]"
        if not isinstance(step, dict) or not step.get("id"):
            reader.fault(where, "needs an id")
            continue
        where += f" ({step['id']})"
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
    return Checklist(checklist_id=str(raw["id"]), intents=tuple(raw.get("intents") or ()), name=raw.get("name") or {}, steps=tuple(steps))


def parse_checklists(text: str) -> tuple[Checklist, ...]:
    """The checklists of ``sop.yaml``. Raises InvalidInput naming the steps and the faults."""
    faults = checklist_faults(text)
    if faults:
        raise InvalidInput(f"sop.yaml cannot be used: {'; '.join(faults[:5])}.")
    reader = Reader()
    return tuple(_checklist(raw, "", reader) for raw in yaml.load(text, yaml.CSafeLoader)["checklists"])
