"""What a recogniser does to a Chinese query, made on purpose: homophones, near-homophones, lost and wrong characters. Pure.

Only Han characters outside placeholders of personal data (``【卡号#1】``) are touched; Latin letters, digits and punctuation stay, so an
English query comes back as it was. A text's noise depends on nothing but the text, the kind, the rate and the seed.
"""

from __future__ import annotations

import math
import random
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from pypinyin import Style, lazy_pinyin
from pypinyin.phrases_dict import phrases_dict

from copilot.domain.errors import InvalidInput

KINDS = ("homophone", "near-homophone", "drop", "random")
MIXED = "mixed"
"""Every wrong character draws one of ``KINDS`` with equal chance."""

_PARTS = re.compile(r"【[^】]*】|[㐀-鿿]+")
_INITIALS = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("n", "l"), ("f", "h"))
_FINALS = (("ang", "an"), ("eng", "en"), ("ing", "in"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """``kind``: one of ``KINDS``, or ``mixed``. ``rate``: the share of the Han characters that go wrong, above 0 and at most 1."""

    kind: str
    rate: float

    def __post_init__(self) -> None:
        if self.kind not in {*KINDS, MIXED}:
            raise InvalidInput(f"There is no noise {self.kind!r}; choose {', '.join(KINDS)} or {MIXED}.")
        if not 0.0 < self.rate <= 1.0:
            raise InvalidInput(f"The rate of noise must be above 0 and at most 1, not {self.rate:g}.")

    def __str__(self) -> str:
        return f"{self.kind}:{self.rate:g}"


def parse_noise(text: str) -> Noise:
    """``homophone:0.2`` → its noise. Raises InvalidInput."""
    kind, _, rate = text.partition(":")
    try:
        return Noise(kind=kind.strip(), rate=float(rate))
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no noise; write a kind and a rate, such as homophone:0.2.") from error


def noisy(text: str, noise: Noise, seed: int) -> str:
    """``text`` with a share ``noise.rate`` of its Han characters gone wrong.

    The number of them is rate·n rounded up or down by chance, so that it is right on average for short texts too. A character that has no
    (near-)homophone among common characters is passed over for another; a drop never takes the last Han character.
    """
    rng = random.Random(f"{noise}:{seed}:{text}")
    sounds = dict(_sounded(text))
    wanted = math.floor(noise.rate * len(sounds) + rng.random())
    result = list(text)
    left = len(sounds)
    for place in rng.sample(sorted(sounds), len(sounds)):
        if wanted == 0:
            break
        kind = rng.choice(KINDS) if noise.kind == MIXED else noise.kind
        if kind == "drop" and left == 1:
            continue
        wrong = _wrong(text[place], sounds[place], kind, rng)
        if wrong is not None:
            result[place] = wrong
            wanted -= 1
            left -= wrong == ""
    return "".join(result)


def _sounded(text: str) -> Iterator[tuple[int, str]]:
    """Position and toneless syllable, as read in context, of every Han character that may go wrong."""
    for part in _PARTS.finditer(text):
        run = part.group()
        if not run.startswith("【"):
            # Characters without a reading come back as one piece; then each is read alone.
            read = lazy_pinyin(run, style=Style.NORMAL)
            sounds = read if len(read) == len(run) else [lazy_pinyin(one, style=Style.NORMAL)[0] for one in run]
            yield from ((part.start() + at, sound) for at, sound in enumerate(sounds))


def _wrong(character: str, sound: str, kind: str, rng: random.Random) -> str | None:
    """What ``character`` becomes (empty: it is lost), None if nothing of that kind is known for it."""
    if kind == "drop":
        return ""
    table = common_characters()
    if kind == "random":
        sounds = [sound]
        while sounds == [sound]:
            sounds = [rng.choice(list(table))]
    else:
        sounds = [sound] if kind == "homophone" else near_sounds(sound)
    weights = {other: weight for each in sounds for other, weight in table.get(each, {}).items() if other != character}
    return rng.choices(list(weights), list(weights.values()))[0] if weights else None


def near_sounds(sound: str) -> list[str]:
    """The syllables one confusion away: zh/z, ch/c, sh/s, n/l, f/h at the start, or ang/an, eng/en, ing/in at the end."""
    found = []
    initial = re.match(r"zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw]?", sound)
    start = initial.group() if initial else ""
    for pair in _INITIALS:
        if start in pair:
            found.append((pair[1] if start == pair[0] else pair[0]) + sound[len(start) :])
    for long, short in _FINALS:
        if sound.endswith(long):
            found.append(sound[: -len(long)] + short)
        elif sound.endswith(short):
            found.append(sound[: -len(short)] + long)
    table = common_characters()
    return [each for each in found if each in table]


@lru_cache(maxsize=1)
def common_characters() -> Mapping[str, Mapping[str, int]]:
    """Toneless syllable → its common characters with how often each is read so in pypinyin's table of phrases.

    Common: the 3,755 characters of GB 2312's first level. The phrases stand in for a corpus, since a recogniser errs towards what is often
    written; they hold more sayings than speech does.
    """
    level = {bytes((row, cell)).decode("gb2312") for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF) if (row, cell) < (0xD7, 0xFA)}
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for phrase, readings in phrases_dict.items():
        for character, reading in zip(phrase, readings, strict=False):
            if character in level:
                counts[_toneless(reading[0])][character] += 1
    for character in sorted(level):
        # Also those that no phrase holds.
        counts[lazy_pinyin(character, style=Style.NORMAL)[0]][character] += 1
    return MappingProxyType({sound: MappingProxyType(dict(sorted(of.items()))) for sound, of in sorted(counts.items())})


@lru_cache(maxsize=4096)
def _toneless(reading: str) -> str:
    """``lǜ`` → ``lv``."""
    plain = unicodedata.normalize("NFD", reading).replace("u\N{COMBINING DIAERESIS}", "v")
    return "".join(letter for letter in plain if not unicodedata.combining(letter))
