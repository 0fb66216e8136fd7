"""Bytes → text for files that do not say their encoding, as Chinese banks have them. Pure.

GB18030 decodes almost any bytes, so that it decodes is no sign: the share of the commonest characters tells text from accidents.
"""

from __future__ import annotations

import codecs
import re

from kb.reading.port import Unreadable

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_HAN = re.compile(r"[㐀-鿿]")
_LIKELY = 0.7
"""Share of Han characters that must be among the commonest of the encoding (running text: above 0.9; accidents: below 0.5)."""
_SAMPLE = 20_000


def decode(data: bytes, declared: str = "") -> str:
    """The text. A byte-order mark wins, then the declared encoding, then UTF-8, GB18030, Big5. Raises Unreadable."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _strictly(data, name)
    if declared:
        name = _known(declared)
        if name:
            try:
                return data.decode(name)
            except UnicodeDecodeError:
                pass  # a wrong declaration is common in exported pages; what the bytes say counts
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    for name, level_one in (("gb18030", _gb_level_one), ("big5", _big5_level_one)):
        try:
            text = data.decode(name)
        except UnicodeDecodeError:
            continue
        found = _HAN.findall(text[:_SAMPLE])
        if found and sum(map(level_one, found)) >= _LIKELY * len(found):
            return text
    raise Unreadable("encoding", "Its text encoding cannot be told for certain; save it as UTF-8 and import it again.")


def _known(declared: str) -> str:
    """Python's name of an encoding; GB2312 and GBK are read as their superset."""
    try:
        name = codecs.lookup(declared).name
    except LookupError:
        return ""
    return "gb18030" if name in {"gb2312", "gbk", "hz"} else name


def _strictly(data: bytes, name: str) -> str:
    try:
        return data.decode(name)
    except UnicodeDecodeError:
        raise Unreadable(
            "encoding", f"It says that it is {name.upper()} text and is not; save it as UTF-8 and import it again.", name
        ) from None


def _gb_level_one(character: str) -> bool:
    try:
        coded = character.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return len(coded) == 2 and 0xB0 <= coded[0] <= 0xD7


def _big5_level_one(character: str) -> bool:
    try:
        coded = character.encode("big5")
    except UnicodeEncodeError:
        return False
    return len(coded) == 2 and 0xA4 <= coded[0] <= 0xC6
