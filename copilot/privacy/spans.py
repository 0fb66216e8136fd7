"""What the recognisers hand each other: kinds of personal information, and places in a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PiiType = Literal[
    "卡号", "尾号", "手机号", "身份证", "护照", "验证码", "密码", "安全码", "姓名", "地址", "车牌", "邮箱", "客户号"
]  # fmt: skip
Kind = PiiType | Literal["编号"]
"""What a cue announces. 编号: a number that is nobody's (order, ticket, waybill, staff …)."""
NUMBERS: frozenset[Kind] = frozenset({"卡号", "尾号", "手机号", "身份证", "护照", "验证码", "密码", "安全码", "编号"})
"""Kinds that are said in digits."""


@dataclass(frozen=True, slots=True)
class Span:
    """``text[start:end]`` is personal. ``value``: the same for every way of writing it (digits as ASCII). ``confidence`` in [0, 1]."""

    start: int
    end: int
    type: PiiType
    value: str
    confidence: float


def free(start: int, end: int, taken: list[Span]) -> bool:
    """Whether ``start``–``end`` touches none of the spans ``taken``."""
    return all(end <= span.start or start >= span.end for span in taken)
