"""Days, months and years as customers name them, worked out from the day of the call. Pure.

A day without its month is the nearest that fits (past in this month, else coming); one that comes round every month ("改到二十号", "每月
十五号发工资") is no date. Spans of time and times of day are none either.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from copilot.domain.numerals import CHINESE_DIGITS, chinese_value
from copilot.live.sounds import find


@dataclass(frozen=True, slots=True)
class Dated:
    """``text[start:end]`` names ``value``: YYYY-MM-DD, YYYY-MM or YYYY."""

    start: int
    end: int
    value: str


# Words of days: offset from today. Found by sound too.
_DAYS_ZH = {
    "大前天": -3,
    "大后天": 3,
    "前天": -2,
    "后天": 2,
    **dict.fromkeys(("昨天", "昨晚", "昨夜", "昨儿"), -1),
    **dict.fromkeys(("今天", "今晚", "今早", "今儿"), 0),
    **dict.fromkeys(("明天", "明早", "明儿"), 1),
}
_N = f"[{CHINESE_DIGITS}十两]{{1,3}}"
_NUMBER = rf"(?:\d{{1,2}}|{_N})"
_WEEKDAY = {character: number for number, character in enumerate("一二三四五六")} | {"日": 6, "天": 6} | {str(n + 1): n for n in range(6)}
_WEEK_ZH = re.compile(r"(?P<which>上上个?|上个?|下下个?|下个?|这个?|本)?(?:周|星期|礼拜)(?P<day>[一二三四五六日天1-6])(?![天月年])")
_YEAR = rf"(?:\d{{4}}|[{CHINESE_DIGITS}]{{4}}|前年|去年|今年|明年|上一年)"
_MONTH_DAY_ZH = re.compile(
    rf"(?:(?P<year>{_YEAR})年?(?:的)?)?(?:(?P<month>{_NUMBER})月(?P<fen>份)?)(?:(?P<day>{_NUMBER})[日号])?(?P<part>底|末|初)?"
)
_REL_MONTH_ZH = re.compile(
    rf"(?P<which>上上个?|上个?|下下个?|下个?|这个?|本)月(?:份)?(?:的)?(?:(?P<day>{_NUMBER})[日号])?(?P<part>底|末|初)?"
)
_YEAR_ZH = re.compile(rf"(?P<year>{_YEAR})年?(?P<part>底|末|初)?")
_MONTH_END_ZH = re.compile(r"(?<![上下这个本])月(?P<part>底|末)")
_DAY_ZH = re.compile(rf"(?<![{CHINESE_DIGITS}十\d月])(?P<day>{_NUMBER})[日号](?!线|楼|店|码|院|门|卡|柜|窗|机)")
_EVERY_ZH = re.compile(r"每|改|都是|发工资|发薪|工资日|账单日|还款日|扣款日|出账")
_AGO_ZH = re.compile(rf"(?P<number>{_NUMBER})天(?P<way>[之以]?前|[之以]?后)")
_VALID_ZH = re.compile(rf"有效期(?:是|到|至|写的)?\s*(?P<mmyy>[{CHINESE_DIGITS}]{{4}}|\d{{2}}/?\d{{2}})")
_WHICH = {"上上": -2, "上": -1, "这": 0, "本": 0, "": 0, "下": 1, "下下": 2}

_MONTHS_EN = {name: number for number, name in enumerate(calendar.month_name) if name} | {
    name: number for number, name in enumerate(calendar.month_abbr) if name and name != "May"
}
_DAYS_EN = {name: number for number, name in enumerate(calendar.day_name)}
_TO_NINTH = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
_TEENTHS = ("tenth", "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth")
_ORDINAL = {word: number for number, word in enumerate([*_TO_NINTH, *_TEENTHS, "twentieth"], 1)}
_ORDINAL |= {f"twenty {word}": 20 + number for number, word in enumerate(_TO_NINTH, 1)} | {"thirtieth": 30, "thirty first": 31}
_M = "|".join(sorted(_MONTHS_EN, key=len, reverse=True))
_D = "|".join(_DAYS_EN)
_O = rf"(?:\d{{1,2}}(?:st|nd|rd|th)?|{'|'.join(sorted((word.replace(' ', '[ -]') for word in _ORDINAL), key=len, reverse=True))})"
_WORD_EN = re.compile(
    r"\b(?:(?P<today>today|tonight|this (?:morning|afternoon|evening))|(?P<yesterday>yesterday|last night)|(?P<tomorrow>tomorrow)"
    r"|(?P<rel>last|next|this) (?P<span>month|year))\b",
    re.IGNORECASE,
)
_WEEK_EN = re.compile(rf"\b(?:(?P<which>last|next|this|on|by|coming) )?(?P<day>{_D})\b", re.IGNORECASE)
_DAY_MONTH_EN = re.compile(rf"\b(?:the )?(?P<day>{_O}) (?:of )?(?P<month>{_M})\b(?:,? (?P<year>\d{{4}}))?", re.IGNORECASE)
_MONTH_DAY_EN = re.compile(
    rf"\b(?:(?P<which>last|next|this|in) )?(?P<month>{_M})\b(?: (?:the )?(?P<day>{_O})\b)?(?:,? (?P<year>\d{{4}}))?", re.IGNORECASE
)
_DAY_EN = re.compile(rf"\bon the (?P<day>{_O})\b", re.IGNORECASE)


def dates(text: str, day: date, language: str) -> list[Dated]:
    """Every date of the text, in order; of two that overlap the one found first, which is the more precise."""
    found: list[Dated] = []
    for item in _english(text, day) if language != "zh" else _chinese(text, day):
        if not any(item.start < other.end and other.start < item.end for other in found):
            found.append(item)
    return sorted(found, key=lambda item: item.start)


def _chinese(text: str, day: date) -> Iterator[Dated]:
    for match in _VALID_ZH.finditer(text):
        digits = re.sub(r"\D", "", _digits(match["mmyy"]))
        if 1 <= int(digits[:2]) <= 12:
            yield Dated(match.start("mmyy"), match.end(), f"20{digits[2:]}-{digits[:2]}")
    yield from _each(_REL_MONTH_ZH, text, lambda match: _of_month(match, *_shifted(day, _WHICH[match["which"].rstrip("个")])))
    for match in _MONTH_DAY_ZH.finditer(text):
        value = _month_day(match, day)
        if value is not None and not (match["day"] is None and _counts_months(text, match)):
            yield Dated(match.start(), match.end(), value)
    yield from _each(_WEEK_ZH, text, lambda match: _weekday(day, _WEEKDAY[match["day"]], (match["which"] or "").rstrip("个")))
    yield from _each(_AGO_ZH, text, lambda match: _day_text(day, _value(match["number"]) * (-1 if match["way"].endswith("前") else 1)))
    yield from _each(_MONTH_END_ZH, text, lambda match: _of_month(match, day.year, day.month))
    yield from _each(_YEAR_ZH, text, lambda match: _year_text(match, day))
    for word, offset in _DAYS_ZH.items():
        yield from (Dated(start, end, _day_text(day, offset)) for start, end in find(word, text))
    for match in _DAY_ZH.finditer(text):
        clause = re.split(r"[，。,？！?]", text[: match.start()])[-1][-6:] + text[match.end() : match.end() + 6]
        if not _EVERY_ZH.search(clause) and 1 <= (number := _value(match["day"])) <= 31:
            yield Dated(match.start(), match.end(), _near(day, number))


def _each(pattern: re.Pattern[str], text: str, value: Callable[[re.Match[str]], str | None]) -> Iterator[Dated]:
    for match in pattern.finditer(text):
        found = value(match)
        if found is not None:
            yield Dated(match.start(), match.end(), found)


def _digits(text: str) -> str:
    return "".join(
        str(CHINESE_DIGITS.replace("〇", "").find(character)) if character in CHINESE_DIGITS else character for character in text
    )


def _value(text: str) -> int:
    return int(text) if text.isdigit() else int(chinese_value(text))


def _day_text(day: date, offset: int) -> str:
    return (day + timedelta(days=offset)).isoformat()


def _shifted(day: date, months: int) -> tuple[int, int]:
    index = day.year * 12 + day.month - 1 + months
    return index // 12, index % 12 + 1


def _of_month(match: re.Match[str], year: int, month: int) -> str | None:
    groups = match.groupdict()
    if groups.get("day"):
        return _valid(year, month, _value(groups["day"]))
    if groups.get("part") in ("底", "末"):
        return date(year, month, calendar.monthrange(year, month)[1]).isoformat()
    return f"{year}-{month:02d}"


def _valid(year: int, month: int, day: int) -> str | None:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None


def _year(text: str, day: date) -> int:
    relative = {"前年": -2, "去年": -1, "上一年": -1, "今年": 0, "明年": 1}
    return day.year + relative[text] if text in relative else int(_digits(text))


def _year_text(match: re.Match[str], day: date) -> str | None:
    year = _year(match["year"], day)
    if not 1950 <= year <= 2100 or (match["year"].isdigit() and not match[0].endswith(("年", "底", "末", "初"))):
        return None
    if match["year"][0] in CHINESE_DIGITS and "年" not in match[0]:
        return None
    return f"{year}-12-31" if match["part"] in ("底", "末") else str(year)


def _month_day(match: re.Match[str], day: date) -> str | None:
    month = _value(match["month"])
    if not 1 <= month <= 12:
        return None
    if match["year"]:
        return _of_month(match, _year(match["year"], day), month)
    # Without a year: the one that is nearest to the call.
    years = (day.year - 1, day.year, day.year + 1)
    nearest = min(years, key=lambda year: abs((date(year, month, 15) - day).days))
    return _of_month(match, nearest, month)


def _counts_months(text: str, match: re.Match[str]) -> bool:
    """三月 said as a span: 三个月 is not matched; here 一月 in 每一月 and the like."""
    return match["fen"] is None and text[max(0, match.start() - 1) : match.start()] in ("每", "几", "第")


def _weekday(day: date, weekday: int, which: str) -> str:
    monday = day - timedelta(days=day.weekday())
    if which == "":
        # The coming one, today counted.
        return _day_text(day, (weekday - day.weekday()) % 7)
    return (monday + timedelta(days=7 * _WHICH[which] + weekday)).isoformat()


def _near(day: date, number: int) -> str:
    year, month = (day.year, day.month) if number <= calendar.monthrange(day.year, day.month)[1] else _shifted(day, 1)
    return date(year, month, number).isoformat()


def _english(text: str, day: date) -> Iterator[Dated]:
    for match in _DAY_MONTH_EN.finditer(text):
        value = _english_date(match["month"], match["day"], match["year"], "", day)
        if value is not None:
            yield Dated(match.start(), match.end(), value)
    for match in _MONTH_DAY_EN.finditer(text):
        # "may" is a month only with more around it.
        if match["month"].casefold() != "may" or match["which"] or match["day"]:
            value = _english_date(match["month"], match["day"], match["year"], (match["which"] or "").casefold(), day)
            if value is not None:
                yield Dated(match.start(), match.end(), value)
    for match in _WORD_EN.finditer(text):
        if match["rel"]:
            step = {"last": -1, "this": 0, "next": 1}[match["rel"].casefold()]
            year, month = _shifted(day, step)
            yield Dated(match.start(), match.end(), f"{year}-{month:02d}" if match["span"].casefold() == "month" else str(day.year + step))
        else:
            yield Dated(match.start(), match.end(), _day_text(day, -1 if match["yesterday"] else 1 if match["tomorrow"] else 0))
    for match in _WEEK_EN.finditer(text):
        which = {"last": "上", "next": "下", "this": "这"}.get((match["which"] or "").casefold(), "")
        value = _weekday(day, _DAYS_EN[match["day"].capitalize()], which)
        yield Dated(match.start(), match.end(), value)
    for match in _DAY_EN.finditer(text):
        yield Dated(match.start(), match.end(), _near(day, _ordinal(match["day"])))


def _ordinal(text: str) -> int:
    plain = text.casefold().replace("-", " ")
    return _ORDINAL[plain] if plain in _ORDINAL else int(re.sub(r"\D", "", plain))


def _english_date(month: str, of_day: str | None, year: str | None, which: str, day: date) -> str | None:
    number = next(value for name, value in _MONTHS_EN.items() if name.casefold() == month.casefold())
    nearest = min((day.year - 1, day.year, day.year + 1), key=lambda y: abs((date(y, number, 15) - day).days))
    if which == "last":
        nearest = day.year if number < day.month else day.year - 1
    chosen = int(year) if year else nearest
    return _valid(chosen, number, _ordinal(of_day)) if of_day else f"{chosen}-{number:02d}"
