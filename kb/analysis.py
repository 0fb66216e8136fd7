"""Text → index terms, the same for articles and queries and for every engine. Does no I/O.

Chinese: words as ``cut_for_search`` finds them, character bigrams, and pinyin bigrams folded over the confusions of telephone speech and
southern accents, so that a homophone the recogniser wrote still matches. English: stemmed words, and character trigrams in their place.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import rjieba
import tantivy
from pypinyin import Style, lazy_pinyin

from kb.traditional import simplified

ANALYSIS_VERSION = 3

_TOKEN = re.compile(r"【[^】]*】")
_HAN = re.compile(r"[㐀-鿿]+")
_RUNS = re.compile(r"【[^】]*】|[㐀-鿿]+")
_LATIN = re.compile(r"[a-z0-9]+(?:\.[0-9]+)?")
_EITHER = re.compile(f"{_HAN.pattern}|{_LATIN.pattern}")
_ZH_FILLERS = re.compile(
    r"嗯+|呃+|唔+|额(?=[，,、 ])|那个(?=[，,、 就我你])|就是说|怎么说呢|是这样的|(?:你|您)好|喂+"
    r"|我想(?:请)?问(?:一?下)?|我(?:就)?想咨询(?:一?下)?|请问(?:一?下)?|麻烦(?:你|您)"
)
_EN_FILLERS = re.compile(r"\b(?:uh+|um+|erm*|hmm+|well|you know|i mean|hello|hi|please|could you tell me|i(?: would|'d) like to know)\b")
_ZH_STOP_TEXT = (
    "的 了 吗 呢 啊 呀 吧 嘛 哦 哈 啦 呗 和 与 及 或 在 是 就 都 也 还 又 很 我 你 您 他 她 它 我们 你们 他们 这 那 这个 那个 一个 "
    "一下 个 里 上 下 对 "
    "什么 怎么 怎么办 怎样 如何 可以 能 要 会 有 没有 给 把 被 从 到 请 想 说 知道 时候 现在 然后 因为 所以 但是 如果 的话"
)
_EN_STOP_TEXT = (
    "a an and are as at be been but by can could did do does for from had has have how i if in is it its me my of on or our so "
    "that the their them then there they this to was we were what when where which who why will with would you your"
)
_ZH_STOP = frozenset(_ZH_STOP_TEXT.split())
_EN_STOP = frozenset(_EN_STOP_TEXT.split())
_FOLD_INITIAL = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("l", "n"), ("f", "h"))
_FOLD_FINAL = (("ang", "an"), ("eng", "en"), ("ing", "in"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms of a text, in order, with repetitions. No term contains white space."""

    words: tuple[str, ...]
    bigrams: tuple[str, ...]
    pinyin: tuple[str, ...]

    def joined(self, other: Terms) -> Terms:
        """The terms of both."""
        return Terms(words=self.words + other.words, bigrams=self.bigrams + other.bigrams, pinyin=self.pinyin + other.pinyin)


def normalise(text: str) -> str:
    """Compatibility forms folded, traditional characters simplified, lower case, placeholders of personal data taken out."""
    return simplified(unicodedata.normalize("NFKC", _TOKEN.sub(" ", text))).lower()


def spoken_core(text: str, language: str) -> str:
    """A spoken utterance without placeholders, hesitations and phrases of courtesy; the text itself if nothing else is left."""
    folded = _TOKEN.sub(" ", text)
    core = (_ZH_FILLERS if language == "zh" else _EN_FILLERS).sub(" ", folded if language == "zh" else folded.lower())
    core = re.sub(r"\s+", " ", core).strip(" ，,、。.!！?？")
    return core or folded.strip()


def analyse(text: str, language: str) -> Terms:
    """Index terms of a text in ``language`` (``zh``, else English rules). Both read Han and Latin script in mixed text."""
    folded = normalise(text)
    latin = [_stem(word) for word in _LATIN.findall(folded) if word not in _EN_STOP]
    runs = _HAN.findall(folded)
    words = [word for run in runs for word in rjieba.cut_for_search(run) if word not in _ZH_STOP]
    bigrams = [gram for run in runs for gram in _grams(run, 2)]
    pinyin = [gram for run in runs for gram in pinyin_bigrams(run)]
    if language != "zh":
        bigrams += [gram for word in latin for gram in _grams(f"_{word}_", 3)]
    return Terms(words=(*words, *latin), bigrams=tuple(bigrams), pinyin=tuple(pinyin))


def runs(text: str) -> list[str]:
    """In order: runs of Han characters as they are, and words in Latin letters or digits, stemmed. Placeholders are left out."""
    return [run if _HAN.fullmatch(run) else _stem(run) for run in _EITHER.findall(normalise(text))]


def latin_words(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and stem of every word in Latin letters or digits, of a text in lower case."""
    for found in _LATIN.finditer(text):
        yield found.start(), found.end(), _stem(found.group())


def is_stop_word(word: str) -> bool:
    """Whether it tells nothing of what is talked about."""
    return word in _ZH_STOP or word in _EN_STOP


def han_words(run: str) -> list[str]:
    """The words of a run of Han characters, one after the other."""
    return list(rjieba.cut(run))


def han_runs(text: str) -> Iterator[tuple[int, str]]:
    """Start and characters of every run of Han characters outside placeholders of personal data."""
    for part in _RUNS.finditer(text):
        if not part.group().startswith("【"):
            yield part.start(), part.group()


def sound_terms(text: str) -> frozenset[str]:
    """Of ``analyse`` for Chinese: the pinyin bigrams, and the words in Latin letters."""
    folded = normalise(text)
    latin = {_stem(word) for word in _LATIN.findall(folded) if word not in _EN_STOP}
    return frozenset(gram for run in _HAN.findall(folded) for gram in pinyin_bigrams(run)) | latin


def content_words(text: str, language: str) -> frozenset[str]:
    """The words of a text that carry meaning, for measuring overlap."""
    return frozenset(analyse(text, language).words)


def syllables(text: str) -> tuple[str, ...]:
    """Folded toneless pinyin of a run of Han characters, one per character."""
    return tuple(fold_syllable(syllable) for syllable in lazy_pinyin(text, style=Style.NORMAL, errors="ignore"))


def pinyin_bigrams(run: str) -> list[str]:
    """Pairs of neighbouring folded syllables."""
    sounds = syllables(run)
    return [f"{left}'{right}" for left, right in pairwise(sounds)]


def fold_syllable(syllable: str) -> str:
    """zh/z, ch/c, sh/s, l/n, f/h, ang/an, eng/en, ing/in: one sound each. Narrow-band speech and many accents do not tell them apart."""
    for long, short in _FOLD_INITIAL:
        if syllable.startswith(long):
            syllable = short + syllable[len(long) :]
            break
    for long, short in _FOLD_FINAL:
        if syllable.endswith(long):
            return syllable[: -len(long)] + short
    return syllable


def _grams(text: str, size: int) -> Iterable[str]:
    return (text[at : at + size] for at in range(len(text) - size + 1)) if len(text) >= size else (text,)


@lru_cache(maxsize=1)
def _stemmer() -> tantivy.TextAnalyzer:
    return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw()).filter(tantivy.Filter.stemmer("English")).build()


@lru_cache(maxsize=16384)
def _stem(word: str) -> str:
    stems = _stemmer().analyze(word) if word.isalpha() else None
    return str(stems[0]) if stems else word
