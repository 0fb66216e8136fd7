"""Runs after-call work over the labelled calls and prints how it compares with their gold.

    python -m loadtest.postcall_eval [--split test] [--text clean|heard] [--embedder] [--errors] [--json FILE]
    python -m loadtest.postcall_eval --passes          how far the two labelling passes agree

Without ``--embedder`` nothing but the rules of the sample bank decides (no model is loaded); with it the ticket and the intents also go by
meaning, as on a server. ``heard`` (default) takes the text with recognition errors where a call has one. Tune on ``--split dev`` only.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadtest import call_set
from loadtest.call_labels import BY_CLOCK, differences, points_agree, sheet_of
from loadtest.postcall_scoring import CallResult, Rate, by_question, figures, kappa, overall_kappa, rate, score_call
from postcall.classify import classify
from postcall.needs import find_intents
from postcall.packs import parse_packs
from postcall.qa.score import score
from postcall.run import Tools
from postcall.summary import summarise
from postcall.turns import Transcript, turns_from_json

if TYPE_CHECKING:
    from copilot.settings import Settings

Json = dict[str, Any]


def open_tools(settings: Settings | None) -> Tools:
    """The sample bank's packs; with settings the embedding model too."""
    texts = [(call_set.BANK / f"{name}.yaml").read_text(encoding="utf-8") for name in ("taxonomy", "rubric", "intents")]
    if settings is None:
        return Tools(packs=parse_packs(*texts))
    from copilot.assembly import engines

    embedder = engines.open_embedder(settings)
    return Tools(packs=parse_packs(*texts), embedder=embedder, intents=engines.open_intents(settings, texts[2], (), embedder))


def judge(call: Json, gold: Json, tools: Tools, parents: dict[str, str], *, heard: bool) -> CallResult:
    """One call through today's after-call code and the scorers. ``heard``: the text with recognition errors where there is one."""
    spoilt = heard and call["asr_errors"]
    lines = [
        {
            "channel": utterance["channel"],
            "start_ms": utterance["start_ms"],
            "end_ms": utterance["end_ms"],
            "text": utterance["asr_text"] if spoilt else utterance["text"],
            "confidence": utterance["confidence"] if spoilt else 1.0,
        }
        for utterance in call["utterances"]
    ]
    transcript = Transcript(language=call["language"], turns=tuple(turns_from_json(lines)))
    intents = find_intents(transcript, tools.packs, tools.intents)
    artifacts = (
        summarise(transcript, intents, tools.packs, tools.model),
        classify(tools.packs.taxonomy, transcript, intents, tools.categories),
        score(tools.packs.rubric, transcript.turns, transcript.language, {found.intent for found in intents}),
    )
    texts = {turn.utterance_id: turn.text for turn in transcript.turns}
    return score_call(call=call["id"], spoilt=spoilt, sheet=sheet_of(gold), parents=parents, texts=texts, artifacts=artifacts)


def _shown(value: float | None, low: float | None, high: float | None) -> str:
    return "     —" if value is None else f"{value:6.3f}" + (f"  [{low:.3f}, {high:.3f}]" if low is not None else "")


def _line(name: str, share: Rate) -> str:
    return f"{name:36}{_shown(share.value, share.low, share.high)}  {share.hits:.0f}/{share.total:.0f}"


def report(results: Sequence[CallResult], title: str) -> list[str]:
    """The figures of a group of calls, as lines."""
    spoilt = sum(result.spoilt for result in results)
    out = [f"== {title}: {len(results)} calls, {spoilt} with recognition errors (95% intervals over calls)"]
    out += [_line(name, share) for name, share in figures(results).items()]
    return [*out, f"{'QA kappa, all items':36}{_shown(*overall_kappa(results))}"]


def questions(results: Sequence[CallResult]) -> list[str]:
    """Agreement and kappa of every rubric item, as lines."""
    out = ["-- per question: agreement; kappa (— where only one answer occurs)"]
    return out + [f"{_line(name, share)}   kappa {_shown(*value)}" for name, (share, value) in by_question(results).items()]


def errors(results: Sequence[CallResult]) -> list[str]:
    """Everything that differs from the gold, call by call."""
    out = []
    for result in results:
        where = f"{result.call}{' (errors)' if result.spoilt else ''}"
        if result.ticket != result.expected[0]:
            degree = "acceptable" if result.ticket in result.expected else "wrong"
            out.append(f"{where}: ticket {result.ticket}, expected {result.expected[0]} ({degree})")
        out += [
            f"{where}: {point.found} {point.point.kind}: {point.point.statement}" for point in result.points if point.found != "covered"
        ]
        out += [f"{where}: unsupported number {number}" for number in (*result.unsupported, *result.wrong_numbers)]
        for item in result.items:
            if item.answer != item.gold.answer:
                shown = f" gold {list(item.gold.evidence)}, cited {list(item.cited)}" if item.gold.evidence or item.cited else ""
                out.append(f"{where}: {item.item} {item.answer}, expected {item.gold.answer}{shown}")
    return out


def passes() -> list[str]:
    """Agreement of the two labelling passes over the calls that both label."""
    first, second = call_set.sheets("first"), call_set.sheets("second")
    both = sorted(set(first) & set(second))
    asked = [name for name in first[both[0]].qa if name not in BY_CLOCK]
    table = {name: [(first[call].qa[name].answer, second[call].qa[name].answer) for call in both] for name in asked}
    every = [pair for pairs in table.values() for pair in pairs]
    met = rate([points_agree(first[call].points, second[call].points) for call in both])
    evidence = rate(
        [
            (bool(set(one.evidence) & set(two.evidence)), 1)
            for call in both
            for name in asked
            for one, two in [(first[call].qa[name], second[call].qa[name])]
            if one.answer == two.answer and one.evidence and two.evidence
        ]
    )
    out = [f"== two passes over {len(both)} calls"]
    out.append(_line("tickets the same", rate([(first[call].ticket[0] == second[call].ticket[0], 1) for call in both])))
    out.append(_line("outcomes the same", rate([(first[call].outcome == second[call].outcome, 1) for call in both])))
    out.append(_line("key points met by the other pass", met))
    out.append(_line("evidence of same answers meets", evidence))
    out.append(f"{_line('QA answers the same', rate([(a == b, 1) for a, b in every]))}   kappa {_shown(kappa(every), None, None)}")
    out += [
        f"{_line(name, rate([(a == b, 1) for a, b in pairs]))}   kappa {_shown(kappa(pairs), None, None)}" for name, pairs in table.items()
    ]
    return [*out, *(f"{d.call}: {d.question} {d.first} / {d.second}" for d in differences(first, second))]


def as_json(results: Sequence[CallResult]) -> Json:
    """The figures for a file: {name: {value, low, high, hits, total}}."""
    shares = {
        name: {"value": share.value, "low": share.low, "high": share.high, "hits": share.hits, "total": share.total}
        for name, share in figures(results).items()
    }
    return {"calls": len(results), "figures": shares, "kappa": overall_kappa(results), "errors": errors(results)}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.postcall_eval", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--split", choices=("dev", "test", "all"), default="all")
    parser.add_argument("--text", choices=("clean", "heard"), default="heard")
    parser.add_argument("--embedder", action="store_true", help="load the embedding model, as a server does")
    parser.add_argument("--errors", action="store_true", help="list everything that differs from the gold")
    parser.add_argument("--passes", action="store_true", help="compare the two labelling passes instead")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args(argv)
    if options.passes:
        print("\n".join(passes()))
        return
    settings = None
    if options.embedder:
        from copilot.settings import load

        settings = load()
    tools, parents = open_tools(settings), call_set.parents()
    gold = {entry["id"]: entry for entry in call_set.load("gold")}
    calls = [call for call in call_set.load("calls") if options.split in ("all", call["split"])]
    results = {call["id"]: judge(call, gold[call["id"]], tools, parents, heard=options.text == "heard") for call in calls}
    for split in ("dev", "test"):
        chosen = [results[call["id"]] for call in calls if call["split"] == split]
        if chosen:
            print("\n".join(report(chosen, split)), end="\n\n")
    print("\n".join(questions(list(results.values()))))
    if options.errors:
        print("\n-- differences\n" + "\n".join(errors(list(results.values()))))
    if options.json:
        options.json.write_text(json.dumps(as_json(list(results.values())), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
