"""E-mail addresses, written and spoken (艾特, at, 点 com), and passwords of letters and digits. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from copilot.privacy.homophones import DIGITS_BY_SOUND, EVERYDAY
from copilot.privacy.spans import Kind, Span, free

_WRITTEN = re.compile(r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}\s?@\s?[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")
_AT = re.compile(r"@|艾特|爱特|埃特|圈\s?[aAＡ]|[aA]\s?圈|小老鼠|(?<![A-Za-z])at(?![A-Za-z])", re.IGNORECASE)
_ZH_DIGIT = "零〇一二三四五六七八九幺"
_SOUND = "".join(char for char in DIGITS_BY_SOUND if char not in EVERYDAY)
_EN_DIGIT = r"(?:(?:double|triple)\s+)?(?:zero|oh|one|two|three|four|five|six|seven|eight|nine)"
_DOT = r"(?:\s*(?:\.|。|点|(?<![A-Za-z])dot(?![A-Za-z]))\s*)"
_LABEL = rf"(?:[A-Za-z0-9-]|[{_ZH_DIGIT}])+|(?:{_EN_DIGIT}\s*)+"
_DOMAIN = re.compile(
    rf"\s*(?:{_LABEL}){_DOT}(?:(?:{_LABEL}){_DOT}){{0,3}}(?:com|cn|net|org|edu|gov|co|uk|hk|io|info|me|de|jp|us|tw|vip|top|biz"
    rf"|[A-Za-z]{{2,7}}(?![A-Za-z]))(?:{_DOT}(?:cn|uk|hk|tw))?",
    re.IGNORECASE,
)
_KNOWN = re.compile(r"\s*(?:QQ|网易|新浪|搜狐|谷歌|(?:一二六|幺二六|126|163|一六三|幺六三))(?:邮箱|信箱)?", re.IGNORECASE)
_PART = re.compile(
    rf"(?:(?P<digits>[0-9{_ZH_DIGIT}{_SOUND}]+|(?<![A-Za-z]){_EN_DIGIT}|[两二三四]个[{_ZH_DIGIT}0-9])"
    rf"|(?P<sep>[._+-]|下划线|中?[横杠]杠?|减号|点|(?<![A-Za-z])(?:dot|underscore|dash|hyphen|minus)(?![A-Za-z]))"
    rf"|(?P<letter>(?<![A-Za-z'’])[A-Za-z](?![A-Za-z]))|(?P<word>(?<![A-Za-z])[A-Za-z]{{2,}}))\s*$",
    re.IGNORECASE,
)
_NOT_LOCAL_TEXT = (
    "is it's its my me the email mail e-mail address to on at was that and or of send use by in be file code number please for"
)
_NOT_LOCAL = frozenset(_NOT_LOCAL_TEXT.split())
_SECRET = re.compile(
    r"(?:密码|蜜码|口令|password|passcode)(?:[\s:：,，]|是|为|就是|is|was|改成|设成"
    r"|设的)+(?P<value>(?=[A-Za-z0-9!@#$%^&*._-]{0,63}\d)(?=[A-Za-z0-9!@#$%^&*._-]{0,63}[A-Za-z])"
    r"[A-Za-z0-9!@#$%^&*._-]{4,})",
    re.IGNORECASE,
)

_CODE = re.compile(r"(?<![A-Za-z0-9])(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{4,10}(?![A-Za-z0-9])")


def emails(text: str) -> list[Span]:
    """E-mail addresses of a line."""
    found = [Span(match.start(), match.end(), "邮箱", match.group().lower().replace(" ", ""), 0.99) for match in _WRITTEN.finditer(text)]
    for sign in _AT.finditer(text):
        domain = _DOMAIN.match(text, sign.end()) or (_KNOWN.match(text, sign.end()) if not sign.group().isascii() else None)
        if domain is None:
            continue
        start = _local(text, sign.start())
        if start < sign.start() and free(start, domain.end(), found):
            value = re.sub(r"\s+", "", text[start : domain.end()]).lower()
            found.append(Span(start, domain.end(), "邮箱", value, 0.9))
    return found


def _local(text: str, end: int) -> int:
    """Where the name before the at-sign begins: letters, digits and marks back to one word, or further if a mark joins two."""
    at, begin, last = end, end, "sep"
    while True:
        part = _PART.search(text, max(0, at - 40), at)
        if part is None or (part.end() != at):
            return begin
        kind = str(part.lastgroup)
        if kind == "word" and (part.group().strip().lower() in _NOT_LOCAL or last == "word"):
            return begin
        if kind == "sep" and part.group().strip() in {"点", "dot"} and begin == end:
            return begin
        if kind == "letter" and last == "word":
            return begin
        if kind in {"letter", "digits"} and last == "word" and part.group().endswith(" "):
            return begin
        at = part.start()
        begin = at if kind != "sep" else begin
        last = kind


def word_secrets(text: str, waiting: Sequence[Kind], taken: list[Span]) -> list[Span]:
    """Passwords and codes with letters and digits, right behind the word for them or as the answer that is waited for."""
    found = [Span(match.start("value"), match.end("value"), "密码", match["value"], 0.9) for match in _SECRET.finditer(text)]
    kind = waiting[-1] if waiting else None
    if kind in {"验证码", "密码"}:
        found += [
            Span(match.start(), match.end(), kind, match.group(), 0.7) for match in _CODE.finditer(text) if free(*match.span(), found)
        ]
    return [span for span in found if free(span.start, span.end, taken)]
