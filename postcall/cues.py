# ruff: noqa: E501  (a pattern is read best on one line)
"""The words by which a summary knows what a sentence does in the dialogue: asks, acts, promises, instructs. Pure.

Patterns allow for recognition errors and missing punctuation; digits and Chinese numerals are both expected.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_ZH_COUNT = r"[\d一二两三四五六七八九十百半]+"
_ZH_UNIT = r"个?(?:工作日|自然日|小时|钟头|分钟|天|周|星期|月内|个月)"
_EN_COUNT = r"(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|fifteen|twenty|thirty)"
_ZH_VERBS = "冻结|登记|登机|开通|办理|挂失|关闭|提交|取消|激活|修改|注销|止付|受理|重置|解除|解冻|解锁|预约|转接|补发|补寄|寄出|发送|反馈|记录|申请|撤销|升级|核实|核查|查询|调整|设置|更新|退还|减免"
_EN_VERBS = (
    r"frozen|froze|blocked|registered|activated|submitted|cancelled|canceled|closed|opened|reset|updated|changed|raised|lowered|"
    r"sent|ordered|booked|unlocked|removed|refunded|waived|replaced|set up|passed|logged|filed|noted|enabled|disabled|stopped"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cues:
    """Patterns of one language. ``verbs`` finds what was acted on, so that the same act is told once."""

    need: re.Pattern[str]
    consent: re.Pattern[str]
    question: re.Pattern[str]
    done: re.Pattern[str]
    doing: re.Pattern[str]
    verbs: re.Pattern[str]
    time_promise: re.Pattern[str]
    bank_will: re.Pattern[str]
    customer_should: re.Pattern[str]
    courtesy: re.Pattern[str]
    filler: re.Pattern[str]
    feeling: re.Pattern[str]
    pleasantry: re.Pattern[str]
    due: re.Pattern[str]
    customer_will: re.Pattern[str]
    refusal: re.Pattern[str]
    undone: re.Pattern[str]
    proofs: Mapping[str, re.Pattern[str]]


def _any(*parts: str) -> re.Pattern[str]:
    return re.compile("|".join(parts), re.IGNORECASE)


ZH = Cues(
    need=_any(
        r"怎么|怎样|如何|多少|多久|多长时间|什么时候|几[天点号期]|哪[里儿个些]|什么|为什么|为啥|能不能|可不可以|可以.{0,10}[吗么]|会不会|要不要|是不是|有没有|[吗么呢？?]",
        r"我(?:想|要|需要|打算)|想(?:问|咨询|办|查)|帮我|给我|麻烦你|请问|咨询|查一下|办理|投诉",
        r"[被让](?:人|别人|人家)?.{0,4}[刷盗骗冻扣]|不是我|没(?:有)?(?:到账|收到|显示)|丢了|不见了|不了|失败|错了",
    ),
    consent=_any(r"^(?:可以|好的?|行|嗯|对|是的?|那就|没问题|谢谢|没有了?)[，,。！!]?"),
    question=_any(r"[？?]|[吗呢]\s*[。]?$|请问|是多少|是什么|对不对|对吧|怎么称呼|(?:告诉我|报一?下|说一?下|提供一?下)"),
    done=_any(
        rf"已经?(?:成功)?(?:在)?(?:帮|为|给|替)?(?:[您你]|客户)?.{{0,8}}(?:{_ZH_VERBS})",
        rf"(?:{_ZH_VERBS}|办|弄|改|处理)(?:好|完|成功)了?",
        rf"(?:{_ZH_VERBS})(?:了|成功)",
    ),
    doing=_any(rf"(?:帮|为|给|替)[您你].{{0,10}}(?:{_ZH_VERBS}|转[到给接]|查)"),
    verbs=_any(_ZH_VERBS),
    time_promise=_any(
        rf"{_ZH_COUNT}(?:[到至\-—~]{_ZH_COUNT})?{_ZH_UNIT}(?!前|以前|之前)",
        r"(?:当天|立即|实时|即时|马上|次日|第二天|今天内|明天)(?:就)?(?:能|会|可以)?(?:生效|到账|办好|解除|恢复|入账)",
    ),
    bank_will=_any(
        r"(?:会|将)(?:尽快|及时|再)?(?:以|用|通过|有)?(?:短信|电话|微信|邮件|专人|专员)?.{0,8}(?:通知|联系|回复|回电|答复|告知|反馈|跟进)",
        r"(?:后续|继续)?跟进",
        r"(?:转|交|提交|反馈)(?:交|给|到|至).{0,10}(?:部门|专席|专员|处理组|主管|中心|分行)",
    ),
    customer_should=_any(
        r"(?:请|麻烦|建议|需要)?[您你]?(?:可以|需要|要|先|再|请|记得|就)?.{0,4}(?:打开|登录|前往|携带|带上|带着|下载|保留|拨打|报警|去(?:网点|柜台|派出所)|到(?:网点|柜台|附近|派出所)|在手机银行|在[aA][pP][pP]|通过手机银行)",
    ),
    courtesy=_any(
        r"^(?:好的?|嗯+|对|是的|您好|你好|请稍等|稍等|不客气|没关系|谢谢.{0,6}|感谢.*|再见|祝.*|请问.*|.{0,4}久等.{0,2}|.{0,6}不要挂(?:电话)?|.{0,4}放心)$",
        r"^.{0,6}(?:帮|为|给)[您你](?:处理|看看|看一下|查一下|查查|解决)$",
        r"评价|满意度|本次通话|很高兴为|还有.{0,6}(?:其他|别的|什么)|工号|请.{0,6}稍等|别着急|不要着急|理解.{0,3}心情|抱歉|核对一致|信息一致|(?:一定|肯定|绝对|保证)[能会]",
    ),
    filler=re.compile(
        r"^(?:(?:嗯+|呃+|啊+|哦+|唉|哎|喂|欸|诶|那个(?=[，,、。\s嗯呃啊]|$)|就是说|你好|您好|好的|是的|还有一?个问题|还有|然后|另外|请问一下|请问|我想问一下|想问一下"
        r"|好(?!像|几|多|久|友|好|评|不|转)|对(?!方|账|公|面|象|不|此|于|我|接|比)|那(?=[，,、。\s]|我|就|你|要|如果|被|能|可)|就(?=[，,、。\s])|这个(?=[，,、。\s]))[，,、。！!\s]*)+"
    ),
    feeling=re.compile(
        r"^(?:我|我还是|真的|现在)*(?:都)?(?:很|好|非常|特别|太|有点)?(?:着急|担心|生气|害怕|急死了?|气死了?|记住了|知道了|明白了|谢谢.{0,3})$"
    ),
    pleasantry=re.compile(
        r"^(?:[让劳]?[您你]?久等了?|[您你]?(?:先|请)?(?:别|不要|不用)(?:着急|担心)|[您你]?放心|不好意思|非常抱歉|麻烦[您你]了?)$"
    ),
    due=_any(
        rf"(?:预计|大概|最晚|最迟)?{_ZH_COUNT}(?:[到至\-—~]{_ZH_COUNT})?{_ZH_UNIT}(?:之内|以内|内|左右|后)?",
        rf"(?:下?个?月|本月|这个月)?{_ZH_COUNT}[号日](?:之?前|以前|当天)?",
        r"今天(?:之内|内|下班前)?|明天|后天|当天|次日|第二天|[下这本]周[一二三四五六日末]?|月底前?|下个?月|实时|即时|立即",
    ),
    customer_will=_any(
        rf"我(?:就|会|可以|能|打算|保证|一定|争取|尽量|到时候|回头|待会儿?|马上|下午|晚上|今天|明天|后天|下周.?|下个?月|{_ZH_COUNT}[号日]).{{0,12}}(?:还|存|转|去|来|办|补|交|联系|打|处理|看)",
        rf"(?:{_ZH_COUNT}[号日]|月底|下个?月|发工资).{{0,8}}(?:前)?(?:我)?.{{0,4}}(?:还清|还上|还掉|还款|存进去|补上|补齐|去办)",
    ),
    refusal=_any(
        r"^.{0,8}(?:不需要|不用了|不办了?|不想办|不考虑|先不(?:办|要|弄)|别(?:给我)?办|不要(?:了|再|给我)|算了)",
    ),
    undone=_any(
        rf"(?:没有?|未|尚未|还没|暂时?(?:没有?|不)|无法|不能|没法|办不了|不予|拒绝)(?:能|给|帮|为|再)?(?:[您你]|客户)?.{{0,4}}(?:{_ZH_VERBS}|办(?!法|公)|处理)",
        rf"(?:{_ZH_VERBS}|办|处理)(?:不了|不成|失败|未成功)",
    ),
    proofs={
        "姓名": re.compile(r"姓名|名字|贵姓|怎么称呼"),
        "卡号": re.compile(r"[后侯]四[位为]|[后侯]4[位为]|最后.{0,3}[四4][位为]|尾号|卡号"),
        "证件": re.compile(r"身份证|证件"),
        "预留手机号": re.compile(r"手机号|预留.{0,4}(?:手机|号码|电话)"),
        "账单地址": re.compile(r"账单地址.{0,6}(?:是|吗|什么|哪)"),
    },
)

EN = Cues(
    need=_any(
        r"\?|\b(?:how|what|when|where|why|which|who)\b|\b(?:can|could|may|should|do|does|is|are|will) (?:i|you|it|there|the|my)\b",
        r"\bi(?:'d like| would like| want| need|'m calling)\b|\bplease\b|\bhelp me\b",
        r"\b(?:lost|stolen|wrong|blocked|frozen|failed|missing|never made|didn'?t (?:make|get|arrive)|doesn'?t work|can'?t|cannot|complain)\b",
    ),
    consent=_any(r"^(?:yes|ok(?:ay)?|sure|fine|right|all right|alright|no|thanks?|thank you|great|perfect)\b"),
    question=_any(r"\?|\b(?:may|can|could) (?:i|you)\b|\bwhat(?:'s| is) (?:your|the)\b|\bis that (?:right|correct)\b|\bdid you\b"),
    done=_any(
        rf"\b(?:i've|i have|we've|we have|has been|have been|is now|are now|is)\b.{{0,20}}\b(?:{_EN_VERBS})\b",
        r"\b(?:all done|that's done|is (?:now )?(?:active|set))\b",
    ),
    doing=_any(
        r"\b(?:i'll|i will|i'm going to|let me|i am|i'm)\b.{0,12}\b(?:freez|block|regist|activat|submit|cancel|clos|open|reset|updat|chang|rais|send|order|book|unlock|remov|refund|waiv|replac|set|pass|log|fil|stop)\w*"
    ),
    verbs=_any(
        r"freez|froze|block|regist|activat|submit|cancel|clos|open|reset|updat|chang|rais|lower|send|sent|order|book|unlock|remov|refund|waiv|replac|set up|pass|log|fil[ei]|stop"
    ),
    time_promise=_any(
        rf"\b{_EN_COUNT}(?:(?: to | or |-){_EN_COUNT})? (?:business |working )?(?:days?|hours?|minutes?|weeks?)\b(?! ago)",
        r"\b(?:immediately|right away|straight away|by tomorrow|within the day|same day)\b",
    ),
    bank_will=_any(
        r"\b(?:we|someone|somebody|our (?:team|colleagues?)|a colleague|the .{0,16}team)(?:'ll| will)\b.{0,20}\b(?:call|text|email|contact|notify|inform|let you know|get back|write)",
        r"\byou(?:'ll| will) (?:get|receive|hear)\b|\bpass(?:ed|ing)? .{0,20}(?:team|department|desk|manager)\b",
    ),
    customer_should=_any(
        r"\b(?:you can|you need to|you should|please|just)\b.{0,12}\b(?:open|sign in|log in|go to|visit|bring|download|keep|call the police|report|tap|choose|select)\b"
    ),
    courtesy=_any(
        r"^(?:yes|ok(?:ay)?|sure|of course|certainly|thank(?:s| you).*|goodbye|bye.*|hello.*|good (?:morning|afternoon|evening).*|one moment.*|have a .*|you're welcome|don't worry.*)$",
        r"\b(?:call is recorded|calls are recorded|rate |survey|feedback|anything else|thank you for (?:calling|waiting|holding)|i understand|sorry|apologi[sz]e|definitely|guarantee)\b",
    ),
    filler=re.compile(
        r"^(?:(?:uh+|um+|er+|well|so|and|hello|hi|hey|yes|ok(?:ay)?|right|good (?:morning|afternoon|evening)|please|oh)\b[,.!\s]*)+",
        re.IGNORECASE,
    ),
    feeling=re.compile(
        r"^(?:i'?m|i am)?\s*(?:still |very |really |so )*(?:worried|upset|angry|thanks?|thank you.*|i see|got it)$", re.IGNORECASE
    ),
    pleasantry=re.compile(
        r"^(?:don't worry|thank you for (?:waiting|holding)|sorry to keep you(?: waiting)?|rest assured)$", re.IGNORECASE
    ),
    due=_any(
        rf"\b(?:within |in |by )?{_EN_COUNT}(?:(?: to | or |-){_EN_COUNT})? (?:business |working )?(?:days?|hours?|minutes?|weeks?)\b",
        r"\b(?:by |on |before )?(?:today|tomorrow|tonight|next (?:week|month)|the end of the (?:day|week|month)|(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b",
        r"\b(?:immediately|right away|straight away)\b",
    ),
    customer_will=_any(
        r"\bi(?:'ll| will| am going to|'m going to)\b.{0,24}\b(?:pay|transfer|go|come|bring|send|call|visit|do|settle|report)\b",
    ),
    refusal=_any(r"\b(?:no thank(?:s| you)|not interested|i don't (?:want|need)|please don't|leave it)\b"),
    undone=_any(
        rf"\b(?:not|never|cannot|can't|couldn't|unable to|hasn't been|haven't|wasn't|isn't)\b.{{0,16}}\b(?:{_EN_VERBS}|freeze|block|register|activate|submit|cancel|close|open|reset|update|change|refund|waive|replace|done)\b",
    ),
    proofs={
        "name": re.compile(r"your (?:full )?name|who am i speaking", re.IGNORECASE),
        "card": re.compile(r"last (?:four|4)|card number", re.IGNORECASE),
        "identity document": re.compile(r"\bid number|identity (?:card|document)", re.IGNORECASE),
        "registered phone": re.compile(r"(?:registered|mobile|phone) number|number (?:we have )?on file", re.IGNORECASE),
        "billing address": re.compile(r"billing address", re.IGNORECASE),
    },
)

CUES = {"zh": ZH, "en": EN}
