"""``python -m loadtest.pii``: the masker's recall and precision on the gold dialogues of ``tests/data/pii``.

By default every dialogue is spoken to a masker of its own, line by line, as a call does. ``--lines FILE`` prints the texts' lines
alone, and ``--spans FILE`` scores what ``pangting privacy mask --json`` made of them: one object with ``spans`` a line, in order.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Literal, cast

from copilot.domain.ids import UtteranceId
from copilot.domain.transcript import TranscriptFinal
from copilot.privacy.masker import Masker
from loadtest.pii_score import Line, Span, located, markdown, parse, score

_MARK = re.compile(r"\{(?P<type>[^:{}]+):(?P<value>[^{}]*)\}")
GOLD = Path(__file__).parents[1] / "tests/data/pii"


def read(language: str, split: str) -> list[Line]:
    """The gold lines of one language and split, in order."""
    return [line for line in parse((GOLD / f"{language}.jsonl").read_text(encoding="utf-8").splitlines()) if line.split == split]


def read_more(language: str) -> list[Line]:
    """The further development dialogues of one language, whose spans are marked in the text: ``卡号{卡号:六二二二}``."""
    rows = (GOLD / f"more.{language}.txt").read_text(encoding="utf-8").splitlines()
    lines: list[Line] = []
    dialogue = ""
    for row in rows:
        if row.startswith("## "):
            dialogue = row[3:]
        elif row and not row.startswith("#"):
            lines.append(_marked(row, language, dialogue, len(lines)))
    return lines


def _marked(row: str, language: str, dialogue: str, number: int) -> Line:
    text, at, spans = "", 2, []
    for mark in _MARK.finditer(row):
        text += row[at : mark.start()]
        form = "written" if re.search(r"[0-9A-Za-z]", mark["value"]) or mark["type"] in {"姓名", "地址"} else "spoken"
        spans.append(Span(start=len(text), end=len(text) + len(mark["value"]), type=mark["type"], form=form))
        text, at = text + mark["value"], mark.end()
    return Line(
        id=f"{dialogue}-{number}",
        dialogue=dialogue,
        scenario=dialogue,
        split="dev",
        language=cast("Literal['zh', 'en']", language),
        channel="agent" if row[0] == "a" else "customer",
        asr=False,
        text=(text + row[at:]).rstrip(),
        spans=tuple(spans),
    )


def heard(lines: Sequence[Line]) -> list[list[Span]]:
    """What the masker of a call finds in the lines of each dialogue, one masker a dialogue; what it finds late counts too."""
    said: dict[str, str] = {}
    for _, dialogue in groupby(lines, key=lambda line: line.dialogue):
        masker: Masker | None = None
        for number, line in enumerate(dialogue):
            masker = masker or Masker(line.language)
            final = TranscriptFinal(
                channel=line.channel,
                utterance_id=UtteranceId(line.id),
                start_ms=number * 5_000,
                end_ms=number * 5_000 + 4_000,
                text=line.text,
                language=line.language,
                confidence=0.9,
            )
            said[final.utterance_id] = masker.final(final)[0].text
            said |= {late.final.utterance_id: late.final.text for late in masker.take_rewritten()}
    return [located(line.text, said[line.id]) for line in lines]


def printed(path: Path) -> list[list[Span]]:
    """The spans that ``pangting privacy mask --json`` printed."""
    rows = [json.loads(row) for row in path.read_text(encoding="utf-8").splitlines()]
    return [[Span(start=span["start"], end=span["end"], type=span["type"]) for span in row["spans"]] for row in rows]


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--language", choices=("zh", "en"), default="zh")
    parser.add_argument("--split", choices=("dev", "test"), default="dev", help="test is for reporting, not for mending")
    parser.add_argument("--more", action="store_true", help="the further dialogues of more.*.txt, which the masker was tuned on")
    parser.add_argument("--lines", type=Path, help="write the texts, one a line, and stop")
    parser.add_argument("--spans", type=Path, help="score these instead of the masker's")
    parser.add_argument("--missed", action="store_true", help="dev only: list the lines with a span that was not found")
    arguments = parser.parse_args()
    lines = read_more(arguments.language) if arguments.more else read(arguments.language, arguments.split)
    if arguments.lines:
        arguments.lines.write_text("".join(f"{line.text}\n" for line in lines), encoding="utf-8")
        return
    found = printed(arguments.spans) if arguments.spans else heard(lines)
    print(markdown(score(lines, found)))
    if arguments.missed and arguments.split == "dev":
        for line, spans in zip(lines, found, strict=True):
            gold = {(span.start, span.end) for span in line.spans}
            if gold != {(span.start, span.end) for span in spans}:
                print(line.id, line.text, [line.text[a:b] for a, b in sorted(gold)], [line.text[s.start : s.end] for s in spans])


if __name__ == "__main__":
    main()
