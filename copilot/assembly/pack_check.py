"""Is a pack fit for use? Every parser that will read it, and where in the text each fault stands: for files, the console and commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import yaml

from copilot.domain.errors import InvalidInput
from copilot.domain.packs import BadPack, PackFault, check_known, path_of
from copilot.live.rules import checklist_faults, compliance_faults
from copilot.review.policy import parse_policy
from kb import packs
from postcall.packs import parse_intents, parse_taxonomy
from postcall.qa.rubric import parse_rubric

_MOST_NODES = 200_000
"""Of a text with its aliases written out."""
_MOST_FAULTS = 100


def pack_faults(name: str, text: str) -> list[PackFault]:
    """What is wrong with the text of pack ``name``, in the order of its lines; empty if every reader can use it. Raises NotFound for a
    name that is none."""
    check_known(name)
    try:
        root = yaml.compose(text, yaml.CSafeLoader)
    except yaml.YAMLError as error:
        return [packs.syntax_fault(error)]
    if root is None:
        return [PackFault(place="", message=f"must hold a list called {packs.LISTS[name]}", line=1, column=1)]
    if _size(root, {}, set()) > _MOST_NODES:
        return [PackFault(place="", message="is too large with its aliases written out", line=1, column=1)]
    found = [*_doubled(root), *packs.faults(name, text), *_strict(name, text)]
    unique: dict[tuple[int, int, str], PackFault] = {}
    for fault in found:
        line, column = (fault.line, fault.column) if fault.line else _position(root, fault.path)
        unique.setdefault((line, column, fault.message.rstrip(".")), replace(fault, line=line, column=column))
    # Several parsers may find the same thing; the words of the first are kept for each place and sentence.
    return [unique[key] for key in sorted(unique, key=lambda key: key[:2])][:_MOST_FAULTS]


def check_pack(name: str, text: str) -> None:
    """Raises BadPack with every fault."""
    faults = pack_faults(name, text)
    if faults:
        raise BadPack(faults)


def _strict(name: str, text: str) -> Sequence[PackFault]:
    """The faults that the pack's own parser names."""
    listed: Mapping[str, Callable[[str], list[str]]] = {"compliance": compliance_faults, "sop": checklist_faults}
    if name in listed:
        return [_placed(sentence) for sentence in listed[name](text)]
    parsers: Mapping[str, Callable[[str], Any]] = {
        "rubric": parse_rubric,
        "taxonomy": parse_taxonomy,
        "intents": parse_intents,
        "review": parse_policy,
    }
    try:
        if name in parsers:
            parsers[name](text)
    except BadPack as error:
        return error.faults
    except InvalidInput as error:
        return [PackFault(place="", message=str(error))]
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        return [PackFault(place="", message=f"is not built as this file must be ({type(error).__name__}); compare it with the reference.")]
    return ()


def _placed(sentence: str) -> PackFault:
    place, found, message = sentence.partition(": ")
    if not found or "[" not in place:
        return PackFault(place="", message=sentence)
    return PackFault(place=place, message=message, path=path_of(place))


def _position(root: yaml.Node, path: Sequence[str | int]) -> tuple[int, int]:
    """Line and column, from 1, of the deepest node on ``path`` that is there; of a mapping's entry, those of its key."""
    node, mark = root, root.start_mark
    for step in path:
        if isinstance(node, yaml.MappingNode) and isinstance(step, str):
            pair = next(((key, value) for key, value in node.value if getattr(key, "value", None) == step), None)
            if pair is None:
                break
            mark, node = pair[0].start_mark, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            mark = node.start_mark
        else:
            break
    return mark.line + 1, mark.column + 1


def _doubled(root: yaml.Node) -> Iterator[PackFault]:
    """Keys that a mapping has twice: YAML would silently keep the last."""
    waiting: list[tuple[yaml.Node, tuple[str | int, ...]]] = [(root, ())]
    visited: set[int] = set()
    while waiting:
        node, path = waiting.pop()
        if id(node) in visited:
            continue
        visited.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += [(child, (*path, number)) for number, child in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                name = str(getattr(key, "value", ""))
                if name in seen:
                    mark = key.start_mark
                    place = ".".join(map(str, path))
                    yield PackFault(
                        place=place, message=f"the key {name} is there twice; keep one", line=mark.line + 1, column=mark.column + 1
                    )
                seen.add(name)
                waiting.append((value, (*path, name)))


def _size(node: yaml.Node, known: dict[int, int], above: set[int]) -> int:
    """Nodes below and including ``node``, every alias counted as often as it stands; more than allowed for a node that holds itself."""
    if id(node) in known:
        return known[id(node)]
    if id(node) in above or len(above) > 100:
        return _MOST_NODES + 1
    children: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        children = list(node.value)
    elif isinstance(node, yaml.MappingNode):
        children = [part for pair in node.value for part in pair]
    above.add(id(node))
    known[id(node)] = 1 + sum(_size(child, known, above) for child in children)
    above.discard(id(node))
    return known[id(node)]


def outline(name: str, text: str) -> list[dict[str, Any]]:
    """What stands in a pack that is fit for use, entry by entry with its line: ``{id, depth, line, name, facts}``; ``facts`` are the values
    that a table shows of it. Empty for a text with faults."""
    try:
        root = yaml.compose(text, yaml.CSafeLoader)
        data = yaml.load(text, yaml.CSafeLoader)
    except yaml.YAMLError:
        return []
    if not isinstance(data, dict) or root is None:
        return []
    rows: list[dict[str, Any]] = []

    def walk(entries: Any, path: tuple[str | int, ...], depth: int) -> None:
        for number, entry in enumerate(entries if isinstance(entries, list) else ()):
            if not isinstance(entry, dict):
                continue
            here = (*path, number)
            facts = {key: entry[key] for key in _FACTS if isinstance(entry.get(key), str | int | float | bool)}
            facts |= {key: entry[key] for key in ("intents",) if isinstance(entry.get(key), list)}
            if isinstance(entry.get("applies_when"), dict):
                facts["applies"] = sorted(map(str, entry["applies_when"]))
            if isinstance(entry.get("check"), dict):
                facts["check"] = str(entry["check"].get("kind", ""))
            names = entry.get("name") if isinstance(entry.get("name"), dict) else {}
            label = str(entry.get("id", entry.get("text", "")))
            line = _position(root, here)[0]
            rows.append({"id": label, "depth": depth, "line": line, "name": names, "facts": facts})
            for below in ("children", "steps"):
                walk(entry.get(below), (*here, below), depth + 1)

    walk(data.get(packs.LISTS.get(name, "")), (packs.LISTS.get(name, ""),), 0)
    return rows


_FACTS = ("section", "weight", "deduction", "fatal", "severity", "kind", "channel", "at_least", "share", "count")
