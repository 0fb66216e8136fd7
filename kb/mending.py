"""What was meant, by its sound: words of the knowledge base put back where the recogniser wrote others that sound alike. Pure.

A noisy channel over the words of the articles: the cheapest way to read a run of characters as words, where a word of the knowledge base
may stand for characters of the same folded syllables (``kb.analysis.fold_syllable``), for one syllable fewer, or for one wrong syllable in
three or more. What segmentation knows as a word stays, unless another reading is much cheaper, so that callers' own words are left alone.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import rjieba

from copilot.domain.knowledge import Article
from kb.analysis import han_runs, syllables

LONGEST = 6
"""Characters of a word that is put back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """In nats. ``stranger``: a word that the articles do not have; ``single``: a character by itself that they do not have by itself.

    ``changed``: a character of the same sound is another one; ``lost``: one is missing; ``wrong``: one has another sound.
    """

    stranger: float = 11.0
    single: float = 9.0
    changed: float = 4.5
    lost: float = 5.0
    wrong: float = 12.0


CHOSEN = Costs()
"""By coordinate descent on the dev queries with made noise, so that few characters of clean queries change."""


class Vocabulary:
    """The words of the articles by sound, kept up to date article by article. Safe to read while one thread changes it."""

    def __init__(self, costs: Costs = CHOSEN) -> None:
        self._costs = costs
        self._articles: dict[str, tuple[Article, Counter[str]]] = {}
        self._counts: Counter[str] = Counter()
        self._total = 1
        self._by_sound: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
        self._by_part: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)

    def take(self, articles: Sequence[Article]) -> None:
        """These are the articles from now on; only those that are not the objects of before are read."""
        wanted = {f"{article.article_id}:{article.language}": article for article in articles if article.language == "zh"}
        for key in [key for key, (article, _) in self._articles.items() if wanted.get(key) is not article]:
            _, counts = self._articles.pop(key)
            self._counts.subtract(counts)
            self._total -= counts.total()
        for key, article in wanted.items():
            if key not in self._articles:
                counts = Counter(_words(article))
                self._articles[key] = (article, counts)
                for word in counts:
                    if word not in self._counts:
                        self._index(word)
                self._counts.update(counts)
                self._total += counts.total()

    def mend(self, text: str) -> str:
        """``text`` with its runs of Han characters read anew; the rest as it is."""
        parts: list[str] = []
        at = 0
        for start, run in han_runs(text):
            parts += [text[at:start], self._read(run)]
            at = start + len(run)
        return "".join([*parts, text[at:]])

    def _index(self, word: str) -> None:
        if not 2 <= len(word) <= LONGEST:
            return
        sounds = syllables(word)
        if len(sounds) != len(word):
            return
        self._by_sound[sounds].add(word)
        if len(word) >= 3:
            for place in range(len(sounds)):
                self._by_part[(*sounds[:place], *sounds[place + 1 :])].add(word)
                self._by_part[(*sounds[:place], "*", *sounds[place + 1 :])].add(word)

    def _read(self, run: str) -> str:
        sounds = syllables(run)
        if len(sounds) != len(run) or len(run) < 2:
            return run
        known = _spans(run)
        best: list[tuple[float, str]] = [(0.0, ""), *((math.inf, "") for _ in run)]
        for start in range(len(run)):
            before, said = best[start]
            for end in range(start + 1, min(len(run), start + LONGEST) + 1):
                for cost, word in self._readings(run[start:end], sounds[start:end], (start, end) in known):
                    if before + cost < best[end][0]:
                        best[end] = (before + cost, said + word)
        return best[-1][1]

    def _readings(self, written: str, sounds: tuple[str, ...], known: bool) -> Iterator[tuple[float, str]]:
        """What a piece may stand for, with costs."""
        costs = self._costs
        if known or len(written) == 1 or self._counts[written] > 0:
            yield self._cost(written), written
        if len(written) < 2:
            return
        for word in self._by_sound.get(sounds, ()):
            if word != written and self._counts[word] > 0:
                yield self._cost(word) + costs.changed * _different(written, word), word
        for word in self._by_part.get(sounds, ()):
            if self._counts[word] > 0:
                yield self._cost(word) + costs.lost + costs.changed * _different_but_one(written, word), word
        if len(written) >= 3:
            for place in range(len(sounds)):
                for word in self._by_part.get((*sounds[:place], "*", *sounds[place + 1 :]), ()):
                    if self._counts[word] > 0 and word[place] != written[place]:
                        yield self._cost(word) + costs.wrong + costs.changed * (_different(written, word) - 1), word

    def _cost(self, word: str) -> float:
        count = self._counts[word]
        if count > 0:
            return -math.log(count / self._total)
        return self._costs.single if len(word) == 1 else self._costs.stranger


def _words(article: Article) -> Iterator[str]:
    for text in (article.title, *article.questions, article.answer, article.body):
        for _, run in han_runs(text):
            yield from rjieba.cut(run, False)


def _spans(run: str) -> set[tuple[int, int]]:
    """Where segmentation, without guessing new words, sees words of two or more characters."""
    found, at = set(), 0
    for word in rjieba.cut(run, False):
        if len(word) > 1:
            found.add((at, at + len(word)))
        at += len(word)
    return found


def _different(written: str, word: str) -> int:
    return sum(one != other for one, other in zip(written, word, strict=True))


def _different_but_one(written: str, word: str) -> int:
    """The least number of other characters if ``word`` has one more than ``written``."""
    return min(_different(written, word[:place] + word[place + 1 :]) for place in range(len(word)))
