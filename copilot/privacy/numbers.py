"""Which digit strings of a line are personal, and what they are. Pure.

Decided by, in this order: what plainly is something else (money, rates, hotlines, counts), the cue before the number, what the call is
waiting for, and the number's own form. Check digits raise the confidence but do not decide: a misheard card number is still somebody's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from stdnum import luhn
from stdnum.cn import ric
from stdnum.exceptions import ValidationError

from copilot.privacy import cues
from copilot.privacy.cues import Cue
from copilot.privacy.digits import Group, Run, run_of, runs
from copilot.privacy.homophones import ENGLISH_EVERYDAY, EVERYDAY, FUNCTION_WORDS
from copilot.privacy.spans import NUMBERS, Kind, PiiType, Span, free

LONG = 11
"""A digit string this long is personal unless something says what else it is."""
_PIECES: dict[Kind, frozenset[int]] = {
    "手机号": frozenset({11}),
    "身份证": frozenset({6, 8, 15, 17, 18}),
    "卡号": frozenset({16, 19}),
    "尾号": frozenset({4, 6}),
    "验证码": frozenset({4, 6}),
    "密码": frozenset({4, 6}),
    "安全码": frozenset({3}),
}
"""How many digits a number of the kind, or the usual piece of it, has."""
_LONG_KINDS: frozenset[Kind] = frozenset({"卡号", "手机号", "身份证", "护照"})
_MOBILE = re.compile(r"1[3-9]\d{9}")
_CHECK_X = re.compile(r"[\s,，]*(?:[xXｘＸ]|叉|艾克斯|埃克斯|\bex\b)(?![a-wyzA-WYZ])")
_LETTERS = re.compile(r"(?<![A-Za-z'’])(?:[A-Z](?:[\s·.-]{0,2}[A-Z]){0,3}[\s·.-]{0,2}|[a-z]{1,2})$")
_PASSPORT_LETTERS = re.compile(r"[EGDSPHKMCW][A-Z]?")
_SHORT_KINDS: frozenset[Kind | None] = frozenset({"尾号", "验证码", "密码", "安全码"})
_DIALLED = re.compile(r"(?:打|拨|热线|客服|来电|电话|显示|call|dial|hotline)[^，,。.]{0,6}$|(?:或者?|or)\s*$", re.IGNORECASE)
_CARD_GROUPS = re.compile(r"(?!19|20)\d{4}(?:[ -]\d{4}){1,3}")
_US_PHONE = re.compile(r"[(]?\d{3}[)]?[-. ]{1,2}\d{3}[-. ]\d{4}")
_TOLL_FREE = re.compile(r"1?[- ]?8(?:00|88|77|66)[- ]\d{3}[- ]\d{4}")
_ROUND = re.compile(r"[1-9]\d?(?:000|0000|00000)")
"""Written out like this, it is an amount unless a cue says otherwise."""
_HAN = re.compile(r"[\u4e00-\u9fff]")
_NANP = re.compile(r"[2-9]\d{2}[2-9]\d{6}")
_FILL = re.compile(
    r"[\s,，。.、!！?？:：;；\-—]|嗯|呃|额|啊|哦|噢|呀|吧|嘛|呢|吗|对的?|是的?|好的?|就是|然后|再|后面|前面|中间|最后|接着|那个|这个"
    r"|我的|他的|她的|您的|我|他|她|您|没错"
    r"|\b(?:um+|uh+|er+m?|yes|yeah|ok|okay|so|and|then|it'?s|it is|that'?s|is|the|sure|right|again|my|number|one|finally|last)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    cues: tuple[Cue, ...]
    waiting: tuple[Kind, ...]


def numbers(text: str, waiting: Sequence[Kind], taken: list[Span]) -> list[Span]:
    """Personal digit strings of ``text`` outside the spans ``taken``. ``waiting``: what the call waits for, the newest last."""
    line = _Line(text, tuple(cues.cues(text)), tuple(kind for kind in waiting if kind in NUMBERS))
    spans: list[Span] = []
    used = 0  # a cue announces one number, the first after it
    found = [_widened(text, run) for whole in runs(text) for run in _cut(text, whole) if free(run.start, run.end, taken)]
    for at, run in enumerate(found):
        if len(run.digits) < 5 and any(group.kind == "en" and _everyday(text, group) for group in run.groups if not group.sure):
            continue  # "five to seven days"
        span = _number(line, run, used, spans[-1] if spans else None)
        if span is not None:
            spans.append(span)
            if at > 0:
                spans[-1:-1] = _corrected(line, found[at - 1], span, spans)
        if span is not None or len(run.digits) >= 3:
            used = run.end
    return spans


def _widened(text: str, run: Run) -> Run:
    """A short run with what can only be misheard digits at its edges: 八幺令九 is no number of two digits."""
    if len(run.digits) >= 6:
        return run
    lead, tail = list(run.lead[-2:]), list(run.tail[:2])
    while lead and any(_everyday(text, group) for group in lead):
        lead.pop(0)
    while tail and any(_everyday(text, group) for group in tail):
        tail.pop()
    return replace(run_of((*lead, *run.groups, *tail)), lead=run.lead[: len(run.lead) - len(lead)], tail=run.tail[len(tail) :])


def bare(text: str, start: int, end: int) -> bool:
    """Whether the line says hardly anything but what stands at ``start``–``end``."""
    return len(_FILL.sub("", text[:start] + " " + text[end:])) <= 2


def _corrected(line: _Line, before: Run, span: Span, spans: list[Span]) -> list[Span]:
    # "八七，哦不是，幺七九…": a false start is a piece of the number that follows.
    wrong = cues.CORRECTION.match(line.text, before.end)
    near = wrong is not None and len(line.text[wrong.end() : span.start]) <= 6
    if not near or len(before.digits) < 2 or not free(before.start, before.end, spans):
        return []
    return [Span(before.start, before.end, span.type, before.digits, 0.7)]


def _cut(text: str, run: Run) -> list[Run]:
    """A run whose last groups count something, or whose groups are numbers of their own, in its parts."""
    parts: list[list[Group]] = [[]]
    for at, group in enumerate(run.groups):
        if parts[-1] and text[run.groups[at - 1].end : group.start].strip(" -–—") and _apart(text, parts[-1], run.groups[at:]):
            parts.append([])
        parts[-1].append(group)
    if len(parts) == 1:
        return [run]
    cut = [run_of(tuple(part)) for part in parts]
    return [replace(cut[0], lead=run.lead), *cut[1:-1], replace(cut[-1], tail=run.tail)]


def _apart(text: str, before: Sequence[Group], rest: Sequence[Group]) -> bool:
    """Whether a pause ends one number: what follows counts something, is a whole number, or is too long to be the rest of it."""
    group = rest[0]
    size, left = sum(len(item.digits) for item in before), sum(len(item.digits) for item in rest)
    if len(rest) == 1 and (cues.MONEY.match(text, group.end) or (len(group.digits) <= 4 and cues.UNIT.match(text, group.end))):
        return True
    if len(group.digits) <= 3 or group.kind == "en":
        return False
    whole = len(group.digits) >= 15 or _MOBILE.fullmatch(group.digits) is not None
    return (
        whole
        or (size >= 15 and size + len(group.digits) > 19)
        or (left >= 10 and _MOBILE.fullmatch("".join(item.digits for item in before)) is not None)
    )


def _number(line: _Line, run: Run, used: int, last: Span | None) -> Span | None:
    text, size = line.text, len(run.digits)
    check = _CHECK_X.match(text, run.end)
    if size == 17 and check is not None:
        return Span(run.start, check.end(), "身份证", run.digits + "X", 0.99 if _valid_id(run.digits + "X") else 0.9)
    cue, near = _cue(line, run, used)
    kind = _kind(line, run, cue, near, last)
    if kind is None:
        return None
    if kind in {"身份证", "尾号"} and check is not None and size in {3, 5, 7, 9, 11}:
        return Span(run.start, check.end(), kind, run.digits + "X", 0.8)
    grown = _grown(text, run, kind)
    letters = _letters(text, run)
    if letters is not None and kind in _LONG_KINDS and (cue is None or cue.end <= letters[0]):
        return Span(letters[0], grown.end, kind, letters[1] + grown.digits, 0.9)
    return Span(grown.start, grown.end, *_typed(grown.digits, kind if cue or line.waiting else None, kind))


def _kind(line: _Line, run: Run, cue: Cue | None, near: bool, last: Span | None) -> PiiType | None:
    """What the run is; None if it is nobody's."""
    text, digits, size = line.text, run.digits, len(run.digits)
    waits = line.waiting[-1] if line.waiting else None
    announced = cue is not None and cue.kind != "编号" and size >= cue.least
    letters = _letters(text, run)
    if letters is not None and _is_passport(letters[1], size, cue, waits):
        return "护照"
    if _is_hotline(line, run, cue, waits) or cues.PREFIX_ONLY.match(text, run.end):
        return None
    if counted(text, run) and not (announced and near and cue is not None and not cue.weak and not cues.MONEY.match(text, run.end)):
        return None
    if cue is not None and cue.kind == "编号":
        return None
    if letters is not None and not announced and not (waits in _LONG_KINDS and size >= 15):
        return None
    if announced and cue is not None and cue.kind != "编号" and (near or not run.tens):
        return cue.kind
    if waits == "编号" and (size < 17 or not _birthday(digits[6:14])):
        return None
    if size >= LONG and not run.tens:
        return _own(digits)
    if _CARD_GROUPS.fullmatch(text, run.start, run.end):
        return "卡号"
    if _US_PHONE.fullmatch(text, run.start, run.end) or (size >= 10 and digits.startswith("0")):
        return "手机号"
    if size == 10 and _NANP.fullmatch(digits) and _HAN.search(text) is None:
        return "手机号"
    return _awaited(line, run, waits, last)


def _awaited(line: _Line, run: Run, waits: Kind | None, last: Span | None) -> PiiType | None:
    """The kind of a number that nothing announces in its line: an answer, or the rest of a number."""
    size = len(run.digits)
    alone = bare(line.text, run.start, run.end)
    if waits is not None and waits != "编号" and (size >= 3 or (size == 2 and alone and waits in _LONG_KINDS)) and (alone or not run.tens):
        return waits
    if (
        last is not None
        and last.type in _LONG_KINDS
        and size >= 3
        and not run.tens
        and _FILL.sub("", line.text[last.end : run.start]) == ""
    ):
        return last.type
    return None


def _own(digits: str) -> PiiType:
    return _typed(digits, None, "卡号")[0]


def _cue(line: _Line, run: Run, used: int) -> tuple[Cue | None, bool]:
    """The cue that announces the run, and whether nothing but connecting words stands between."""
    begin = max([used, *(line.text.rfind(end, used, run.start) + 1 for end in cues.SENTENCE_END)])
    for cue in reversed(line.cues):
        if cue.end > run.start or cue.start < begin:
            continue
        between = line.text[cue.end : run.start]
        letters = _letters(line.text, run)
        if letters is not None:
            between = line.text[cue.end : letters[0]] if letters[0] >= cue.end else ""
        near = cues.CONNECTORS.fullmatch(between) is not None
        reach = 0 if cue.weak else cues.REACH_OF_OTHERS if cue.kind == "编号" else cues.REACH
        if near or len(between) <= reach * (2 if between.isascii() else 1):
            return cue, near
        if not cue.weak:
            break
    return None, False


def counted(text: str, run: Run) -> bool:
    """Whether the run is an amount, a rate or a count by what stands around it."""
    if cues.MONEY.match(text, run.end) is not None and len(run.digits) <= 14:
        return True
    if _ROUND.fullmatch(text, run.start, run.end) and not bare(text, run.start, run.end):
        return True
    if len(run.digits) > 6:
        return False
    return cues.UNIT.match(text, run.end) is not None or cues.CURRENCY.search(text, max(0, run.start - 24), run.start) is not None


def _is_hotline(line: _Line, run: Run, cue: Cue | None, waits: Kind | None) -> bool:
    if _TOLL_FREE.fullmatch(line.text, run.start, run.end):
        return True
    if cues.HOTLINE.fullmatch(run.digits) is None:
        return False
    if cue is not None and cue.kind != "手机号":
        return False
    return (
        waits not in _SHORT_KINDS
        or len(run.digits) == 5
        or (len(run.digits) == 3 and waits in {"验证码", "密码"})
        or _DIALLED.search(line.text, 0, run.start) is not None
    )


def _letters(text: str, run: Run) -> tuple[int, str] | None:
    """Latin letters that belong to the number, where they begin: EI5573851, GD2026…"""
    match = _LETTERS.search(text, max(0, run.start - 8), run.start)
    if match is None or (run.groups[0].kind == "en" and not match.group().isupper()):
        return None
    letters = re.sub(r"[^A-Za-z]", "", match.group())
    spaced = match.group()[-1].isspace() and len(letters) > 1 and not letters.isupper()
    return None if spaced or not letters else (match.start(), letters.upper())


def _is_passport(letters: str, size: int, cue: Cue | None, waits: Kind | None) -> bool:
    if size not in {6, 7, 8, 9} or len(letters) > 2:
        return False
    kind = cue.kind if cue is not None else waits
    return kind in {"护照", "身份证"} or (
        kind != "编号" and len(letters) + size in {8, 9} and _PASSPORT_LETTERS.fullmatch(letters) is not None
    )


def _grown(text: str, run: Run, kind: Kind) -> Run:
    """The run with the misheard digits at its edges.

    Of all ways to take some, the one that makes a whole number with the fewest everyday words; else all that are no everyday words.
    """
    full = _PIECES.get(kind, frozenset())
    ways = []
    for first in range(len(run.lead[-2:]) + 1):
        for end in range(len(run.tail[:2]) + 1):
            groups = (*run.lead[-2:][first:], *run.groups, *run.tail[:end])
            everyday = sum(_everyday(text, group) for group in (*run.lead[-2:][first:], *run.tail[:end]))
            everyday += sum(text[group.start] in FUNCTION_WORDS for group in run.lead[-2:][first:])
            size = sum(len(group.digits) for group in groups)
            if (everyday == 0 or size in full) and not _is_word(text, groups[0]):
                ways.append((size not in full and bool(full), everyday, -len(groups), groups))
    return run_of(min(ways, key=lambda way: way[:3])[3])


def _is_word(text: str, first: Group) -> bool:
    """A function word (卡号是…) that no pause and no other 是 parts from what stands before it."""
    before = text[first.start - 1 : first.start]
    return not first.sure and text[first.start] in FUNCTION_WORDS and before not in {"", "是", "，", " ", ","}


def _everyday(text: str, group: Group) -> bool:
    word = text[group.start : group.end].lower()
    return word in EVERYDAY or word in ENGLISH_EVERYDAY


def _typed(digits: str, cue: Kind | None, kind: PiiType) -> tuple[PiiType, str, float]:
    """(type, value, confidence) of a personal digit string; its own form outweighs a cue of another kind of number."""
    size = len(digits)
    national = digits[2:] if size == 13 and digits.startswith("86") else digits
    if size == 18 and (_valid_id(digits) or cue == "身份证" or (cue != "卡号" and _birthday(digits[6:14]))):
        return "身份证", digits, 0.99 if _valid_id(digits) else 0.85
    if len(national) == 11 and re.fullmatch(r"1[3-9]\d{9}", national) and cue not in {"验证码", "密码", "护照"}:
        return "手机号", national, 0.97
    if cue in {"尾号", "安全码", "验证码"} and size > 8:
        cue = None
    if cue is not None:
        sure = kind != "卡号" or size < 12 or luhn.is_valid(digits)
        return kind, digits, 0.95 if sure else 0.85
    if size == 15 and _birthday("19" + digits[6:12]) and not luhn.is_valid(digits):
        return "身份证", digits, 0.7
    if digits.startswith("0") and size in {10, 11, 12}:
        return "手机号", digits, 0.8
    return ("手机号" if kind == "手机号" else "卡号"), digits, 0.97 if size >= 13 and luhn.is_valid(digits) else 0.7


def _valid_id(digits: str) -> bool:
    try:
        ric.validate(digits)
    except ValidationError:
        return False
    except KeyError:  # stdnum stumbles over regions whose table has no county; form and check digit have passed by then
        return True
    return True


def _birthday(text: str) -> bool:
    return re.fullmatch(r"(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])", text) is not None
