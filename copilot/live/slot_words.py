"""Products and channels by the words customers use for them; in Chinese also by the sound of those words. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from copilot.live.sounds import find

# Per value: the words, longest first; those of two characters or more are also found by sound unless marked "=".
_ZH: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("product", "credit_card"): ("信用卡", "贷记卡"),
    ("product", "debit_card"): ("储蓄卡", "借记卡", "工资卡"),
    ("product", "mortgage"): ("住房贷款", "按揭", "房贷"),
    ("product", "consumer_loan"): ("消费贷", "信用贷"),
    ("product", "wealth"): ("理财",),
    ("product", "fund"): ("基金",),
    ("product", "deposit"): ("大额存单", "定期存款", "=存单", "定期"),
    ("channel", "app"): ("手机银行", "手机银性", "手机上", "=客户端"),
    ("channel", "branch"): ("营业厅", "网点", "柜台", "柜面", "=支行", "=柜员"),
    ("channel", "phone"): ("你们电话", "你们的电话", "客服电话", "银行电话", "你们热线", "客服热线", "=热线"),
    ("channel", "atm"): ("存取款机", "取款机", "柜员机", "自助机", "机器上"),
    ("channel", "online"): ("网上银行", "网银"),
    ("channel", "sms"): ("短信",),
}
_ZH_LATIN: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    ("product", "ukey", re.compile(r"u\s*-?\s*key|u盾|优盾|优\s*key|k宝", re.IGNORECASE)),
    ("channel", "app", re.compile(r"(?<![a-z])app(?![a-z])", re.IGNORECASE)),
    ("channel", "atm", re.compile(r"(?<![a-z])atm(?![a-z])", re.IGNORECASE)),
)
# What holds one of the words and means something else.
_ZH_NOT = re.compile(r"公积金|不定期|手机上(?:网|的?游戏)")
_EN: tuple[tuple[str, str, re.Pattern[str]], ...] = tuple(
    (slot, value, re.compile(rf"\b(?:{words})\b", re.IGNORECASE))
    for slot, value, words in (
        ("product", "credit_card", r"credit car[dt]s?"),
        ("product", "debit_card", r"(?:debit|savings|salary) car[dt]s?"),
        ("product", "mortgage", r"mortgages?|home loans?"),
        ("product", "consumer_loan", r"(?:personal|consumer) loans?"),
        ("product", "wealth", r"wealth (?:management )?products?"),
        ("product", "fund", r"funds?"),
        ("product", "deposit", r"(?:fixed|time|term) deposits?|certificates? of deposit"),
        ("product", "ukey", r"u-?\s?keys?|security keys?"),
        ("channel", "app", r"app?|mobile banking"),
        ("channel", "branch", r"branch(?:es)?|counter|tellers?"),
        ("channel", "phone", r"hot ?line|your (?:phone )?line|call cent(?:er|re)"),
        ("channel", "atm", r"atms?|cash machines?|cashpoint"),
        ("channel", "online", r"online banking|internet banking"),
        ("channel", "sms", r"texts?|sms|text messages?"),
    )
)


@dataclass(frozen=True, slots=True)
class Word:
    """A value named in a text."""

    start: int
    slot: str
    value: str
    spoken: str


def words(text: str, language: str) -> list[Word]:
    """Every product and channel once, at its first mention, in order."""
    found: dict[tuple[str, str], Word] = {}
    for word in sorted(_english(text) if language != "zh" else _chinese(text), key=lambda word: word.start):
        found.setdefault((word.slot, word.value), word)
    return list(found.values())


def _english(text: str) -> Iterator[Word]:
    for slot, value, pattern in _EN:
        yield from (Word(match.start(), slot, value, match[0]) for match in pattern.finditer(text))


def _chinese(text: str) -> Iterator[Word]:
    # What is taken for something else keeps its length.
    plain = _ZH_NOT.sub(lambda match: "\0" * len(match[0]), text)
    taken: list[tuple[int, int]] = []
    for (slot, value), written in _ZH.items():
        for word in written:
            for start, end in _spans(word, plain):
                if word == "=柜员" and plain[end : end + 1] == "机":
                    continue
                if any(start < other_end and other_start < end for other_start, other_end in taken):
                    continue
                taken.append((start, end))
                yield Word(start, slot, value, text[start:end])
    for slot, value, pattern in _ZH_LATIN:
        yield from (Word(match.start(), slot, value, match[0]) for match in pattern.finditer(plain))


def _spans(word: str, text: str) -> Iterator[tuple[int, int]]:
    plain = word.lstrip("=")
    if word.startswith("="):
        yield from (match.span() for match in re.finditer(re.escape(plain), text))
    else:
        yield from find(plain, text)
