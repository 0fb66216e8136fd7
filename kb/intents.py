"""What the customer wants, from exemplar sentences, the similar questions of articles, and rules; or honestly unknown."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from copilot.domain.errors import InvalidInput
from copilot.domain.intents import UNKNOWN_INTENT, IntentPrediction, IntentReason, IntentScore
from copilot.domain.knowledge import Article
from copilot.domain.ports.knowledge import Embedder
from kb import packs
from kb.analysis import spoken_core
from kb.exemplars import Exemplar, ExemplarModel, Scores

RULE_BOOST = 0.06
RULE_GATE = -1.0
"""A rule is precise by agreement: its match weighs more than the nearest exemplars, and says that something is wanted."""

GATE_SLOPE = 5.7
GATE_BIAS = {"zh": 0.35, "en": 2.1}
"""P(nothing is wanted) = logistic(slope · gate + bias). Fitted by 10-fold cross-validation on the sample bank's exemplars against its idle
talk: of that, 90% is seen as such, for 1% of the requests lost."""

MIN_CONFIDENCE = 0.3
"""Below this the intent is unknown: in the same cross-validation at least half of such guesses were wrong."""

CONTEXT_CONFIDENCE = 0.5
"""A short utterance is read together with the one before it only if that makes it clear."""

_SHORT = {"zh": 10, "en": 30}
_ALTERNATIVES = 4

# What is left of an acknowledgement, a read-out of digits or a name spelled out: nothing one could want.
_NOTHING_ZH = re.compile(
    r"(?:[\s，,。.、！!？?：:~\-]|\d|[零〇一幺二三四五六七八九十两百千万点]|块钱?|大概|左右|好(?:的|吧|嘞|呀)?|对(?:的|呀|啊)?|嗯|啊|哦|噢|呃|唉|是(?:的|啊|呀)?|行(?:吧)?|可以|没错|没问题|"
    r"知道了?|明白了?|清楚了?|谢谢(?:你|您)?|不客气|没有了?|没了|不用了?|再见|拜拜|喂|你好|您好|稍等|等一下|请讲|你说|您说|"
    r"尾号|后四位|最后四位|卡号|身份证号?|手机号?码?|我?(?:本人|自己)|我?姓.|我叫.{1,3}|就?是我|吗|呢|的|了|吧|就是)+"
)
_NOTHING_EN = re.compile(
    r"(?:[\s,.!?:;\-']|\d|\b(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|double|ok|okay|yes|yeah|yep|no|nope|right|sure|fine|alright|"
    r"thanks?|thank|you|bye|goodbye|hello|hi|hm+|uh+|um+|mhm|i|see|got|it|that'?s|correct|great|good|ending|in|the|last|digits|are)\b)+",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"【[^】]*】")


class ExemplarIntents:
    """Implements ``IntentClassifier``. Thread-safe.

    ``pack``: the text of intents.yaml. ``articles``: their titles and similar questions are exemplars of their intent.
    ``exemplar_embedder``: embeds the exemplars (give one that remembers; default ``embedder``).
    Raises InvalidInput if the pack is not fit for use.
    """

    def __init__(self, pack: str, articles: Sequence[Article], embedder: Embedder, *, exemplar_embedder: Embedder | None = None) -> None:
        problems = packs.faults("intents", pack)
        if problems:
            raise InvalidInput(f"The intents cannot be used; correct intents.yaml: {'; '.join(problems[:5])}.")
        data: Mapping[str, Any] = yaml.safe_load(pack)
        self._embedder = embedder
        self._models: dict[str, ExemplarModel] = {}
        self._rules: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
        known = {str(entry["id"]) for entry in data["intents"]}
        for language in ("zh", "en"):
            exemplars = _exemplars(data, articles, known, language)
            try:
                vectors = (exemplar_embedder or embedder).embed([exemplar.text for exemplar in exemplars], "query")
                self._models[language] = ExemplarModel(exemplars, vectors, language, UNKNOWN_INTENT)
            except ValueError as error:
                raise InvalidInput(f"The intents cannot be used in {language}: {error}; add examples to intents.yaml.") from error
            self._rules[language] = [
                (str(entry["id"]), re.compile(pattern, re.IGNORECASE))
                for entry in data["intents"]
                for pattern in (entry.get("rules") or {}).get(language) or ()
            ]

    def classify(self, text: str, language: str, context: Sequence[str] = ()) -> IntentPrediction:
        """The best intent, or ``unknown``; ``why`` names the rule and the nearest exemplars."""
        language = language if language in self._models else "en"
        if says_nothing(text, language):
            reason = IntentReason(kind="rule", detail="acknowledgement", score=1.0)
            return IntentPrediction(intent=UNKNOWN_INTENT, confidence=0.99, why=(reason,))
        core = spoken_core(text, language)
        alone = self._predict(core, language)
        if alone.intent != UNKNOWN_INTENT or not context or len(core) > _SHORT[language]:
            return alone
        before = spoken_core(context[-1], language)
        if says_nothing(before, language):
            return alone
        together = self._predict(f"{before}，{core}" if language == "zh" else f"{before} {core}", language)
        return (
            together
            if together.intent != UNKNOWN_INTENT and together.confidence >= CONTEXT_CONFIDENCE and not self._idle(core, language)
            else alone
        )

    def _predict(self, core: str, language: str) -> IntentPrediction:
        matched = self._matched(core, language)
        scores = self._scores(core, language, matched)
        idle = _idle(scores, matched, language)
        ranked = sorted(scores.classes.items(), key=lambda item: (-item[1], item[0]))
        best, share = ranked[0]
        confidence = share * (1 - idle)
        unknown = idle >= 0.5 or confidence < MIN_CONFIDENCE
        others = ranked if unknown else ranked[1:]
        reasons = [IntentReason(kind="rule", detail=pattern, score=1.0) for intent, pattern in matched.items() if unknown or intent == best]
        reasons += [
            IntentReason(kind="exemplar", detail=f"{exemplar.intent}: {exemplar.text}", score=round(similarity, 4))
            for exemplar, similarity in scores.nearest
        ]
        return IntentPrediction(
            intent=UNKNOWN_INTENT if unknown else best,
            confidence=round(max(idle, 1 - confidence) if unknown else confidence, 4),
            alternatives=tuple(
                IntentScore(intent=intent, confidence=round(value * (1 - idle), 4))
                for intent, value in others[:_ALTERNATIVES]
                if value > 0.01
            ),
            why=tuple(reasons),
        )

    def _scores(self, core: str, language: str, matched: Mapping[str, str]) -> Scores:
        vector = self._embedder.embed([core], "query")[0]
        return self._models[language].scores(core, vector, dict.fromkeys(matched, RULE_BOOST))

    def _matched(self, core: str, language: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for intent, rule in self._rules[language]:
            if intent not in found and rule.search(core):
                found[intent] = rule.pattern
        return found

    def _idle(self, core: str, language: str) -> bool:
        matched = self._matched(core, language)
        return _idle(self._scores(core, language, matched), matched, language) >= 0.5


def says_nothing(text: str, language: str) -> bool:
    """True for acknowledgements, greetings, and numbers or names read out: no classifier should be asked."""
    left = _TOKEN.sub("", text).strip()
    return not left or (_NOTHING_ZH if language == "zh" else _NOTHING_EN).fullmatch(left) is not None


def _idle(scores: Scores, matched: Mapping[str, str], language: str) -> float:
    """Probability that nothing is wanted."""
    logit = GATE_SLOPE * (scores.gate + (RULE_GATE if matched else 0.0)) + GATE_BIAS[language]
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, logit))))


def _exemplars(data: Mapping[str, Any], articles: Sequence[Article], known: set[str], language: str) -> list[Exemplar]:
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
    for text in (data.get("unknown_examples") or {}).get(language) or ():
        add(str(text), UNKNOWN_INTENT)
    return list(found.values())
