"""How alike Mandarin syllables sound to a recogniser: a weighted distance over initial, medial, nucleus and coda, tones ignored. PURE.

0 is the same syllable, 1 as good as unrelated. The weights follow what Mandarin speakers and recognisers are known to blur: retroflex and
dental (zh/z), aspiration (b/p), n/l, f/h, l/r, palatal and retroflex (j/zh), -n and -ng; they were adjusted on the dev set only.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

_INITIALS = ("zh", "ch", "sh", *"bpmfdtnlgkhjqxrzcs")
_SPELT = {
    "yi": "i", "ya": "ia", "ye": "ie", "yao": "iao", "you": "iou", "yan": "ian", "yin": "in", "yang": "iang", "ying": "ing",
    "yong": "iong", "wu": "u", "wa": "ua", "wo": "uo", "wai": "uai", "wei": "uei", "wan": "uan", "wen": "uen", "wang": "uang",
    "weng": "ueng", "yu": "v", "yue": "ve", "yuan": "van", "yun": "vn", "yo": "io",
}  # fmt: skip
_LONG = {"iu": "iou", "ui": "uei", "un": "uen", "ue": "ve", "ong": "ong"}

Final = tuple[str, str, str]
"""Medial, nucleus, coda (g for -ng)."""

_PAIRS: Mapping[float, str] = {
    0.12: "zh-z ch-c sh-s",
    0.25: "n-l f-h b-p d-t g-k j-q zh-ch z-c j-zh q-ch x-sh j-z q-c x-s l-r",
    0.35: "q-x j-x ch-sh c-s zh-sh z-s g-h k-h r-zh r-sh r-y m-n ch-z zh-c j-ch q-zh",
    0.45: "f-w h-w h-y x-y l-y r-w j-y d-l t-l n-d m-w g-w k-q b-f p-f d-zh d-z d-j t-c t-ch t-q b-m j-g b-d p-t d-g t-k",
}
_INITIAL_COST = {frozenset(pair.split("-")): cost for cost, pairs in _PAIRS.items() for pair in pairs.split()}
_OTHER_INITIAL = 0.65
_NUCLEUS_COST = {
    frozenset(pair): cost
    for cost, pairs in {
        0.25: ("eo", "iv", "Ii", "aE", "eE"),
        0.35: ("ae", "ao", "uo", "ie", "Ie", "uv", "iE"),
        0.5: ("ue",),
    }.items()
    for pair in pairs
}
_OTHER_NUCLEUS = 0.6
_CODA_COST = {frozenset(("n", "g")): 0.1, frozenset(("", "i")): 0.2, frozenset(("", "u")): 0.25, frozenset(("", "n")): 0.3}
_OTHER_CODA = 0.4
_MEDIAL_COST = {frozenset(("i", "v")): 0.12, frozenset(("", "u")): 0.2, frozenset(("", "i")): 0.2}
_OTHER_MEDIAL = 0.35


def split(syllable: str) -> tuple[str, str]:
    """Initial and final of a toneless pinyin syllable, with y/w spellings resolved: jiu → j, iou; wei → w, uei; ju → j, v."""
    if syllable in _SPELT:
        # The glide counts as an initial of its own, so that 为/会 and 易/系 are nearer than unrelated initials.
        return syllable[0], _SPELT[syllable]
    initial = next((initial for initial in _INITIALS if syllable.startswith(initial)), "")
    final = syllable[len(initial) :].replace("ü", "v")
    final = _LONG.get(final, final)
    if initial in {"j", "q", "x"} and final.startswith("u"):
        final = "v" + final[1:].replace("e", "", 1) if final == "uen" else "v" + final[1:]
    if final == "i" and initial in {"zh", "ch", "sh", "r", "z", "c", "s"}:
        final = "I"  # the buzzed vowel of 是 and 四
    return initial, final


def parts(final: str) -> Final:
    """Medial, nucleus and coda of a final: iang → i, a, ng."""
    coda = ""
    if final.endswith("ng"):
        final, coda = final[:-2], "g"
    elif final.endswith("n"):
        final, coda = final[:-1], "n"
    elif final in {"ai", "ei", "uai", "uei"}:
        final, coda = final[:-1], "i"
    elif final in {"ao", "iao", "ou", "iou"}:
        final, coda = final[:-1], "u"
    if final in {"i", "u", "v", "I", "a", "o", "e"} or len(final) < 2:
        return "", final or "e", coda
    if final == "er":
        return "", "e", "r"
    medial, nucleus = final[0], final[1:]
    if medial in {"i", "v"} and (nucleus == "e" or (nucleus == "a" and coda == "n")):
        nucleus = "E"  # the open vowel of 线 and 写
    return medial, nucleus, coda


def _looked_up(costs: Mapping[frozenset[str], float], a: str, b: str, other: float) -> float:
    return 0.0 if a == b else costs.get(frozenset((a, b)), other)


@cache  # there are about 400 syllables
def distance(a: str, b: str) -> float:
    """How unlike two toneless syllables sound, 0 to 1."""
    if a == b:
        return 0.0
    (initial_a, final_a), (initial_b, final_b) = split(a), split(b)
    medial_a, nucleus_a, coda_a = parts(final_a)
    medial_b, nucleus_b, coda_b = parts(final_b)
    initial = _looked_up(_INITIAL_COST, initial_a, initial_b, _OTHER_INITIAL)
    final = (
        _looked_up(_MEDIAL_COST, medial_a, medial_b, _OTHER_MEDIAL)
        + _looked_up(_NUCLEUS_COST, nucleus_a, nucleus_b, _OTHER_NUCLEUS)
        + _looked_up(_CODA_COST, coda_a, coda_b, _OTHER_CODA)
    )
    return min(1.0, initial + final)
