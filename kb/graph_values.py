"""The values that a statement holds: amounts, shares, limits, times, channels, documents, conditions. Pure, by rules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from copilot.domain.graph import Relation
from kb.facts import Quantity, quantities

Pattern = re.Pattern[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """``text`` at ``start`` of the statement; a channel by its id, ``free`` for what costs nothing. ``label``: what it is called there."""

    relation: Relation
    text: str
    start: int
    label: str = ""


def _re(pattern: str) -> Pattern:
    return re.compile(pattern, re.IGNORECASE)


_HEADERS: tuple[tuple[Relation, Pattern], ...] = (
    ("rate", _re(r"利率|年化|利息|\brate\b|interest")),
    ("fee", _re(r"费|收费|租金|押金|违约金|价格|免收|\bfee|cost|charge|\brent\b|price|deposit a year")),
    ("limit", _re(r"限额|额度|上限|单笔|累计|最多|起点|期限|次数|余额|\blimit|amount|\bmost\b|\bterm\b|balance")),
    ("time", _re(r"时间|到账|时效|多久|寄到|生效|有效|时段|\btime\b|deliver|arriv|hours|within|valid")),
    ("document", _re(r"材料|证件|documents?|papers")),
    ("channel", _re(r"在哪办|办理处|办理渠道|where\b")),
    ("condition", _re(r"条件|减免|\bwaiv|condition")),
)

_CLAUSE = {"zh": re.compile(r"(?:[^，,、]|(?<=\d)[,，](?=\d{3})|、(?=\d))+"), "en": re.compile(r"(?:[^,]|,(?=\d))+")}
_FREE = {
    "zh": _re(
        r"免费|(?<!能)不收(?!到|录)[^，。；]{0,8}|免收|不(?:要|用|必)钱|不用交|一分钱?不收|免(?:次年|首年)?年费|首年免|免次年|不再收费|不收"
    ),
    "en": _re(
        r"\bfree\b(?! of interest|\w)(?!-)|no (?:annual |counter |other )?(?:\w+ ){0,2}(?:fee|"
        r"charge|cost)s?\b|pays? nothing|pays? no\b|\bwaived\b(?! the)|"
        r"\bnone\b|without (?:a )?(?:fee|charge)|bears no (?:interest|late fee)|not charged"
    ),
}
_NOT_FREE = {"zh": _re(r"免息|不免|免密"), "en": _re(r"interest[- ]free|never waived|not free")}
_RATE = {"zh": _re(r"利率|年化|计息|罚息|利息(?!合计)|收益率|业绩"), "en": _re(r"\brate\b|interest|a year$|\bpay(?:s)?\b.{0,6}$|per annum")}
_FEE = {
    "zh": _re(r"费(?!贷|用于)|违约金|收(?=\s*\d)|每[笔张份](?=\s*\d)|租金|押金|扣收|收取|另收|要交|折扣|收[^，]{0,6}$|电报|钱$"),
    "en": _re(
        r"\bfees?\b|charge|cost|penalty|\bprice\b|\bpay(?:s)?\b|yuan each|rmb \d[\d,.]* (?:a|per)\b|yuan (?:a|per) (?:year|month|account)"
    ),
}
_LIMIT = {
    "zh": _re(
        r"最[多高少低大小长]|不超过|不得超过|不能超过|不低于|不少于|至少|以内|限(?:额|\d|[一二三两])|上限|封顶|累计|额度|起存|起购|[起](?:，|$)|单笔|一次性?最|每人每?[天月年]"
    ),
    "en": _re(
        r"at most|at least|up to|maximum|minimum|no more than|\blimit|"
        r"not exceed|\bmin\b|\bmax\b|starts? at|no less than|\bonly \d|from \d"
    ),
}
_TERM_LIMIT = {"zh": _re(r"最长|期限|能借|可借|年限|展期"), "en": _re(r"\bborrow|\bterm\b|up to \w+ years")}
_CONDITION = {
    "zh": _re(
        r"(?:年|未|不|须|用卡|放款|消费|交易|刷)?满(?!减|意)|刷够|周?岁|没有逾期|无逾期|(?:以上|以下|及以上|以内)的(?!$)|等值.{0,10}以[上下]|及以上可|系统版本|以上版本|失约|征信记录良好|有稳定收入"
    ),
    "en": _re(
        r"\baged?\b|at least \d+ (?:and|years)|years? old|no older than|must be|must have|"
        r"have a steady|over \d+ (?:pay|cust)|cust\w+ over|no arrears|sound credit|\bmacOS\b"
    ),
}
_TIME_WORDS = {
    "zh": _re(
        r"立即(?:生效|停发|可用|恢复|挂失)?|实时(?:到账)?|即时|当场|立等可取|当天(?:到账|生效|入账|办理)?|当日|次日|第二天|次月|下一期生效|马上(?:生效|退回)?|全天|随到随办|几秒到1分钟|几分钟(?:到账)?|即刻"
    ),
    "en": _re(r"\bat once\b|immediately|\bthe same day\b|\binstantly\b|next day|around the clock|a few (?:minutes|seconds)"),
}
_TIME_VALUE = {
    "zh": _re(
        r"\d{4}年\d{1,2}月\d{1,2}日起?|每[天日晚周][^，。；]{0,4}\d{1,2}[:：]\d{2}\s*(?:至|到)[^，。；]{0,4}\d{1,2}[:：]\d{2}|"
        r"(?:每[晚天日]\s*|工作日\s*|早|晚)?[\d一二三四五六七八九十]{1,3}\s*点半?\s*(?:钟)?\s*(?:到|"
        r"至|—|、)\s*(?:次日)?[早晚]?\s*[\d一二三四五六七八九十]{1,3}\s*点(?:、\s*\d{1,2}\s*点)*|"
        r"(?:每天)?\d{1,2}点半?|T\+\d+|(?:下\s*)?\d+\s*个交易日|[\d一二三两]+\s*(?:到\s*\d+\s*)?个?(?:工作日|"
        r"交易日|天|小时|分钟|个月|年)(?:左右|以?内|后|前)?|持有期满后任一交易日|第\d+天到第\d+天"
    ),
    "en": _re(
        r"\d{1,2}:\d{2}(?:\s*(?:to|–|-|until)\s*\d{1,2}:\d{2})?(?: on [a-z ]+day)?|\b\d{1,2} (?:january|"
        r"february|march|april|may|june|july|august|september|october|november|december)\b|"
        r"(?:\d+|one|two|three|four|five|six|seven) (?:to \d+ )?(?:working |"
        r"business |trading )?(?:days?|hours?|minutes?|weeks?|months?|years?)"
    ),
}
_RECENT = {"zh": _re(r"[近过去]{1,2}\s*$|首次用卡"), "en": _re(r"\b(?:last|past)\s*$")}
_NEGATED = {
    "zh": _re(r"不(?:能|可以?|支持|需要|用|必|办|得|是每)|无法|无需|没有录像|不能通过"),
    "en": _re(r"\bnot\b|\bcannot\b|can't|\bno need|never\b|\bwithout\b|\bno ID\b"),
}
_DOES = {
    "zh": _re(
        r"办|可|能|申请|查|改|设置|提交|登记|预约|打|致电|到|在|下载|领取|上传|留言|做|自己|核对|撤|转让|受理|选|约|」|卖|开|核实|补|关|说"
    ),
    "en": _re(r"\bapp\b|\bat\b|in the app|\bby\b|call|visit|collect|online|apply|hotline|counter"),
}
_BRING = {
    "zh": _re(r"带|携|提供|上传|准备|凭|材料|证件|出示|提交|拿|加|："),
    "en": _re(r"bring|with your|have your|documents?|prepare|provide|upload|submit|proof|show|register"),
}
_DOCUMENT = {
    "zh": _re(
        r"(?:本人|家长|双方|有效|新)?(?:有效)?(?:身份证件|身份证|户口簿|护照|签证|居留许可|通行证|居住证|驾驶证|行驶证|营业执照|出生证|学生证|结婚证)|"
        r"[\u4e00-\u9fff0-9]{0,8}?(?:证明书?|流水|购房合同|购车合同|劳动合同|合同|首付款凭证|凭证|首付收据|收据|缴费单|通知书|委托书|公证书|存折|发票|缴存记录|银行卡|卡片)"
    ),
    "en": _re(
        r"\b(?:your |a |the |valid )?(?:ID(?: card)?|passport|visa|household register|"
        r"marriage certificate|declaration of being single|driving licence|"
        r"(?:purchase|employment) contract|proof of (?:the )?[a-z]+(?: [a-z]+)?|"
        r"[a-z]+ certificate|income records?|deposit receipt|receipt|power of attorney)\b"
    ),
}
_NUMBER_ONLY_MONEY = re.compile(
    r"(?:最[少多低高]|不低于|封顶)\s*([\d,]+(?:\.\d+)?[万亿千百]?|[一二三四五六七八九十百千两]+[万千百])(?![\d.%元块年个天月点期次笔张万亿千百])|(\d+)一笔"
)
_NOUN = {
    "zh": re.compile(
        r"[\u4e00-\u9fff]{0,5}?(?:手续费率?|年费|工本费|电报费|管理费|托管费|服务费|转换费|赎回费|申购费|短信费|费用|违约金|滞纳金|租金|押金|利率|利息|罚息|年化|限额|额度)"
    ),
    "en": re.compile(r"(?:[a-z]+ ){0,2}(?:fees?|charges?|penalty|rent|rates?|interest|limits?|cost)\b", re.IGNORECASE),
}
_LEAD = {
    "zh": re.compile(r"(?:最[长快迟晚]|不超过|一般|提前|之前|放款后|入账后|到期前|提交后|通过后|每)[^，。]{0,4}$"),
    "en": re.compile(r"\b(?:within|up to|at most|after|before|from|in|every|usually|about|by)\s*$", re.IGNORECASE),
}
_MORE = re.compile(r"\s*(?:最[低高少多]|封顶|minimum|maximum|at (?:most|least)|no (?:less|more))", re.IGNORECASE)
_DIGIT = re.compile(
    r"[\d零一二两三四五六七八九十百千万]|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|once|twice)\b", re.IGNORECASE
)
_ABOUT_FEE = _re(r"收费|费用|charges|\bfees?\b")
_COMMA = {"zh": "，", "en": ", "}
_CUT = " \t，,。；;：:、.*|"


def header_relation(text: str) -> Relation | None:
    """What a column (a row, a label) of this name holds; None if the name does not tell."""
    for relation, pattern in _HEADERS:
        if text and pattern.search(text):
            return relation
    return None


def read_values(
    text: str, language: str, hint: Relation | None, channels: Mapping[str, Pattern], row: str = "", about: str = ""
) -> Iterator[Value]:
    """In the order of the text. ``hint``: what the statement's column or label says it holds; ``row``: that name.

    ``about``: the title, which says what an amount is where nothing nearer does.
    """
    side = "zh" if language == "zh" else "en"
    yield from _channels(text, side, channels, hint)
    yield from _documents(text, side, hint)
    carried: Relation | None = hint or ("fee" if _ABOUT_FEE.search(about) else None)
    last: Value | None = None
    for match in _CLAUSE[side].finditer(text):
        clause, at = match.group(), match.start()
        found = list(_clause(clause, side, language, hint, carried, row))
        if last and len(found) == 1 and found[0].relation == last.relation and found[0].text != "free" and _MORE.match(clause.strip(_CUT)):
            # "1%, at least 10, at most 500" is one charge.
            last = replace(last, text=f"{last.text}{_COMMA[side]}{found[0].text}")
            continue
        if last:
            yield last
        last = None
        for value in found:
            placed = replace(value, start=at + value.start)
            if value is found[-1] and value.relation in ("fee", "rate", "limit") and value.text != "free":
                last = placed
            else:
                yield placed
        money = [value.relation for value in found if value.relation in ("fee", "rate", "limit") and value.text != "free"]
        carried = money[-1] if money else carried
    if last:
        yield last


def _clause(clause: str, side: str, language: str, hint: Relation | None, carried: Relation | None, row: str) -> Iterator[Value]:
    said = clause.strip(_CUT)
    if not said:
        return
    lead = len(clause) - len(clause.lstrip(_CUT))
    free = _FREE[side].search(clause)
    free = None if _NOT_FREE[side].search(clause) else free
    if free:
        yield Value(relation="fee", text="free", start=free.start(), label=_label(clause[: free.start()], side))
    numbers = list(quantities(clause, language)) + _bare(clause) if _DIGIT.search(clause) else []
    if _CONDITION[side].search(clause) and (numbers or _plain_condition(clause)):
        yield Value(relation="condition", text=said, start=lead)
        if hint not in ("fee", "rate"):
            return
    if free:
        return
    sums = [one for one in numbers if one.unit in ("money", "usd", "percent", "points") or one.unit == "bare"]
    if sums:
        relation = _of_sum(clause, side, hint, carried, sums[0])
        yield Value(relation=relation, text=said, start=sums[0].start, label=_label(clause[: sums[0].start], side))
        return
    counts = [one for one in numbers if one.unit in ("times", "terms")]
    if carried == "fee" and _CHARGED_TIMES.search(clause):
        return
    if (counts or _COUNT.search(clause)) and (_LIMIT[side].search(clause) or hint == "limit" or _EACH.search(clause)):
        yield Value(relation="limit", text=said, start=lead)
        return
    if hint == "limit" and re.search(r"\d", clause):
        yield Value(relation="limit", text=said, start=lead)
        return
    for match in _TIME_VALUE[side].finditer(clause):
        if _RECENT[side].search(clause[: match.start()]) or hint == "rate" or _BY.search(clause[match.end() :]):
            continue
        if _TERM_LIMIT[side].search(clause) and re.search(r"[年月]|years?|months?", match.group()):
            yield Value(relation="limit", text=said, start=match.start())
        elif row and hint == "fee":
            continue
        else:
            yield Value(
                relation="time",
                text=said if hint == "time" or len(said) <= (16 if side == "zh" else 40) else _around(clause, match, side),
                start=match.start(),
            )
        return
    word = _TIME_WORDS[side].search(clause)
    if word and hint not in ("fee", "rate", "limit"):
        yield Value(relation="time", text=word.group(), start=word.start())


_CHARGED_TIMES = re.compile(r"收\s*\d+\s*次")
_BY = re.compile(r"按[月日年季]")
_COUNT = re.compile(r"[\d一二三两]+\s*[个张只](?![工月小交]|百分)")
_EACH = re.compile(
    r"每(?:年|月|天|日|期|\d+个月|张)[^，]{0,8}[次笔]|一年[^，]{0,3}次|连续输错|\b(?:once|twice|\d+ times?) (?:a|per|every|in)\b|合用"
)


def _bare(clause: str) -> list[Quantity]:
    return [Quantity(unit="bare", value=0, start=match.start(), end=match.end()) for match in _NUMBER_ONLY_MONEY.finditer(clause)]


def _plain_condition(clause: str) -> bool:
    return bool(re.search(r"没有逾期|无逾期|有稳定收入|征信记录良好|\bsteady income|sound credit|no arrears|\d", clause))


def _of_sum(clause: str, side: str, hint: Relation | None, carried: Relation | None, first: Quantity) -> Relation:
    """What an amount of money or a share is: by what is said before it, else by what the statement is about."""
    before = clause[: first.start]
    if hint in ("fee", "rate", "limit") and not (hint == "fee" and _RATE[side].search(before)):
        return "limit" if hint == "limit" else hint
    if _RATE[side].search(clause):
        return "rate"
    if _FEE[side].search(clause):
        return "fee"
    if carried in ("fee", "rate") and _MORE.match(clause.strip(_CUT)):
        return carried
    if _LIMIT[side].search(clause):
        return "limit"
    return carried if carried in ("fee", "rate", "limit") else "rate" if first.unit == "percent" and side == "en" else "limit"


def _label(before: str, side: str) -> str:
    """The name of the charge, rate or limit that is said last before a value."""
    found = list(_NOUN[side].finditer(before))
    return found[-1].group().strip() if found else ""


def _around(clause: str, match: re.Match[str], side: str) -> str:
    """The time, with the word that says from when or how long."""
    lead = _LEAD[side].search(clause[: match.start()])
    return clause[lead.start() if lead else match.start() : match.end()].strip(_CUT)


def _channels(text: str, side: str, channels: Mapping[str, Pattern], hint: Relation | None) -> Iterator[Value]:
    if hint not in (None, "channel", "time", "condition"):
        return
    for name, pattern in channels.items():
        for match in pattern.finditer(text):
            clause = _clause_at(text, match.start(), side)
            if _NEGATED[side].search(clause) or (hint != "channel" and not _DOES[side].search(clause)):
                continue
            yield Value(relation="channel", text=name, start=match.start())
            break


def _documents(text: str, side: str, hint: Relation | None) -> Iterator[Value]:
    if hint not in (None, "document", "channel") or not (hint == "document" or _BRING[side].search(text)):
        return
    seen = set()
    for match in _DOCUMENT[side].finditer(text):
        clause = _clause_at(text, match.start(), side)
        name = re.sub(
            r"^(?:your|a|the|和|或|及|与|须|本人|带|携带|加|拿|凭|上传|提供|必备材料)\s*", "", match.group().strip(), flags=re.IGNORECASE
        )
        if not _NEGATED[side].search(clause) and name not in seen and name:
            seen.add(name)
            yield Value(relation="document", text=name, start=match.start())


def _clause_at(text: str, at: int, side: str) -> str:
    for match in re.finditer(r"[^，；。]+" if side == "zh" else r"[^;.]+", text):
        if match.start() <= at < match.end():
            return match.group()
    return text
