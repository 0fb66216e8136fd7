"""The terms of a call: words of the bank's taxonomy that were said, and content words that keep coming back. Pure.

Weight = 1 + ln(count), doubled for a term of the taxonomy and for one that the customer said, over that of the first term.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

import rjieba

from copilot.domain.artifacts import Keyword, Keywords
from copilot.domain.ids import UtteranceId
from kb.analysis import content_words, normalise
from postcall.needs import CUSTOMER
from postcall.packs import Taxonomy
from postcall.turns import Transcript

MOST_TERMS = 20
_LEAST_COUNT = 2
_LEAST_LENGTH = {"zh": 2, "en": 4}
_WORD = re.compile(r"[a-z][a-z'-]+")
_ZH_COMMON = (
    "这边 那边 您好 你好 谢谢 感谢 好的 再见 没有 不是 是的 还有 就是 可以 帮您 为您 请您 稍等 清楚 明白 需要 应该 已经 "
    "麻烦 问题 情况 时间 今天 昨天 明天 马上 一般 目前 当时 里面 上面 东西 意思 觉得 看看 看到 一遍 两个 几个 这样 那样"
)
_EN_COMMON = "okay sure right just like really think know want need going have been does would could there here then"
_COMMON = {"zh": frozenset(_ZH_COMMON.split()), "en": frozenset(_EN_COMMON.split())}


def terms_of(transcript: Transcript, taxonomy: Taxonomy) -> Keywords:
    """At most twenty terms, the most telling first; personal information and numbers are never among them."""
    language = transcript.language
    known = {word for leaf in taxonomy.leaves for word in leaf.keywords.get(language, ()) if len(word) >= _LEAST_LENGTH[language]}
    found: dict[str, list[UtteranceId]] = {}
    asked: set[str] = set()
    for turn in transcript.turns:
        text = normalise(turn.text)
        for term in (*(word for word in known if word in text), *_words(text, language, known)):
            found.setdefault(term, []).append(turn.utterance_id)
            if turn.channel in CUSTOMER:
                asked.add(term)
    weights = {
        term: (1 + math.log(len(said))) * (2 if term in known else 1) * (2 if term in asked else 1)
        for term, said in found.items()
        if term in known or len(said) >= _LEAST_COUNT
    }
    ranked = sorted(weights, key=lambda term: (-weights[term], term))
    chosen = [term for term in ranked if not _inside(term, ranked, weights)][:MOST_TERMS]
    first = weights[chosen[0]] if chosen else 1.0
    return Keywords(
        language=language,
        terms=tuple(
            Keyword(
                term=term,
                weight=round(weights[term] / first, 3),
                count=len(found[term]),
                utterance_ids=tuple(dict.fromkeys(found[term])),
                known=term in known,
            )
            for term in chosen
        ),
    )


def _words(text: str, language: str, known: set[str]) -> list[str]:
    if language == "zh":
        words: Iterable[str] = (str(word) for word in rjieba.cut(text))
        words = (word for word in words if re.fullmatch(r"[\u4e00-\u9fff]+", word))
    else:
        words = _WORD.findall(text)
    stop = _COMMON[language]
    kept = [word for word in words if len(word) >= _LEAST_LENGTH[language] and word not in stop and word not in known]
    content = content_words(text, language)
    # The index's words are stemmed in English: there the stop list alone decides.
    return [word for word in kept if language == "en" or word in content]


def _inside(term: str, ranked: list[str], weights: Mapping[str, float]) -> bool:
    """A part of a longer term that weighs as much says nothing of its own (限额 in 非柜面限额)."""
    return any(term != other and term in other and weights[other] >= weights[term] for other in ranked)
