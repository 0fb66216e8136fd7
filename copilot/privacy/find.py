"""Finds personal information in a line of speech or text. Pure; same text, same spans.

Numbers are found as digit strings (written or spoken), typed by the cue before them, else by their length and form. Check digits raise the
confidence but do not decide: a misheard card number is still somebody's card number. Amounts, dates and hotlines stay.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from stdnum import luhn
from stdnum.cn import ric
from stdnum.exceptions import ValidationError

from copilot.privacy import cues
from copilot.privacy.cues import PiiType
from copilot.privacy.digits import Run, runs

LONG = 11
"""A digit string this long is personal whatever stands before it."""


@dataclass(frozen=True, slots=True)
class Span:
    """``text[start:end]`` is personal. ``value``: the same for every way of writing it (digits as ASCII). ``confidence`` in [0, 1]."""

    start: int
    end: int
    type: PiiType
    value: str
    confidence: float


_CUES = [(kind, least, re.compile(pattern, re.IGNORECASE)) for kind, least, pattern in cues.NUMBER_CUES]
_NEAR = [(kind, least, re.compile(pattern, re.IGNORECASE)) for kind, least, pattern in cues.NEAR_ONLY]
_TOKEN = re.compile(r"【[^【】]{1,12}】")
_LOOK_BACK = 80
"""How far before a number its cue may stand, in characters."""
_GROUPED_AMOUNT = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_US_PHONE = re.compile(r"\d{3}[-. ]\d{3}[-. ]\d{4}")
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+"
    r"|(?<![A-Za-z0-9._-])[A-Za-z0-9._-]{2,64}\s*(?:艾特|\bat\b)\s*[A-Za-z0-9-]{1,20}\s*(?:点|\bdot\b)\s*(?:com|cn|net|org)(?![A-Za-z])",
    re.IGNORECASE,
)
_WORD_SECRET = re.compile(
    r"(?:密码|口令|password|passcode)(?:[\s:：,，]|是|为|就是|is|was)+(?P<value>(?=[A-Za-z0-9!@#$%^&*._-]{0,63}\d)(?=[A-Za-z0-9!@#$%^&*._-]{0,63}[A-Za-z])"
    r"[A-Za-z0-9!@#$%^&*._-]{4,})",
    re.IGNORECASE,
)
_HAN = r"[\u4e00-\u9fff]"
_NAME_CUE = re.compile(r"(?:我的名字(?:是|叫)|我(?:本人)?叫|本人叫|名字叫|(?<!用户)(?:姓名|户名|持卡人)(?:是|叫|为|[:：])?|叫做)\s*")
_SURNAME_CUE = re.compile(r"(?:免贵姓|我姓|本人姓|(?:他|她|您|你|客户)姓)\s*")
_TITLED = re.compile(rf"({_HAN}{{1,4}}?)(?:{cues.TITLES})")
_CALLED = re.compile(r"[我您你他她](?:叫|是|的名字是|的名字叫)|本人(?:叫|是)|姓名(?:是|叫|为)?")
_DOTTED_NAME = re.compile(rf"{_HAN}{{1,6}}(?:·{_HAN}{{1,8}})+")
_EN_NAME = re.compile(
    r"(?:(?i:my (?:full )?name(?: is|'s)|i am called|this is|speaking with|(?:card)?holder(?: is)?|name is))[\s:,]+"
    r"(?P<value>(?:[A-Z][a-zA-Z'’-]+)(?:\s+[A-Z][a-zA-Z'’-]+){0,2})"
    r"|\b(?:Mr|Mrs|Ms|Miss|Dr)\.?\s+(?P<titled>[A-Z][a-zA-Z'’-]+(?:\s+[A-Z][a-zA-Z'’-]+)?)"
)
_EN_NOT_NAMES = frozenset(
    [
        "I",
        "The",
        "A",
        "An",
        "Customer",
        "Service",
        "Bank",
        "Credit",
        "Card",
        "Agent",
        "Support",
        "Calling",
        "About",
        "Not",
        "My",
        "Our",
        "Hesui",
    ]
)
_NUMBER = r"[0-9０-９零〇一二三四五六七八九十百幺]+"
_DOOR = rf"(?:{_NUMBER}(?:号楼|号|弄|栋|幢|座|单元|楼|层|室|房)[，,\s]*)"
_ADDRESS = re.compile(
    rf"(?:{_HAN}{{2,8}}?(?:省|自治区))?(?:{_HAN}{{2,8}}?市)?(?:{_HAN}{{1,6}}?[区县旗])?(?:{_HAN}{{1,8}}?[镇乡])?"
    rf"{_HAN}{{1,10}}?(?:路|街|大道|胡同|巷|里弄|小区|花园|新村|公寓|村)[，,\s]*{_DOOR}+"
)
_ADDRESS_CUE = re.compile(
    r"(?:(?:家庭|收货|寄卡|账单|邮寄|联系|单位|公司)?(?:住址|地址)(?:是|为|在|改成|改为|[:：])|(?:我)?(?:家)?住在|寄到)\s*"
)
_ADDRESS_TAIL = re.compile(rf"[^。！？；!?;\n]{{0,30}}?(?:{_DOOR}+|{_HAN}[村镇乡]|小区|花园|公寓)(?:{_DOOR})*")
_EN_ADDRESS = re.compile(r"\b\d{1,5}\s+(?:[A-Z][a-z]+\s+){1,3}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Boulevard|Blvd|Court)\b\.?")


def find_pii(text: str, expected: PiiType | None = None) -> list[Span]:
    """Spans of ``text``, in order, without overlap. ``expected``: what was just asked for, so that a bare answer is understood."""
    # What is a token already stays, and its name announces nothing.
    text = _TOKEN.sub(lambda token: "。" * len(token.group()), text)
    found = [*_emails(text), *_secrets(text), *_addresses(text), *_numbers(text, expected), *_names(text, expected)]
    # The longest, then the surest, wins where two overlap.
    found.sort(key=lambda span: (span.start - span.end, -span.confidence, span.start))
    kept: list[Span] = []
    for span in found:
        if all(span.end <= other.start or span.start >= other.end for other in kept):
            kept.append(span)
    return sorted(kept, key=lambda span: span.start)


def asked_for(text: str) -> PiiType | None:
    """What the line asks the other side to say: the last cue of a request that no number follows."""
    stripped = text.rstrip()
    if cues.NAME_ASKED.search(stripped):
        return "姓名"
    last = max(((match.end(), kind) for kind, _, cue in _CUES for match in cue.finditer(text)), default=None)
    if last is None or cues.REQUEST.search(text) is None or any(run.start >= last[0] and len(run.digits) >= 4 for run in runs(text)):
        return None
    return last[1]


def trailing_digits(text: str) -> Run | None:
    """The digit string that runs to the end of ``text`` and may go on; None if there is none."""
    found = runs(text)
    if found and not text[found[-1].end :].strip(" -–—,，、"):
        return found[-1]
    return None


def cue_before(text: str, start: int, after: int = 0) -> tuple[PiiType, int] | None:
    """(type, fewest digits) of the cue, at ``after`` or later, that announces a number at ``start``."""
    begin = max(after, start - _LOOK_BACK)
    begin = max([begin, *(text.rfind(end, begin, start) + 1 for end in cues.SENTENCE_END)])
    best: tuple[int, PiiType, int] | None = None
    for reach, group in ((cues.REACH, _CUES), (0, _NEAR)):
        for kind, least, cue in group:
            for match in cue.finditer(text, begin, start):
                between = text[match.end() : start]
                near = cues.CONNECTORS.fullmatch(between) is not None
                if (near or len(between) <= reach) and (best is None or match.end() > best[0]):
                    best = (match.end(), kind, least)
    return (best[1], best[2]) if best is not None else None


# --- numbers --------------------------------------------------------------------------------------------------------------------------


def _numbers(text: str, expected: PiiType | None) -> list[Span]:
    spans = []
    used = 0  # a cue announces one number, the first after it
    for run in runs(text):
        if len(run.digits) < 3:
            continue
        span = _number(text, run, expected, used)
        if span is not None:
            spans.append(span)
        if span is not None or len(run.digits) >= 4:
            used = run.end
    return spans


def _number(text: str, run: Run, expected: PiiType | None, used: int) -> Span | None:
    digits, written = run.digits, text[run.start : run.end]
    end, check = run.end, re.compile(r"\s*(?:[xXｘＸ]|叉|埃克斯)(?![a-wyzA-WYZ])").match(text, run.end)
    if len(digits) == 17 and check is not None:
        return Span(run.start, check.end(), "身份证", digits + "X", 0.99 if _valid_id(digits + "X") else 0.9)
    cue = cue_before(text, run.start, used)
    if cues.HOTLINE.fullmatch(digits) and (cue is None or cue[0] == "手机号") and expected in {None, "手机号"}:
        return None
    counted = cues.UNIT.match(text, end) is not None or cues.CURRENCY.search(text, 0, run.start) is not None
    decimal = re.compile(r"[.．点]\s*[0-9零一二三四五六七八九]").match(text, end) is not None
    amount = _GROUPED_AMOUNT.fullmatch(written) is not None or decimal
    if cue is not None and len(digits) >= cue[1]:
        near = any(cues.CONNECTORS.fullmatch(text, match, run.start) for match in _cue_ends(text, used, run.start))
        if near or not (counted or amount):
            return Span(run.start, end, *_typed(digits, cue[0]))
    if amount or (counted and len(digits) <= 14):
        return None
    if len(digits) >= LONG:
        return Span(run.start, end, *_typed(digits, None))
    if _US_PHONE.fullmatch(written) or (len(digits) >= 10 and digits.startswith("0")):
        return Span(run.start, end, "手机号", digits, 0.8)
    if expected not in {None, "姓名", "地址", "邮箱"} and len(digits) >= (3 if expected in {"尾号", "验证码"} else 4):
        return Span(run.start, end, *_typed(digits, expected))
    return None


def _cue_ends(text: str, begin: int, end: int) -> list[int]:
    begin = max(begin, end - _LOOK_BACK)
    return [match.end() for _, _, cue in (*_CUES, *_NEAR) for match in cue.finditer(text, begin, end)]


def _typed(digits: str, cue: PiiType | None) -> tuple[PiiType, str, float]:
    """(type, value, confidence) of a personal digit string; its own form outweighs a cue of another kind of number."""
    size = len(digits)
    national = digits[2:] if size == 13 and digits.startswith("86") else digits
    if size == 18 and (_valid_id(digits) or (cue == "身份证" or (cue is None and _birthday(digits[6:14])))):
        return "身份证", digits, 0.99 if _valid_id(digits) else 0.85
    if len(national) == 11 and re.fullmatch(r"1[3-9]\d{9}", national) and cue in {None, "手机号", "卡号", "尾号", "身份证"}:
        return "手机号", national, 0.97
    if cue == "尾号" and size > 6:
        cue = None
    if cue is not None:
        sure = cue != "卡号" or size < 12 or luhn.is_valid(digits)
        return cue, digits, 0.95 if sure else 0.85
    if size == 15 and _birthday("19" + digits[6:12]) and not luhn.is_valid(digits):
        return "身份证", digits, 0.7
    if digits.startswith("0") and size in {11, 12}:
        return "手机号", digits, 0.8
    return "卡号", digits, 0.97 if size >= 13 and luhn.is_valid(digits) else 0.7


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


# --- words ----------------------------------------------------------------------------------------------------------------------------


def _emails(text: str) -> list[Span]:
    return [Span(match.start(), match.end(), "邮箱", match.group().lower(), 0.99) for match in _EMAIL.finditer(text)]


def _secrets(text: str) -> list[Span]:
    return [Span(match.start("value"), match.end("value"), "密码", match.group("value"), 0.9) for match in _WORD_SECRET.finditer(text)]


def _addresses(text: str) -> list[Span]:
    found = []
    for match in _ADDRESS.finditer(text):
        # The pattern cannot know where the sentence stops being grammar and starts being an address: begin after a cue, if there is one.
        start = match.start()
        for cue in _ADDRESS_CUE.finditer(text, 0, match.end()):
            start = max(start, cue.end())
        found.append((start, match.end(), 0.8))
    for cue in _ADDRESS_CUE.finditer(text):
        tail = _ADDRESS_TAIL.match(text, cue.end())
        if tail is not None and tail.end() > cue.end():
            found.append((tail.start(), tail.end(), 0.75))
    found += [(match.start(), match.end(), 0.8) for match in _EN_ADDRESS.finditer(text)]
    spans = []
    for start, end, confidence in found:
        value = text[start:end].rstrip(" ，,")
        spans.append(Span(start, start + len(value), "地址", value, confidence))
    return spans


def _names(text: str, expected: PiiType | None) -> list[Span]:
    spans = []
    for match in _NAME_CUE.finditer(text):
        size = _name_length(text, match.end(), need_surname=not match.group().strip().endswith("叫"))
        if size:
            spans.append(_name(text, match.end(), match.end() + size, 0.9))
    for match in _SURNAME_CUE.finditer(text):
        size = _surname_length(text, match.end())
        if size:
            spans.append(_name(text, match.end(), match.end() + size, 0.9))
    for match in _TITLED.finditer(text):
        spans += _titled(text, match.start(1), match.end(1))
    for match in _DOTTED_NAME.finditer(text):
        cue = max((found.end() for found in _CALLED.finditer(text, match.start(), match.end())), default=match.start())
        spans.append(_name(text, cue, match.end(), 0.85))
    for match in _EN_NAME.finditer(text):
        group = "value" if match.group("value") else "titled"
        if match.group(group).split()[0] not in _EN_NOT_NAMES:
            spans.append(_name(text, match.start(group), match.end(group), 0.8))
    if expected == "姓名":
        spans += _bare_name(text)
    return spans


def _name(text: str, start: int, end: int, confidence: float) -> Span:
    return Span(start, end, "姓名", text[start:end], confidence)


def _surname_length(text: str, start: int) -> int:
    if text[start : start + 2] in COMPOUND:
        return 2
    return 1 if text[start : start + 1] in cues.SURNAMES else 0


def _name_length(text: str, start: int, *, need_surname: bool) -> int:
    """How many characters from ``start`` are a name: surname and one or two more; without a known surname two or three."""
    surname = _surname_length(text, start)
    if (surname == 0 and need_surname) or not _can_be_name(text[start : start + 1]):
        return 0
    size = surname
    most = surname + 2 if surname else 3
    while size < most and _can_be_name(text[start + size : start + size + 1]):
        size += 1
    return size if size >= 2 else 0


def _can_be_name(char: str) -> bool:
    return bool(char) and "\u4e00" <= char <= "\u9fff" and char not in cues.NOT_IN_NAMES


def _titled(text: str, start: int, end: int) -> list[Span]:
    # 您是王小明先生 → 王小明; 王先生 → 王; 这位先生 → nothing.
    for begin in range(max(start, end - 4), end):
        size = _surname_length(text, begin)
        given = text[begin + size : end]
        if size and len(given) <= 2 and all(map(_can_be_name, given)):
            return [_name(text, begin, end, 0.9)]
    return []


def _bare_name(text: str) -> list[Span]:
    core = text.strip(" ，。,.！!嗯啊哦呃")
    start = text.find(core)
    if 2 <= len(core) <= 4 and _surname_length(core, 0) and all(map(_can_be_name, core)):
        return [_name(text, start, start + len(core), 0.8)]
    return []


COMPOUND = frozenset(cues.COMPOUND_SURNAMES)
