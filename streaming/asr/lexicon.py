"""Terms of the bank in recognised text: what sounds like a term, and was heard with doubt, becomes the term. PURE.

Three steps, each an edit that keeps what was heard:

1. Spellings: terms in Latin letters get the bank's own spelling whatever the case and the spaces (u key → UKey), and the aliases of the
   lexicon become their term.
2. Sounds: runs of Chinese characters are compared with the terms by the weighted distance of ``streaming.asr.sounds``. How far a span may
   be from a term depends on the term's length, on how sure the recogniser was of the characters that would change, on whether they are
   dictionary words, and on whether the utterance speaks of the bank at all.
3. Of edits that overlap the best remains; a span that is near two different terms stays as heard.

Digits and what stands where people give their names are never touched, and a term that is there already is never cut into.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from copilot.domain.transcript import Word
from streaming.asr.finishing import Edit
from streaming.asr.sounds import distance

_HAN = re.compile(r"[\u4e00-\u9fff]")
_HAN_RUN = re.compile(r"[\u4e00-\u9fff]+")
_HAN_TERM = re.compile(r"[\u4e00-\u9fff]{2,10}")
_LATIN = re.compile(r"[A-Za-z]")
_MARKS = frozenset("，、,。 ")
# Where people give names: 我叫张丹 is no 账单.
_NAME_BEFORE = re.compile(r"(?:[我他她]叫|名叫|叫做|名字[是叫]|姓名是?|户名是?|[我他她贵免]姓)[，,]?$")
_NAME_AFTER = re.compile(r"先生|女士|小姐|师傅|老师|同学")
_NEAR = 0.5
"""Syllables up to this distance count as evidence for a term; further ones may be in it only beside others."""
_ALIKE_ENOUGH = 0.3
_UNSURE = 0.7
"""Confidence of a character whose word gives none."""


def toneless(text: str) -> tuple[str, ...]:
    """One toneless pinyin syllable per character, as a phrase is read."""
    from pypinyin import lazy_pinyin

    return tuple(lazy_pinyin(text, v_to_u=False))


def readings(character: str) -> tuple[str, ...]:
    """Every toneless reading of one character (还: hai, huan, xuan)."""
    from pypinyin import Style, pinyin

    return tuple(dict.fromkeys(pinyin(character, style=Style.NORMAL, heteronym=True, v_to_u=False)[0]))


def jieba_words(text: str) -> list[str]:
    """Dictionary words of a text (no guessing of unknown ones)."""
    import rjieba

    return list(rjieba.cut(text, False))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far from a term, in mean distance per syllable, a span may be. Chosen on the dev set of ``tests/data/terms``."""

    base: tuple[float, ...] = (0.0, 0.0, 0.09, 0.2, 0.26, 0.3)
    """By the term's number of syllables; the last for all longer ones."""
    doubt: float = 0.16
    """Times (``sure`` − mean confidence of the changed characters): what was heard with doubt may be further off."""
    doubt_most: float = 0.06
    """No doubt adds more."""
    sure: float = 0.8
    word: float = 0.08
    """Taken off times the share of changed characters that are in dictionary words of two or more characters, as sure as they are."""
    topic: float = 0.03
    """Added where the utterance holds another term."""
    edge: float = 0.18
    """Taken off, divided by the number of syllables, for each end of the span that cuts a dictionary word in two."""
    mark: float = 0.04
    """Taken off for each mark inside the span."""
    prompt: float = 0.14
    """Added for terms that only become hotwords."""
    short: float = 0.06
    """Most for two characters, which are corrected only beside another term: they sound like too much."""
    alike: float = 0.12
    """Half of the syllables must be at least this near; for hotwords, at least ``_ALIKE_ENOUGH``."""
    worst: float = 0.5
    """No syllable of a term of up to four may be further."""
    rival: float = 0.02
    """A second term must be further by this, else nothing is corrected."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """A Chinese character of the text that may be part of a span."""

    at: int
    character: str
    sounds: tuple[str, ...]
    confidence: float
    in_word: bool
    begins: bool
    ends: bool
    marked: bool
    """A mark stands before it, in the same run."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A span near a term. ``margin``: how far inside the tolerance."""

    start: int
    end: int
    term: str
    margin: float

    @property
    def weight(self) -> float:
        return (self.margin + 0.02) * len(self.term)


class Lexicon:
    """Terms by sound and by spelling. ``terms`` of 2–10 Chinese characters can be corrected to by sound; ``aliases``: wrong → term.

    For terms in Latin letters, aliases in Chinese characters are what they sound like.
    """

    def __init__(
        self,
        terms: Iterable[str],
        *,
        aliases: Mapping[str, str] | None = None,
        segment: Callable[[str], list[str]] = jieba_words,
        tolerance: Tolerance | None = None,
    ) -> None:
        self._terms = tuple(dict.fromkeys(term.strip() for term in terms if term.strip()))
        self._segment = segment
        self._tolerance = tolerance or Tolerance()
        self._spellings = _spellings(self._terms, aliases or {})
        self._exact = _any_of(self._terms)
        forms = [(term, term) for term in self._terms]
        # What Latin letters sound like is written in their aliases: VISA is heard as 维萨, or near to it.
        forms += [(term, alias) for alias, term in (aliases or {}).items() if _LATIN.search(term)]
        self._sounds = [(term, form, toneless(form)) for term, form in forms if _HAN_TERM.fullmatch(form)]
        self._places: dict[str, list[tuple[int, int]]] = {}
        for index, (_, _, sounds) in enumerate(self._sounds):
            for offset, sound in enumerate(sounds):
                self._places.setdefault(sound, []).append((index, offset))
        self._near: dict[str, tuple[tuple[int, int], ...]] = {}
        self._readings: dict[str, tuple[str, ...]] = {}

    def find_corrections(self, text: str, language: str, words: Sequence[Word] = ()) -> list[Edit]:
        """Edits that put terms right, in text order, never overlapping. ``words`` that make up the text say how sure each character is."""
        if not self._terms or not language.startswith("zh"):
            return []
        edits = self._spelt(text)
        taken = [(edit.start, edit.end) for edit in edits]
        taken += [match.span() for match in self._exact.finditer(text)] if self._exact is not None else []
        found = self._sounding(text, words, taken)
        edits += [Edit(start=item.start, end=item.end, replacement=item.term, reason="lexicon") for item in found]
        return sorted(edits, key=lambda edit: edit.start)

    def near_terms(self, text: str, language: str, limit: int = 6) -> tuple[str, ...]:
        """Terms that may have been meant in a first, doubtful hearing, nearest first: hotwords for the decode that counts."""
        if not language.startswith("zh"):
            return ()
        found = [item for run in self._runs(text, [_UNSURE] * len(text)) for item in self._in_run(run, False, (), self._tolerance.prompt)]
        said = self._exact.findall(text) if self._exact is not None else []
        if not said and all(len(item.term) == 2 for item in found):
            found = [item for item in found if item.margin >= 0]
        ranked = sorted(found, key=lambda item: -(item.margin + self._tolerance.prompt) * len(item.term))
        return tuple(dict.fromkeys([*said, *(item.term for item in ranked)]))[:limit]

    # ------------------------------------------------------------------ spellings

    def _spelt(self, text: str) -> list[Edit]:
        edits: list[Edit] = []
        for pattern, term in self._spellings:
            for match in pattern.finditer(text):
                free = all(match.end() <= edit.start or edit.end <= match.start() for edit in edits)
                if free and match[0] != term and not self._inside_term(text, match.start(), match.end()):
                    edits.append(Edit(start=match.start(), end=match.end(), replacement=term, reason="lexicon"))
        return edits

    def _inside_term(self, text: str, start: int, end: int) -> bool:
        return self._exact is not None and any(m.start() < end and start < m.end() for m in self._exact.finditer(text))

    # ------------------------------------------------------------------ sounds

    def _sounding(self, text: str, words: Sequence[Word], taken: Sequence[tuple[int, int]]) -> list[_Found]:
        runs = self._runs(text, _confidences(text, words))
        found: list[_Found] = []
        # What is found makes the utterance one about the bank: once more then, for what counts only beside another term.
        for topical in (False, True):
            if not topical or taken or found:
                found = [item for run in runs for item in self._in_run(run, topical, taken, 0.0) if not _is_name(text, item)]
        chosen: list[_Found] = []
        for item in sorted(found, key=lambda item: -item.weight):
            overlapping = [other for other in chosen if item.start < other.end and other.start < item.end]
            if not overlapping:
                chosen.append(item)
        return [item for item in chosen if not self._rivalled(item, found)]

    def _rivalled(self, item: _Found, found: Sequence[_Found]) -> bool:
        """True if another term of the same length is as near on the same span: nobody can tell them apart by ear."""
        return any(
            other.term != item.term
            and (other.start, other.end) == (item.start, item.end)
            and len(other.term) == len(item.term)
            and abs(other.margin - item.margin) < self._tolerance.rival
            for other in found
        )

    def _runs(self, text: str, sure: Sequence[float]) -> list[list[_Unit]]:
        """Chinese characters in a row; a single mark between them does not end a run (Whisper writes marks into terms it does not know)."""
        runs: list[list[_Unit]] = []
        run: list[_Unit] = []
        shape = self._shape(text)
        for at, character in enumerate(text):
            if not _HAN.match(character):
                if run and character not in _MARKS:
                    runs, run = [*runs, run], []
                continue
            marked = bool(run) and at != run[-1].at + 1
            if run and at > run[-1].at + 2:
                runs, run, marked = [*runs, run], [], False
            in_word, begins, ends, sound = shape[at]
            run.append(_Unit(at, character, (sound,) if in_word else self._any_reading(character), sure[at], in_word, begins, ends, marked))
        return [*runs, run] if run else runs

    def _any_reading(self, character: str) -> tuple[str, ...]:
        known = self._readings.get(character)
        if known is None:
            known = self._readings[character] = readings(character)
        return known

    def _shape(self, text: str) -> list[tuple[bool, bool, bool, str]]:
        """Of each position: in a dictionary word of two or more characters, begins a word, ends a word, its sound in that word."""
        shape: list[tuple[bool, bool, bool, str]] = []
        for word in self._segment(text):
            sounds = toneless(word) if len(word) > 1 and _HAN_RUN.fullmatch(word) else ()
            for index in range(len(word)):
                sound = sounds[index] if len(sounds) == len(word) else ""
                shape.append((bool(sound), index == 0, index == len(word) - 1, sound))
        return [*shape, *[(False, True, True, "")] * (len(text) - len(shape))]

    def _near_places(self, sound: str) -> tuple[tuple[int, int], ...]:
        """(term, offset) of every syllable of the terms that is near a heard one."""
        known = self._near.get(sound)
        if known is None:
            known = tuple(place for other, places in self._places.items() if distance(sound, other) <= _NEAR for place in places)
            self._near[sound] = known
        return known

    def _in_run(self, run: list[_Unit], topical: bool, taken: Sequence[tuple[int, int]], slack: float) -> list[_Found]:
        """Spans within the tolerance and ``slack``."""
        votes: dict[tuple[int, int], int] = {}
        for index, unit in enumerate(run):
            places = set().union(*(self._near_places(sound) for sound in unit.sounds))
            for term, offset in places:
                votes[term, index - offset] = votes.get((term, index - offset), 0) + 1
        found: list[_Found] = []
        for (index, start), count in votes.items():
            size = len(self._sounds[index][2])
            beside = votes.get((index, start - 1), 0) + votes.get((index, start + 1), 0) if size > 3 else 0
            if count + beside < (2 if size < 4 else (3 * size + 4) // 5):
                continue
            # A syllable lost or added only where nearly all the others are there.
            for length in (size,) if size < 5 or count + beside < size - 1 else (size, size - 1, size + 1):
                if start >= 0 and start + length <= len(run):
                    if slack == 0 and self._sounds[index][0] != self._sounds[index][1]:
                        continue  # what an alias sounds like is good for a hotword, not for a correction
                    item = self._judge(run[start : start + length], self._sounds[index], topical, taken, slack)
                    if item is not None and item.margin + slack >= 0:
                        found.append(item)
        return found

    def _judge(
        self,
        span: Sequence[_Unit],
        entry: tuple[str, str, tuple[str, ...]],
        topical: bool,
        taken: Sequence[tuple[int, int]],
        slack: float,
    ) -> _Found | None:
        """The span as a term; None if it is that term, or cuts into another."""
        tolerance = self._tolerance
        term, form, sounds = entry
        start, end = span[0].at, span[-1].at + 1
        for low, high in taken:
            # What is a term already may become part of a longer one, whole; it is not cut into.
            if low < end and start < high and not (start <= low and high <= end and high - low < len(form)):
                return None
        if len(form) == 2 and span[0].in_word and span[0].begins and span[1].ends and not span[0].ends:
            return None  # a dictionary word: what was heard makes sense, and two syllables sound like too much
        kept = max((high - low for low, high in taken if start <= low and high <= end), default=0)
        cost, pairs = _align(span, sounds)
        changed = [unit for unit, place in pairs if place is None or unit.character != form[place]]
        if slack == 0 and len(form) == 2 and not (topical and cost / 2 <= tolerance.short):
            return None
        apart = [1.0 if place is None else _unlike(unit, sounds[place]) for unit, place in pairs]
        near = tolerance.alike if slack == 0 else _ALIKE_ENOUGH
        if not changed or 2 * sum(one <= near for one in apart) < len(sounds):
            return None
        if slack == 0 and len(form) <= 4 and max(apart) > tolerance.worst:
            return None
        confidence = sum(unit.confidence for unit in changed) / len(changed)
        allowed = tolerance.base[min(len(form), len(tolerance.base) - 1)]
        allowed += min(tolerance.doubt_most, tolerance.doubt * (tolerance.sure - confidence))
        allowed -= tolerance.word * sum(unit.confidence for unit in changed if unit.in_word) / len(changed)
        allowed += tolerance.topic * topical
        allowed -= tolerance.edge / len(form) * ((not span[0].begins) + (not span[-1].ends))
        allowed -= tolerance.mark * sum(unit.marked for unit in span[1:])
        # Of a term that grows out of another only what is new counts.
        return _Found(start, end, term, allowed - cost / max(1, len(sounds) - kept))


_SKIPPED = 0.7
"""A syllable of the term that was not heard, or one heard that is not in it."""


def _align(span: Sequence[_Unit], sounds: tuple[str, ...]) -> tuple[float, list[tuple[_Unit, int | None]]]:
    """Least cost of hearing ``sounds`` as the span, and which syllable each character stands for (None: for none)."""
    if len(span) == len(sounds):
        return sum(_unlike(unit, sound) for unit, sound in zip(span, sounds, strict=True)), [(unit, i) for i, unit in enumerate(span)]
    best: list[list[tuple[float, int]]] = [[(_SKIPPED * j, 2) for j in range(len(sounds) + 1)]]
    for i, unit in enumerate(span, start=1):
        row = [(_SKIPPED * i, 1)]
        for j, sound in enumerate(sounds, start=1):
            row.append(
                min((best[i - 1][j - 1][0] + _unlike(unit, sound), 0), (best[i - 1][j][0] + _SKIPPED, 1), (row[j - 1][0] + _SKIPPED, 2))
            )
        best.append(row)
    pairs: list[tuple[_Unit, int | None]] = []
    i, j = len(span), len(sounds)
    while i:
        step = best[i][j][1] if j else 1
        if step == 2:
            j -= 1
            continue
        pairs.append((span[i - 1], j - 1 if step == 0 else None))
        i, j = i - 1, j - (step == 0)
    return best[-1][-1][0], pairs[::-1]


def _is_name(text: str, item: _Found) -> bool:
    """True where the span stands in the place of somebody's name."""
    return _NAME_BEFORE.search(text[: item.start]) is not None or _NAME_AFTER.match(text, item.end) is not None


def _unlike(unit: _Unit, sound: str) -> float:
    return min(distance(heard, sound) for heard in unit.sounds)


def _confidences(text: str, words: Sequence[Word]) -> list[float]:
    """Confidence of every character; ``_UNSURE`` where the words do not make the text."""
    sure = [word.confidence for word in words for _ in word.text]
    return sure if "".join(word.text for word in words) == text else [_UNSURE] * len(text)


def _any_of(texts: Iterable[str]) -> re.Pattern[str] | None:
    alternatives = "|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True))
    return re.compile(alternatives) if alternatives else None


def _spellings(terms: Sequence[str], aliases: Mapping[str, str]) -> list[tuple[re.Pattern[str], str]]:
    """Patterns of everything that is written as a term, longest first: aliases, and terms with Latin letters in any case or spacing."""
    written = {term: term for term in terms if _LATIN.search(term)} | dict(aliases)
    return [(_loosely(spelling), written[spelling]) for spelling in sorted(written, key=lambda spelling: (-len(spelling), spelling))]


def _loosely(spelling: str) -> re.Pattern[str]:
    """Latin letters in any case, with spaces, points or hyphens between them, and not inside a longer Latin word or number."""
    if not _LATIN.search(spelling):
        return re.compile(re.escape(spelling))
    body = r"[ .\-]?".join(re.escape(character) for character in spelling if character not in " .-")
    before = r"(?<![A-Za-z0-9])" if spelling[0].isascii() else ""
    after = r"(?![A-Za-z0-9])" if spelling[-1].isascii() else ""
    return re.compile(before + body + after, re.IGNORECASE)
