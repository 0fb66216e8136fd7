"""The summary of a call: who wanted what, what was done, what was promised, what remains. Pure but for the injected model.

Without a model it is extractive: sentences of the dialogue chosen by what they do in it, fillers dropped, persons turned to the third,
each with the utterances it stands in. No number can enter: a statement whose
numbers are not in its utterances is left out, whoever wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from copilot.domain.artifacts import Statement, Summary, Turn
from copilot.domain.ids import UtteranceId
from copilot.domain.ports.llm import TextModel
from copilot.llm.grounding import numbers_in, unsupported_numbers
from copilot.llm.instructions import sentences as fragments
from copilot.llm.instructions import without_instructions
from postcall.cues import CUES, Cues
from postcall.generated import generate
from postcall.needs import content_length
from postcall.packs import Packs
from postcall.polarity import due, polarity
from postcall.turns import FoundIntent, Transcript, runs

_SENTENCE = re.compile(r"[^。！!；;\n？?]+[。！!；;？?]*")
_EN_SENTENCE = re.compile(r".+?(?:[.!?](?=\s|$)|$)", re.DOTALL)
_LEAST = {"zh": 5, "en": 8}
_BARE = {"zh": 12, "en": 24}
"""A statement of an act shorter than this does not say of what: the need it answers is added."""
_MOST = 8
_MOST_CHARACTERS = 120
_BACKCHANNEL = 5
_SAME_SHARE = 0.6
_ABUSE = re.compile(
    r"白痴|傻[逼子瓜叉]|蠢货|笨蛋|废物|混蛋|王八|妈的|他妈|去死|滚(?:蛋|开|吧)|神经病|有病吧"
    r"|\b(?:idiots?|stupid|moron|fuck\w*|bastard|bitch|shit|damn you)\b",
    re.IGNORECASE,
)
CONFIDENCE_FLOOR = 0.5
"""Utterances recognised with less are left out: a summary must not repeat what was probably not said."""


def summarise(transcript: Transcript, intents: Sequence[FoundIntent], packs: Packs, model: TextModel | None = None) -> Summary:
    """The summary. With a model its text, checked for citations and numbers; if that fails, the extractive one.

    ``method`` tells which it is; an extractive summary that names a ``model`` is one whose generated text was refused or did not come.
    """
    transcript = replace(transcript, turns=tuple(_about_the_bank(transcript.turns)))
    extracted = extract(transcript, intents, packs)
    if model is None or not transcript.turns:
        return extracted
    return generate(transcript, extracted, model)


def _about_the_bank(turns: Sequence[Turn]) -> Iterator[Turn]:
    """The turns without what a customer says to a machine, or says only to insult; a turn of nothing else is left out."""
    for turn in turns:
        if turn.channel == "agent":
            yield turn
            continue
        text = "".join(sentence for sentence in fragments(without_instructions(turn.text)) if not _ABUSE.search(sentence))
        if text.strip():
            yield replace(turn, text=text)


def extract(transcript: Transcript, intents: Sequence[FoundIntent], packs: Packs) -> Summary:
    """The extractive summary."""
    language = transcript.language
    dialogue = _Dialogue(language=language, cues=CUES[language], packs=packs)
    by_utterance: dict[UtteranceId, list[str]] = {}
    for item in intents:
        by_utterance.setdefault(item.utterance_id, []).append(item.intent)
    for run in runs([turn for turn in transcript.turns if not _is_backchannel(turn) and turn.confidence >= CONFIDENCE_FLOOR]):
        if run[0].channel == "agent":
            dialogue.agent(run)
        else:
            dialogue.customer(run, by_utterance)
    texts = {turn.utterance_id: turn.text for turn in transcript.turns}
    problems, acts, commitments, follow_ups = (
        tuple(statement for statement in statements if is_grounded(statement, texts))[:_MOST]
        for statements in (dialogue.problems, [*dialogue.verified(), *dialogue.actions], dialogue.commitments, dialogue.follow_ups)
    )
    names = [name for intent in dialogue.intents if (name := packs.intent_name(intent, language))]
    overall = _overall(language, names, problems, dialogue.done, commitments, follow_ups)
    return Summary(language=language, overall=overall, problems=problems, actions=acts, commitments=commitments, follow_ups=follow_ups)


def is_grounded(statement: Statement, texts: dict[UtteranceId, str]) -> bool:
    """True if the statement cites utterances of the call and says no number that they do not say."""
    if not statement.utterance_ids or any(name not in texts for name in statement.utterance_ids):
        return False
    return not unsupported_numbers(statement.text, [texts[name] for name in statement.utterance_ids])


def _alike(one: str, other: str) -> bool:
    """Whether two statements tell the same act: most of the characters (or words) of the shorter are in the longer."""
    first, second = sorted((_units(one), _units(other)), key=len)
    return len(first & second) >= _SAME_SHARE * len(first)


def _units(text: str) -> frozenset[str]:
    return frozenset(text.casefold().split()) if text.isascii() else frozenset(char for char in text if char.isalnum())


def _is_backchannel(turn: Turn) -> bool:
    """好的, 嗯: it neither begins nor ends a turn."""
    return content_length(turn.text) < _BACKCHANNEL


def sentences(text: str, language: str) -> list[str]:
    """The sentences of an utterance, with their marks."""
    pattern = _SENTENCE if language == "zh" else _EN_SENTENCE
    return [match[0].strip() for match in pattern.finditer(text) if match[0].strip()]


@dataclass(slots=True)
class _Dialogue:
    """Reads the runs in order and sorts sentences by what they do."""

    language: str
    cues: Cues
    packs: Packs
    problems: list[Statement] = field(default_factory=list)
    actions: list[Statement] = field(default_factory=list)
    commitments: list[Statement] = field(default_factory=list)
    follow_ups: list[Statement] = field(default_factory=list)
    done: list[Statement] = field(default_factory=list)
    intents: list[str] = field(default_factory=list)
    _acts: set[tuple[str, str]] = field(default_factory=set)
    _intended: list[tuple[str, Statement]] = field(default_factory=list)
    _proofs: dict[str, UtteranceId] = field(default_factory=dict)
    _current: str = ""
    _asked: bool = False

    def customer(self, run: Sequence[Turn], by_utterance: dict[UtteranceId, list[str]]) -> None:
        """One customer turn: at most one problem, made of its sentences that say something."""
        names = [intent for turn in run for intent in by_utterance.get(turn.utterance_id, ())]
        new = [intent for intent in dict.fromkeys(names) if intent not in self.intents]
        self.intents += new
        if names:
            self._current = new[0] if new else names[-1]
        whole = "".join(turn.text for turn in run)
        asks = self.cues.need.search(whole) is not None
        agrees = self.cues.consent.search(whole) is not None and not self.cues.question.search(whole)
        self._asked = asks or bool(names)
        self._promised(run)
        if not (new or (asks and not agrees)) or (agrees and not new):
            return
        pieces: list[str] = []
        used: list[UtteranceId] = []
        for turn in run:
            kept = [clean for sentence in sentences(turn.text, self.language) if (clean := self._clean(sentence))]
            if kept:
                pieces += kept
                used.append(turn.utterance_id)
        text = self._join(pieces)
        if content_length(text) >= _LEAST[self.language]:
            self.problems.append(Statement(text=third_person(text, self.language, "customer"), utterance_ids=tuple(used)))

    def _promised(self, run: Sequence[Turn]) -> None:
        """What the customer undertakes to do, and what he turns down: both are for whoever takes over."""
        for turn in run:
            if turn.channel != "customer":
                continue
            for sentence in sentences(turn.text, self.language):
                clean = self._clean(sentence)
                if not clean or self.cues.question.search(sentence) or content_length(clean) < _LEAST[self.language]:
                    continue
                text, where = third_person(clean, self.language, "customer"), (turn.utterance_id,)
                if self.cues.refusal.search(clean):
                    told = "客户未同意：" if self.language == "zh" else "Turned down: "
                    self._add(self.actions, Statement(text=told + text, utterance_ids=where, polarity="not_done"))
                elif self.cues.customer_will.search(clean):
                    self._add(self.commitments, Statement(text=text, utterance_ids=where, owner="customer", due=due(clean, self.language)))

    def agent(self, run: Sequence[Turn]) -> None:
        """One agent turn: its sentences are acts, promises, instructions, or answers to what was just asked."""
        answers: list[str] = []
        used: list[UtteranceId] = []
        for turn in run:
            for sentence in sentences(turn.text, self.language):
                clean = self._clean(sentence)
                if self._asks_proof(sentence, turn) or not clean or self.cues.question.search(sentence):
                    continue
                if not self._sorted(clean, turn) and self._asked:
                    answers.append(clean)
                    used.append(turn.utterance_id)
        if answers:
            told = "告知：" if self.language == "zh" else "Told: "
            text = told + third_person(self._join(answers), self.language, "agent")
            self.actions.append(Statement(text=text, utterance_ids=tuple(dict.fromkeys(used))))
        self._asked = False

    def verified(self) -> list[Statement]:
        """The identity check, told as one act by what was asked for."""
        if not self._proofs:
            return []
        zh = self.language == "zh"
        text = ("核实客户身份：" if zh else "Verified the customer: ") + ("、" if zh else ", ").join(self._proofs)
        return [Statement(text=text, utterance_ids=tuple(dict.fromkeys(self._proofs.values())))]

    def _asks_proof(self, sentence: str, turn: Turn) -> bool:
        asked = False
        if self.cues.question.search(sentence) or self.language == "zh":
            for name, pattern in self.cues.proofs.items():
                if pattern.search(sentence) and self.cues.question.search(sentence):
                    self._proofs.setdefault(name, turn.utterance_id)
                    asked = True
        return asked

    def _sorted(self, clean: str, turn: Turn) -> bool:
        """Files an agent's sentence; False if it does nothing of its own."""
        cues = self.cues
        if cues.courtesy.search(clean):
            return True
        text = third_person(clean, self.language, "agent")
        statement = Statement(text=text, utterance_ids=(turn.utterance_id,))
        when = due(clean, self.language)
        if polarity(clean, self.language) == "not_done":
            self._add(self.actions, replace(statement, polarity="not_done"))
            return True
        if cues.bank_will.search(clean):
            self._add(self.follow_ups, replace(statement, owner="bank", due=when))
            return True
        acts = {verb.casefold() for verb in cues.verbs.findall(clean)}
        if acts and (cues.done.search(clean) or cues.doing.search(clean)):
            self._act(acts, clean, statement)
            return True
        if cues.time_promise.search(clean):
            self._add(self.commitments, replace(statement, owner="bank", due=when))
            return True
        if cues.customer_should.search(clean):
            self._add(self.follow_ups, replace(statement, owner="customer", due=when))
            return True
        return False

    def _act(self, acts: set[str], clean: str, statement: Statement) -> None:
        finished = self.cues.done.search(clean) is not None
        known = {verb for _, verb in self._acts}
        if acts <= known and any(_alike(statement.text, told.text) for told in self.actions):
            return
        if finished:
            statement = replace(statement, polarity="done")
            self._acts |= {(self._current, verb) for verb in acts}
            name = self.packs.intent_name(self._current, self.language)
            if content_length(statement.text) < _BARE[self.language] and name:
                mark = f"（{name}）" if self.language == "zh" else f" ({name})"
                statement = replace(statement, text=statement.text + mark)
            self.actions = [kept for kept in self.actions if not self._superseded(kept, acts)]
            self.done.append(statement)
        else:
            self._intended += [(verb, statement) for verb in acts]
        self.actions.append(statement)

    def _superseded(self, statement: Statement, acts: set[str]) -> bool:
        """An announced act is not told again once it is done, unless the announcement says more, such as its price."""
        verbs = {verb for verb, announced in self._intended if announced == statement}
        return bool(verbs) and verbs <= acts and not numbers_in(statement.text)

    def _add(self, statements: list[Statement], statement: Statement) -> None:
        if all(statement.text not in known.text and known.text not in statement.text for known in statements):
            statements.append(statement)

    def _clean(self, sentence: str) -> str:
        """The sentence without fillers and marks at its ends; empty if nothing is left that says something."""
        marks = " ，,、。．.！!；;"
        sentence = self.cues.filler.sub("", sentence)
        clauses = re.split(r"[，,]\s*" if self.language == "zh" else r",\s+", sentence)
        bare = [(clause, clause.strip(f"{marks}？?")) for clause in clauses]
        kept = [clause for clause, words in bare if not self.cues.feeling.match(words) and not self.cues.pleasantry.match(words)]
        text = (("，" if self.language == "zh" else ", ").join(kept)).strip(marks)
        text = self.cues.filler.sub("", text).strip(marks)
        return text if content_length(text) >= 2 else ""

    def _join(self, pieces: Sequence[str]) -> str:
        zh = self.language == "zh"
        text = ""
        for piece in pieces:
            gap = ("" if text.endswith(("？", "?")) else "，") if zh else (" " if text.endswith(("?", ".")) else ". ")
            text += (gap if text else "") + piece
        if len(text) <= _MOST_CHARACTERS:
            return text
        # Never cut inside a number or a token: what is left out is left out whole.
        cut = max(text.rfind(mark, 0, _MOST_CHARACTERS) for mark in ("，", "？", "。", ",", "?", ". "))
        return text[: cut if cut > 0 else len(text)]


_ZH_CUSTOMER = (
    (re.compile(r"我自己"), "本人"),
    (re.compile(r"我们"), "我们"),
    (re.compile(r"(?<![自你您])我的"), "客户的"),
    (re.compile(r"(?<=[帮给替让跟对])我(?!们)"), "客户"),
    (re.compile(r"^我(?!们)"), "客户"),
    (re.compile(r"(?<=[，。？])我(?!们)"), "客户"),
    (re.compile(r"我(?!们)"), "客户"),
    (re.compile(r"你们(?:银行|行(?!不))?"), "银行"),
)
_ZH_AGENT = (
    (re.compile(r"^我?(?:现在|马上)?(?:就)?(?:可以|能)?(?:帮|为|给|替)[您你]"), "为客户"),
    (re.compile(r"(?:帮|为|给|替)[您你]"), "为客户"),
    (re.compile(r"[您你]自己"), "客户自己"),
    (re.compile(r"您|你(?!们)"), "客户"),
    (re.compile(r"我们"), "银行"),
    (re.compile(r"我(?!们)"), "坐席"),
)
_EN_CUSTOMER = ((re.compile(r"\bmy\b", re.IGNORECASE), "the customer's"),)
_EN_AGENT = ((re.compile(r"\byour\b", re.IGNORECASE), "the customer's"),)
_PERSONS: dict[tuple[str, str], tuple[tuple[re.Pattern[str], str], ...]] = {
    ("zh", "customer"): _ZH_CUSTOMER,
    ("zh", "agent"): _ZH_AGENT,
    ("en", "customer"): _EN_CUSTOMER,
    ("en", "agent"): _EN_AGENT,
}


def third_person(text: str, language: str, speaker: str) -> str:
    """The words of a speaker as a third party tells them. PII tokens and everything else stay."""
    for pattern, replacement in _PERSONS[language, speaker]:
        text = pattern.sub(replacement, text)
    return text


def _overall(
    language: str,
    names: Sequence[str],
    problems: Sequence[Statement],
    done: Sequence[Statement],
    commitments: Sequence[Statement],
    follow_ups: Sequence[Statement],
) -> str:
    """One to three sentences from templates: why the customer called, what was done, what remains."""
    zh = language == "zh"
    parts: list[str] = []
    if problems:
        first = problems[0].text.strip("。.？?！!").removeprefix("客户的")
        parts.append(f"客户来电：{first}" if zh else f"The customer called: {first}")
        others = names[1:] if names else []
        if others:
            parts[-1] += ("；另涉及" if zh else "; also about ") + ("、" if zh else ", ").join(others)
    elif names:
        parts.append(("客户来电咨询" if zh else "The customer called about ") + ("、" if zh else ", ").join(names))
    if done:
        acts = ("；" if zh else "; ").join(statement.text for statement in done[:3])
        parts.append(f"坐席处理：{acts}" if zh else f"Done: {acts}")
    rest = [*commitments[:1], *follow_ups[:1]]
    if rest:
        told = ("；" if zh else "; ").join(statement.text for statement in rest)
        parts.append(f"后续：{told}" if zh else f"Next: {told}")
    if not parts:
        return "通话中没有识别到客户的业务诉求。" if zh else "No banking need was recognised in the call."
    return "".join(f"{part}。" for part in parts) if zh else " ".join(f"{part}." if not part.endswith("?") else part for part in parts)
