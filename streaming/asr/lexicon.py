"""Terms of the bank in recognised text: hotwords for the decoder, and homophones put right by pinyin. PURE.

Conservative: a span is only corrected to a term that sounds the same, when the span begins and ends between words and is itself no word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from streaming.asr.finishing import Edit

_HAN_RUN = re.compile(r"[\u4e00-\u9fff]+")
_HAN_TERM = re.compile(r"[\u4e00-\u9fff]{2,8}")
_INITIALS = (("zh", "z"), ("ch", "c"), ("sh", "s"))
_NEAR_INITIALS = {"n": "l", "f": "h"}


def toneless(text: str) -> tuple[str, ...]:
    """One toneless pinyin syllable per character."""
    from pypinyin import lazy_pinyin

    return tuple(lazy_pinyin(text))


def near(syllable: str) -> str:
    """A syllable with the distinctions that speakers and recognisers blur taken out: zh/z, ch/c, sh/s, n/l, f/h, -ng/-n."""
    for long, short in _INITIALS:
        if syllable.startswith(long):
            syllable = short + syllable[2:]
            break
    else:
        syllable = _NEAR_INITIALS.get(syllable[:1], syllable[:1]) + syllable[1:]
    return syllable[:-1] if syllable.endswith(("ang", "eng", "ing")) else syllable


def jieba_words(text: str) -> list[str]:
    """Dictionary words of a text (no guessing of unknown ones)."""
    import rjieba

    return list(rjieba.cut(text, False))


class Lexicon:
    """Terms by sound. ``terms``: most important first. Terms of 2–8 Chinese characters can be corrected to; all can be hotwords.

    Two-character terms need the same syllables (tones aside); longer ones may differ by one near syllable for each three characters.
    """

    def __init__(self, terms: Iterable[str], *, segment: Callable[[str], list[str]] = jieba_words, hotword_limit: int = 20) -> None:
        self._terms = tuple(dict.fromkeys(term.strip() for term in terms if term.strip()))
        self._known = frozenset(self._terms)
        self._segment = segment
        self._hotword_limit = hotword_limit
        self._by_sound: dict[tuple[str, ...], list[tuple[str, tuple[str, ...]]]] = {}
        for term in self._terms:
            if _HAN_TERM.fullmatch(term):
                sound = toneless(term)
                self._by_sound.setdefault(tuple(near(s) for s in sound), []).append((term, sound))
        self._lengths = sorted({len(key) for key in self._by_sound}, reverse=True)

    @property
    def hotwords(self) -> Sequence[str]:
        """The most important terms, few enough for a prompt."""
        return self._terms[: self._hotword_limit]

    def find_corrections(self, text: str, language: str) -> list[Edit]:
        """Edits that put terms right; longer terms first, never overlapping."""
        if not self._by_sound or not language.startswith("zh"):
            return []
        edits: list[Edit] = []
        for run in _HAN_RUN.finditer(text):
            words = self._segment(run[0])
            edges, position = {0}, 0
            for word in words:
                position += len(word)
                edges.add(position)
            sounds = toneless(run[0])
            if len(sounds) != len(run[0]):
                continue
            edits += self._in_run(run[0], run.start(), sounds, edges)
        return edits

    def _in_run(self, run: str, offset: int, sounds: tuple[str, ...], edges: set[int]) -> list[Edit]:
        edits: list[Edit] = []
        blurred = tuple(near(sound) for sound in sounds)
        taken = [False] * len(run)
        for length in self._lengths:
            for start in range(len(run) - length + 1):
                end = start + length
                span = run[start:end]
                if span in self._known:
                    # What is a term already is neither changed nor cut into.
                    taken[start:end] = [True] * length
                    continue
                if start not in edges or end not in edges or any(taken[start:end]):
                    continue
                if not any(edge in edges for edge in range(start + 1, end)):
                    continue  # a single dictionary word: what was heard makes sense
                term = self._best(blurred[start:end], sounds[start:end])
                if term is not None:
                    taken[start:end] = [True] * length
                    edits.append(Edit(start=offset + start, end=offset + end, replacement=term, reason="lexicon"))
        return edits

    def _best(self, blurred: tuple[str, ...], sounds: tuple[str, ...]) -> str | None:
        """The nearest term; None when two are equally near (nobody can tell them apart by ear)."""
        allowed = len(sounds) // 3
        candidates = sorted(
            (sum(a != b for a, b in zip(sound, sounds, strict=True)), term) for term, sound in self._by_sound.get(blurred, ())
        )
        if not candidates or candidates[0][0] > allowed or (len(candidates) > 1 and candidates[1][0] == candidates[0][0]):
            return None
        return candidates[0][1]
