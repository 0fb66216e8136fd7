"""Intents of an utterance: the trained classifier, the pack's rules, and the need that the dialogue is about.

A turn is scored alone first. What it says is then weighed with the need before it: a short turn that goes on with it ("那要多久？") has a
class of its own, whose probability goes to that need. Where words such as 顺便 join two needs, each part is scored; the last is the answer,
the others are told beside it. The reasons name rules, nearest exemplars, scores, and that an earlier turn was used.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import yaml

from copilot.domain.errors import InvalidInput
from copilot.domain.intents import UNKNOWN_INTENT, IntentPrediction, IntentReason, IntentScore
from copilot.domain.knowledge import Article
from copilot.domain.ports.knowledge import Embedder
from kb import packs
from kb.analysis import spoken_core
from kb.intent_model import FOLLOW, UNKNOWN, Exemplar, IntentModel, Scored, Trained, Weights
from kb.intent_training import Sample, classes_of, digest, fit_linear

MIN_CONFIDENCE = 0.12
"""Below this the intent is unknown, whatever the rest is. Chosen, like the next, on the dev part of the labelled turns."""
CONTEXT_PRIOR = 6.0
"""How much the need before raises its own intent in a turn that could also mean another."""
FADING = 0.9
"""What of the need before is left after a turn that states none."""

_ALTERNATIVES = 4
_REMEMBERED = 256
_SHORTEST_PART = {"zh": 5, "en": 12}
_JOIN = {
    "zh": re.compile(r"[，,。；;、\s]*(?:顺便|另外|对了|还有(?!没有|[多几什哪])|还想|再问|再一个|哦对)[，,\s]*(?:就是|我|再|问|想|一下)*"),
    "en": re.compile(r"[,.;]*\s*\b(?:by the way|one more thing|another thing|oh and|and also|also)\b[,\s]*", re.IGNORECASE),
}
# What is left of an acknowledgement, a read-out of digits or a name spelled out: nothing one could want.
_NOTHING_ZH = re.compile(
    r"(?:[\s，,。.、！!？?：:~\-]|\d|[零〇一幺二三四五六七八九两十百千万点]|块钱?|大概|左右|好(?:的|吧|嘞|呀)?|对(?:的|呀|啊)?|嗯|啊|哦|噢|呃|唉|是(?:的|啊|呀)?|行(?:吧)?|可以|没错|没问题|"
    r"知道了?|明白了?|清楚了?|谢谢(?:你|您)?|不客气|没有了?|没了|不用了?|再见|拜拜|喂|你好|您好|稍等|等一下|请讲|你说|您说|"
    r"尾号|后四位|最后四位|卡号|身份证号?|手机号?码?|我?(?:本人|自己)|我?姓.|我叫.{1,3}|就?是我|吗|呢|的|了|吧|就是)+"
)
_NOTHING_EN = re.compile(
    r"(?:[\s,.!?:;\-']|\d|\b(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|double|ok|okay|yes|yeah|yep|no|nope|right|sure|fine|alright|"
    r"thanks?|thank|you|bye|goodbye|hello|hi|hm+|uh+|um+|mhm|i|see|got|it|that'?s|correct|great|good|ending|in|the|last|digits|are)\b)+",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"【[^】]*】")


@dataclass(frozen=True, slots=True)
class _Read:
    """A turn read with what came before: probability of every intent and of ``UNKNOWN``; the share that came from the need before."""

    odds: Mapping[str, float]
    borrowed: float
    scored: Scored
    matched: Mapping[str, str]

    @property
    def best(self) -> tuple[str, float]:
        """The likeliest intent and its probability."""
        return max(((intent, value) for intent, value in self.odds.items() if intent != UNKNOWN), key=lambda item: (item[1], item[0]))

    @property
    def known(self) -> bool:
        return self.odds[UNKNOWN] < 0.5 and self.best[1] >= MIN_CONFIDENCE


class ExemplarIntents:
    """Implements ``IntentClassifier``. Thread-safe.

    ``pack``: the text of intents.yaml. ``articles``: their titles and similar questions are exemplars of their intent. ``trained``: used if
    it was trained on this embedding model and these intents, else the separator is fitted here with the weights that ship.
    ``exemplar_embedder``: embeds the exemplars (give one that remembers; default ``embedder``).
    Raises InvalidInput if the pack is not fit for use.
    """

    def __init__(
        self,
        pack: str,
        articles: Sequence[Article],
        embedder: Embedder,
        *,
        exemplar_embedder: Embedder | None = None,
        trained: Trained | None = None,
    ) -> None:
        self._embedder = embedder
        data = checked(pack)
        self._rules = rules_of(data)
        sentences = {language: exemplars(data, articles, language) for language in ("zh", "en")}
        samples: dict[str, Sample] = {}
        for language, items in sentences.items():
            vectors = (exemplar_embedder or embedder).embed([item.text for item in items], "query")
            samples[language] = Sample(exemplars=items, vectors=vectors, rules=())
        try:
            classes = classes_of(sentences)
            for language, items in sentences.items():
                classes_of({language: items})
        except ValueError as error:
            raise InvalidInput(f"The intents cannot be used: {error} in each language; add examples to intents.yaml.") from error
        fits = trained is not None and trained.embedder == embedder.identity and trained.linear.classes == classes
        self.trained = trained if fits else None
        """The stored model in use, None if there is none that fits."""
        self.stale = self.trained is None or self.trained.exemplars != digest(sentences)
        """True if the sentences have changed since the model was trained."""
        linear = self.trained.linear if self.trained is not None else fit_linear(samples, classes)
        weights = self.trained.weights if self.trained is not None else Weights()
        self._models = {
            language: IntentModel(language, sample.exemplars, sample.vectors, linear, weights) for language, sample in samples.items()
        }
        self._scored: OrderedDict[tuple[str, str], tuple[Scored, Mapping[str, str]]] = OrderedDict()
        self._lock = Lock()

    def classify(self, text: str, language: str, context: Sequence[str] = ()) -> IntentPrediction:
        """The intent that the utterance states or goes on with, or ``unknown``. ``context``: earlier utterances, oldest first."""
        language = language if language in self._models else "en"
        if says_nothing(text, language):
            reason = IntentReason(kind="rule", detail="acknowledgement", score=1.0)
            return IntentPrediction(intent=UNKNOWN_INTENT, confidence=0.99, outside=0.99, why=(reason,))
        active, stated = self._need_before(context, language)
        whole = self._read(spoken_core(text, language), language, active)
        parts = [self._read(part, language, active) for part in _parts(text, language)]
        stated_parts = [part for part in parts if part.known]
        chosen = stated_parts[-1] if stated_parts else whole
        return self._prediction(chosen, [whole, *stated_parts] if stated_parts else [], stated)

    def _need_before(self, context: Sequence[str], language: str) -> tuple[dict[str, float], dict[str, int]]:
        """How surely each intent is what the dialogue was about, and the place in ``context`` where it was said last."""
        active: dict[str, float] = {}
        stated: dict[str, int] = {}
        for place, said in enumerate(context):
            if says_nothing(said, language):
                continue
            odds = self._read(spoken_core(said, language), language, active).odds
            if odds[UNKNOWN] >= 0.5:
                active = {intent: FADING * value for intent, value in active.items()}
            else:
                active = {intent: value for intent, value in odds.items() if intent != UNKNOWN}
                best = max(active, key=lambda intent: active[intent])
                stated[best] = place
        return active, stated

    def _read(self, core: str, language: str, active: Mapping[str, float]) -> _Read:
        scored, matched = self._score(core, language)
        follow = scored.classes.get(FOLLOW, 0.0)
        raised = {
            intent: value * (1 + CONTEXT_PRIOR * active.get(intent, 0.0)) for intent, value in scored.classes.items() if intent != FOLLOW
        }
        known = min(1.0, sum(active.values()))
        going_on = {intent: follow * value for intent, value in active.items()}
        total = sum(raised.values()) + sum(going_on.values()) + follow * (1 - known)
        odds = {intent: (value + going_on.get(intent, 0.0)) / total for intent, value in raised.items()}
        odds[UNKNOWN] = odds.get(UNKNOWN, 0.0) + follow * (1 - known) / total
        read = _Read(odds, 0.0, scored, matched)
        best, share = read.best
        # What the turn alone would have given its best intent is its own; the rest is the earlier turn's.
        own = scored.classes.get(best, 0.0)
        return replace(read, borrowed=1 - own / share if share > own else 0.0)

    def _score(self, core: str, language: str) -> tuple[Scored, Mapping[str, str]]:
        key = (language, core)
        with self._lock:
            if (known := self._scored.get(key)) is not None:
                self._scored.move_to_end(key)
                return known
        matched = matching(self._rules[language], core)
        vector = self._embedder.embed([core], "query")[0]
        found = self._models[language].scores(core, vector, tuple(matched)), matched
        with self._lock:
            self._scored[key] = found
            while len(self._scored) > _REMEMBERED:
                self._scored.popitem(last=False)
        return found

    def _prediction(self, chosen: _Read, others: Sequence[_Read], stated: Mapping[str, int]) -> IntentPrediction:
        best, share = chosen.best
        unknown = not chosen.known
        intent = UNKNOWN_INTENT if unknown else best
        also = {
            read.best[0]: read.best[1]
            for read in others
            if read.known and read is not chosen and read.best[0] != intent and len(others) > 2
        }
        ranked = sorted(chosen.odds.items(), key=lambda item: (-item[1], item[0]))
        reasons = [
            IntentReason(kind="rule", detail=pattern, score=1.0) for name, pattern in chosen.matched.items() if unknown or name == best
        ]
        reasons += [
            IntentReason(kind="exemplar", detail=f"{exemplar.intent}: {exemplar.text}", score=round(similarity, 4))
            for exemplar, similarity in chosen.scored.nearest
        ]
        reasons.append(IntentReason(kind="model", detail=best, score=round(chosen.scored.classes.get(best, 0.0), 4)))
        refers_to = stated.get(best) if not unknown and chosen.borrowed >= 0.5 else None
        if refers_to is not None:
            reasons.append(IntentReason(kind="context", detail=best, score=round(chosen.borrowed, 4)))
        return IntentPrediction(
            intent=intent,
            confidence=round(max(chosen.odds[UNKNOWN], 1 - share) if unknown else share, 4),
            outside=round(chosen.odds[UNKNOWN], 4),
            alternatives=tuple(
                IntentScore(intent=name, confidence=round(value, 4))
                for name, value in ranked
                if name not in (intent, UNKNOWN) and value > 0.01
            )[:_ALTERNATIVES],
            also=tuple(IntentScore(intent=name, confidence=round(value, 4)) for name, value in also.items()),
            refers_to=refers_to,
            why=tuple(reasons),
        )


def says_nothing(text: str, language: str) -> bool:
    """True for acknowledgements, greetings, and numbers or names read out: no classifier should be asked."""
    left = _TOKEN.sub("", text).strip()
    return not left or (_NOTHING_ZH if language == "zh" else _NOTHING_EN).fullmatch(left) is not None


def _parts(text: str, language: str) -> list[str]:
    """The needs of a turn that says itself that they are several; none if it does not."""
    parts = [spoken_core(part, language) for part in _JOIN[language].split(text)]
    kept = [part for part in parts if len(part) >= _SHORTEST_PART[language] and not says_nothing(part, language)]
    return kept if len(parts) > 1 else []


def checked(pack: str) -> Mapping[str, Any]:
    """The intents pack as data. Raises InvalidInput with its first faults."""
    problems = packs.faults("intents", pack)
    if problems:
        raise InvalidInput(f"The intents cannot be used; correct intents.yaml: {'; '.join(map(str, problems[:5]))}.")
    data: Mapping[str, Any] = yaml.load(pack, yaml.CSafeLoader)
    return data


def rules_of(data: Mapping[str, Any]) -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """Per language: (intent, pattern), in the pack's order."""
    return {
        language: [
            (str(entry["id"]), re.compile(pattern, re.IGNORECASE))
            for entry in data["intents"]
            for pattern in (entry.get("rules") or {}).get(language) or ()
        ]
        for language in ("zh", "en")
    }


def matching(rules: Sequence[tuple[str, re.Pattern[str]]], core: str) -> dict[str, str]:
    """The intents whose rule matches, each with the first pattern that does."""
    found: dict[str, str] = {}
    for intent, rule in rules:
        if intent not in found and rule.search(core):
            found[intent] = rule.pattern
    return found


def exemplars(data: Mapping[str, Any], articles: Sequence[Article], language: str) -> list[Exemplar]:
    """The sentences of the pack and of the articles, each once per intent, as they are embedded."""
    known = {str(entry["id"]) for entry in data["intents"]}
    found: dict[tuple[str, str], Exemplar] = {}

    def add(text: str, intent: str) -> None:
        core = spoken_core(text, language)
        if core:
            found.setdefault((core, intent), Exemplar(text=core, intent=intent))

    for entry in data["intents"]:
        for text in (entry.get("examples") or {}).get(language) or ():
            add(str(text), str(entry["id"]))
    for article in articles:
        if article.language == language and article.intent in known:
            for text in (article.title, *article.questions):
                add(text, article.intent)
    for key, intent in (("unknown_examples", UNKNOWN), ("follow_up_examples", FOLLOW)):
        for text in (data.get(key) or {}).get(language) or ():
            add(str(text), intent)
    return list(found.values())
