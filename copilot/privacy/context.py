"""What a call waits for, a number, a name or another value, and how much of it was said. Immutable: ``heard`` gives the next. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from copilot.privacy.cues import cues
from copilot.privacy.homophones import sounding
from copilot.privacy.places import asks_for_plate
from copilot.privacy.spans import Kind, PiiType

_PATIENCE = 6
"""For how many lines an answer is waited for."""
_WHOLE: dict[Kind, int] = {"手机号": 10, "身份证": 17, "卡号": 16, "尾号": 4, "验证码": 6, "密码": 6, "安全码": 3, "护照": 8}
"""From how many digits on a number of the kind has been said whole."""

_NAME = re.compile(
    rf"贵[姓性幸]|[称成]呼|{sounding('姓名')}|名字|全名|户名|叫什么|哪位|谁(?:的|吗|呢)?|(?:收件|收款|联系|经办|代收|监护|持卡|代办"
    r"|担保|受益|汇款|投保|被保险|借款|付款|推荐|介绍)人|法人|户主|车主|抬头|本人吗|[汇转交寄]给|姓什么|尊姓|大名|称呼|叫啥|对方是|给谁"
    r"|您是|名下"
    r"|\bnames?\b|surname|who (?:am|is|should|shall|do)|spell|speaking with|(?:card|account) ?holder|beneficiary|payee|recipient|whom",
    re.IGNORECASE,
)
_ADDRESS = re.compile(
    r"地[址止]|住[在哪址]|哪个小区|寄到|送到|门牌|小区|\baddress\b|a dress|where do you live|deliver|\blive\b|moved|mail(?:ed|ing)? "
    r"(?:it )?to",
    re.IGNORECASE,
)
_MAIL = re.compile(r"邮箱|邮件|邮相|e-?mail", re.IGNORECASE)
_SENT = re.compile(
    r"[发收].{0,8}(?:短信|信息|[码吗])|短信.{0,8}[发收]|(?:sent|texted|got|received).{0,16}(?:text|code|message|sms|number)", re.IGNORECASE
)
_REQUEST = re.compile(
    r"请|麻烦|报|提供|告诉|说一下|念|核[对实]|验证一下|输入|多少|什么|几|哪|谁|[吗呢]|[?？]|\b(?:please|could|can|may|what|which|who"
    r"|where|when|how|tell|give|confirm|provide|verify|is it|do you|did you)\b",
    re.IGNORECASE,
)
_GO_ON = re.compile(
    r"继续|再[报说念]|重复|接着|后面|前面|中间|剩下|慢慢|少一?位|多一?位|记一?下|不[要用]|别|[念说给报发](?:了|过|出去)|告诉|透露"
    r"|[给念]他|输入"
    r"|填|发[到给]|短信|页面|没听清|重新|下一|go on|again|repeat|continue|rest|next|slow|carry on|don't|do not|never|enter|type|text"
    r"|tell|told|share|read|say|said|give|gave|pardon|remaining",
    re.IGNORECASE,
)
_NODS = re.compile(
    r"[\s，,。.！!、]|嗯+|呃|啊|哦|噢|好[的得]?|对的?|是的?|行|可以|收到|知道了?|明白|请继续|继续|请讲|您说|稍等|喂|没错|ok(?:ay)?|yes"
    r"|yeah|right|sure|go on|go ahead|mm-?hmm|uh-?huh|got it|thank you|thanks|i see|fine",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """``kind`` is waited for during ``left`` more lines. ``said``: how many digits of it were heard."""

    kind: Kind
    left: int
    said: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A personal value in a line: its type and how many digits it has."""

    kind: PiiType
    digits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """What a call waits for, oldest first."""

    awaited: tuple[Awaited, ...] = ()

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds waited for, the newest last."""
        return tuple(item.kind for item in self.awaited)


def heard(context: CallContext, channel: str, text: str, said: Sequence[Said] = ()) -> CallContext:
    """The context after a line. ``said``: the personal values found in it."""
    if not said and not _NODS.sub("", text):
        return context
    asked = asked_kinds(text, channel, bool(said))
    if channel == "agent" and not asked and not said and _changes_subject(text):
        return CallContext()
    waiting = {item.kind: replace(item, left=item.left - 1) for item in context.awaited if item.left > 1}
    for value in said:
        if value.kind == "客户号":
            continue
        before = waiting.pop(value.kind, None)
        total = value.digits + (before.said if before is not None else 0)
        whole = _WHOLE.get(value.kind)
        if whole is not None:
            waiting[value.kind] = Awaited(kind=value.kind, left=_PATIENCE if total < whole else 2, said=total if total < whole else 0)
        elif before is not None:
            waiting[value.kind] = replace(before, left=min(before.left, 2))
    for kind in asked:
        before = waiting.pop(kind, None)
        waiting[kind] = Awaited(kind=kind, left=_PATIENCE, said=before.said if before is not None else 0)
    return CallContext(awaited=tuple(waiting.values()))


def asked_kinds(text: str, channel: str, said: bool = False) -> tuple[Kind, ...]:
    """What the line makes the call wait for. ``said``: personal values stand in the line itself."""
    request = _REQUEST.search(text) is not None or (channel == "agent" and len(text) <= (40 if text.isascii() else 12))
    kinds: list[Kind] = []
    others: tuple[tuple[re.Pattern[str], Kind], ...] = ((_NAME, "姓名"), (_ADDRESS, "地址"), (_MAIL, "邮箱"))
    if _REQUEST.search(text) or (channel == "agent" and not said):
        kinds += [kind for pattern, kind in others if pattern.search(text)]
    if asks_for_plate(text):
        kinds.append("车牌")
    if _SENT.search(text):
        kinds.append("验证码")
    last: Kind | None = None
    for cue in cues(text):
        if not cue.weak or (request and channel == "agent" and len(text) <= 10):
            last = cue.kind
    if last is not None and not (last == "编号" and not request):
        kinds.append(last)
    return tuple(kinds)


def _changes_subject(text: str) -> bool:
    """A question or a short line about something else."""
    if _GO_ON.search(text):
        return False
    return _REQUEST.search(text) is not None or len(text) <= (24 if text.isascii() else 8)
