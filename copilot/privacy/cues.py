"""The words that announce a number, in both languages, and what stands around numbers that are nobody's. Data and its patterns. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from copilot.privacy.homophones import sounding
from copilot.privacy.spans import Kind


@dataclass(frozen=True, slots=True)
class Cue:
    """``text[start:end]`` announces a number of ``kind`` with at least ``least`` digits. ``weak``: only if it follows at once."""

    kind: Kind
    least: int
    weak: bool
    start: int
    end: int


_HAO, _KA, _JI, _MA, _ZH = (sounding(char) for char in "号卡机码账")
_PHONE, _CALL, _ID, _DOC = sounding("手机"), sounding("电话"), sounding("身份证"), sounding("证件")
_CODE, _SECRET, _TAIL = sounding("验证码"), sounding("密码"), sounding("尾号")
_DING, _GONG, _YUN, _BIAN = (sounding(char) for char in "订工运编")
_MANY = r"[一二两三四五六八123468几]"

_CUES: tuple[tuple[Kind, int, bool, str], ...] = (
    # kind, fewest digits, weak, pattern; of those that begin at one place the first is taken
    (
        "编号",
        3,
        False,
        rf"(?:联|银)?行{_HAO}|(?:{_DING}|{_GONG}|{_YUN}|保|回|快递|物流|面|票)[单蛋胆担淡](?:编{_HAO}|{_HAO}{_MA}?)?|(?:{_BIAN}|{_GONG}"
        r"|[单蛋胆担]|案|票|文|批|批次|流水|参考"
        r"|回执|受理|登记|合同|协议"
        r"|发票|收据|凭证|序列|型|款|房型|车次|航班"
        r"|会议室?|桌|柜|座位|取件|取货|取号|排队|预约|叫|交易|业务|申请|事件|投诉|备案|报案|立案|商户|商品|产品|客户经理|柜员|坐席"
        rf"|客服|员工){_HAO}"
        rf"|(?:编|代|条形|条|取件|兑换|提货|优惠|机构|网点|产品|基金|股票|行业|邀请|推荐)(?:代)?{_MA}|案件|(?:车架|发动机|引擎"
        rf"|机身){_HAO}(?:[后前末]{_MANY}位)?|有效期(?:限|至|到)?"
        rf"|(?:排|叫|取|挂)(?:了|到|的是)?个?{_HAO}",
    ),
    ("编号", 1, True, r"第"),
    (
        "编号",
        3,
        False,
        r"expir(?:y|es|ation)(?: date)?|valid (?:thru|until|through)|(?:order|ticket|tracking|reference|ref|case|invoice|receipt"
        r"|confirmation|transaction|waybill|parcel|staff|employee|badge|agent|contract"
        r"|policy|claim|complaint|application|product|fund|merchant|branch|queue|serial|model|batch|article|form|booking|request|job"
        r"|work order"
        r"|shipment|voucher|token|window|gate|counter|extension)s?"
        r"(?: (?:id|identifier|number|numb her|numb|no\.?|code|reference|is(?= (?:[0-9]|[a-z]+ (?:[0-9]|one|two|three|four|five|six"
        r"|seven|eight"
        r"|nine|zero|oh|double)))))+(?![a-z])|\b(?:reference|order|ticket|case|invoice|receipt|waybill|transaction|booking|claim"
        r"|complaint|request|confirmation|shipment|parcel|incident|fund|product|model|serial|batch|queue|staff|employee|branch|flight"
        r"|log|file|statement|policy|contract|tracking)\b",
    ),
    (
        "尾号",
        3,
        False,
        rf"{_TAIL}|最?[后候厚侯末莫前钱](?:面|边)?(?:的)?那?\s*{_MANY}\s*[位码个](?:数字?|{_HAO})?|(?:首|尾|前|末){_MANY}位",
    ),
    (
        "尾号",
        3,
        False,
        (
            r"ending(?: (?:in|with|is))?|ends (?:in|with)|(?:first|last) (?:few )?(?:digits|numbers)|(?:first|last) (?:three|four|five|six"
            r"|[3-6])(?: digits?| numbers?)?"
        ),
    ),
    (
        "安全码",
        3,
        False,
        rf"{sounding('安全')}{_MA}|CVV2?|CVC2?|C V V|(?:背|被|反)(?:面|后|头)?(?:的)?(?:那)?[三3](?:位|个)(?:数字?|{_HAO}|{_MA})?"
        r"|签名(?:条|栏|处)"
        rf"|后[三3]{_MA}|(?<![末后前])[三3]位(?:数字?|{_MA})",
    ),
    (
        "安全码",
        3,
        False,
        r"security (?:code|number)|(?:three|3)(?:[ -]digits?)?(?: numbers?| digits?| code)? (?:on|at|from) the back|the back of (?:the"
        r"|my) card",
    ),
    (
        "验证码",
        3,
        False,
        rf"{_CODE}|校{sounding('验')}{_MA}|动态(?:{_SECRET}|口令|{_MA})|短信(?:里|上)?的?{_MA}|(?:一次性|随机)(?:{_SECRET}|口令|{_MA})"
        rf"|确认{_MA}"
        rf"|授权{_MA}|识别{_MA}|激活{_MA}|登录{_MA}|支付{_MA}|注册{_MA}|取款{_MA}|[四六46]位(?:的)?(?:数字?|{_MA})|(?:短信|信息)(?:里"
        rf"|上|中)(?:面)?(?:的|是)?|(?:那|这)(?:个|串|几个)(?:{_MA}|数字)|一串数字?|(?:上|里|到|中|面)的数字|令牌|数字是|(?:念|报"
        r"|告诉)(?:给)?(?:了|他|她|对方"
        r"|人家)+(?:的是)?|(?<![密号编代])码(?:是|呢|[:：])"
        r"|OTP|(?:verification|one[- ]time|confirmation|text(?:ed)?|sms|auth(?:entication|orization)?|access) (?:code|pass(?:word|code)"
        r"|pin)"
        r"|(?:the|that|this|a|my) code\b|\bcode (?:you|they|that|is|was|i got)|(?:six|four|6|4)[- ]digits?(?: code| number)?|digits "
        r"(?:you|they) (?:sent|texted)|(?:the|your) (?:text|sms|message) (?:says|said|was|is)",
    ),
    (
        "密码",
        4,
        False,
        rf"{_SECRET}|口令|password|passcode|\bPINs?\b(?: code| number| numb her)?|\bpens?\b(?=,? (?:is|was|which|number))|secret "
        r"(?:code|number)",
    ),
    ("验证码", 4, True, r"(?<![号编代条维邮扫数尺])码"),
    ("密码", 4, True, r"(?:typed|entered|keyed)(?: in)?"),
    ("密码", 4, True, r"[输填按设](?:入|成|进去)?的(?:就)?是"),
    ("尾号", 3, True, r"[三四六八3468]位(?!客户|先生|女士|小姐|老师|领导|朋友|都)"),
    ("护照", 5, False, rf"{sounding('护照')}(?:{_HAO}|{_MA})*|passports?(?: (?:number|numb her|no\.?))?|通行证(?:{_HAO}|{_MA})*"),
    (
        "身份证",
        4,
        False,
        rf"{_ID}(?:件)?(?:{_HAO}{_MA}?)?|{_DOC}(?:{_HAO}{_MA}?)?|{sounding('证')}{_HAO}|户口[本簿]"
        r"|(?:ID|I D|identity|identification|national id)(?: card)?(?: (?:number|numb her|no\.?))|\bID(?= (?:is|card|number))"
        r"|social security(?: number)?|SSN|(?:driver'?s?|driving) licen[sc]e(?: number)?|国民身份|社保号",
    ),
    (
        "卡号",
        4,
        False,
        rf"{_KA}{_HAO}|(?:信用|借记|储蓄|银行|工资|社保|医保|主|副|旧|新|附属){_KA}{_HAO}|{_ZH}{_HAO}|{_ZH}户(?:{_HAO}|{_MA})"
        rf"|存折(?:{_HAO}|上写的(?:是)?)?"
        r"|(?:credit |debit |bank |new |old )?(?:card|cart|account|acct|a/c)(?:'s)? (?:number|numb her|numb|no\.?|digits)|IBAN"
        r"|numbers? (?:on|from|across|of) (?:the |your |my )?(?:front|face|card)|card details|(?:which|what) (?:card|account)\b|long "
        r"number|number on the front|(?:sixteen|16)[- ]digits?|sort code|routing number",
    ),
    (
        "卡号",
        6,
        True,
        rf"(?:信用|借记|储蓄|银行|工资|旧|新)?{_KA}|(?:对公|理财|收款|付款|转入|转出|对方|还款|扣款|银行|资金)?(?:{_ZH}户|户头)|存折"
        r"|(?:card|account)",
    ),
    (
        "手机号",
        4,
        False,
        rf"{_PHONE}(?:{_HAO}{_MA}?|{_MA})|{_CALL}(?:{_HAO}{_MA}?|{_MA})|{sounding('号码')}|联系(?:方式|电话)|(?:预留|绑定|注册|新|旧"
        rf"|老)的?(?:{_PHONE}|{_CALL})"
        rf"|座{_JI}|固话|微信(?:{_HAO})?|QQ(?:{_HAO})?"
        r"|(?:tele)?(?:phone|mobile|cell|cellphone|contact|callback|landline)(?: phone)? (?:number|numb her|numb|no\.?)|(?:which|what"
        r"|best|what's the best) (?:number|numb her)|whatsapp",
    ),
    (
        "手机号",
        7,
        True,
        rf"{_PHONE}|{_CALL}|(?:phone|mobile|cell|landline|call (?:me |him |her |us )?(?:back )?(?:at|on)|reach (?:me|him|her|us) (?:at"
        r"|on)|text me (?:at|on)|dial)|打(?:给)?(?:我|他|她)?(?:的)?(?:这个)?",
    ),
)
_PATTERN = re.compile("|".join(f"(?P<c{at}>{pattern})" for at, (_, _, _, pattern) in enumerate(_CUES)), re.IGNORECASE)


def cues(text: str) -> Iterator[Cue]:
    """The cues of ``text`` in order, without overlap."""
    for match in _PATTERN.finditer(text):
        kind, least, weak, _ = _CUES[int(str(match.lastgroup)[1:])]
        yield Cue(kind, least, weak, match.start(), match.end())


CONNECTORS = re.compile(
    r"(?:[\s:：,，、.\-—(（]|是不是|是|为|就是|要不就|呢|啊|嗯|呃|额|的|吧|哦|应该|好像|大概|可能|号|码|分别|我的|您的|他的|她的|我|他"
    r"|她|您|这边|写的?|报|念"
    r"|请记一下|[你您]记一下|记得|叫|上|输|填|输入|那个|这个|改成|换成|改为|换为"
    r"|is|was|were|it's|its|it is|number|are|the|that|which|uh+|um+|er+m?|so|okay|yes|yeah|i said|i think|would be|should be|there|one"
    r"|in|with|my|his|her|on"
    r"|with the|'s)*",
    re.IGNORECASE,
)
"""Between a cue and its number, at no cost."""
REACH = 14
"""A strong cue also reaches over this many other characters of the same sentence."""
REACH_OF_OTHERS = 5
"""The same for a cue of a number that is nobody's."""
SENTENCE_END = frozenset("。！？；!?;\n")

MONEY = re.compile(
    r"\s*(?:多)?(?:[元圆园员冤源原愿远缘]|[块快](?!递)|角|毛|万|千|百|亿|美元|美金|港币|欧元|日元|英镑|人民币|额度|％|%|‰|个点|个百分点"
    r"|yuan|rmb|cny|usd|hkd|dollars?"
    r"|euros?|pounds?|cents|bucks|percent)",
    re.IGNORECASE,
)
"""After a number, however long: it is an amount or a rate."""
UNIT = re.compile(
    r"\s*(?:多)?(?:[年念碾]|月|日|号(?!码)|天|个(?!人是)|次|笔|分(?:钟|期|之)?|秒|点(?!com)|小时|周|岁|折|倍|期|成|张|位|人|页|份|条|项"
    r"|户|家"
    r"|批|轮|级|名|步|遍|楼|层|度|米|公里|开头|打头|积分|版"
    r"|years?|months?|weeks?|days?|hours?|minutes?|seconds?|times|points|instal|people|customers|pages|am\b|pm\b|a\.m|p\.m|o'clock|o "
    r"clock|th\b|st\b|percent|shares)",
    re.IGNORECASE,
)
"""After a short number: it counts something."""
CURRENCY = re.compile(
    r"(?:[¥￥$€£]|rmb|cny|usd|hkd|人民币|美元|金额|今额|余额|限额|额度|积分|净值|份额|税额|税率|利率|本金|利息|手续费|工本费|年费|费用"
    r"|最高|最低|起存|押金|单价|总共|一共|合计|满|减"
    r"|(?:转|存|取|花|付|还|借|扣|交|充|汇|欠|买|刷|赚|赔|亏|补|退|入)(?:[了过给走掉]|出来?|进来?)*|消费了?|收(?:取|了|费)"
    r"|(?:paid|pay|spent|transfer(?:red)?|withdrew|withdraw|deposit(?:ed)?|charged|owe|costs?|balance(?: is| of)?|limit(?: is| of)?"
    r"|amount(?: is| of)?|from|about))\s*$",
    re.IGNORECASE,
)
"""Right before a number: it is an amount."""
HOTLINE = re.compile(
    r"9[56]\d{3,4}|[48]00\d{7}|11[0-9]|12[0-9]|10[0-9]|119|911|999|123\d{2}|100(?:10|86|00|99|01|50)|100\d{2}|118\d{2,3}"
    r"|1069\d*|106\d{1,3}"
)
"""Numbers everybody may know: banks' and services' hotlines, emergency numbers, senders of bulk messages."""
PREFIX_ONLY = re.compile(r"\s*(?:开头|打头|开始的|字头)")
"""After a number: it is how many numbers begin."""
CORRECTION = re.compile(
    r"[\s，,。、.…\-—]*(?:啊|哦|呃|嗯|噢)?[\s，,]*(?:不对|不是|说错了?|错了|等一下|等等|等下|搞错了?|念错了?|重来|记错了?|no|wait|sorry"
    r"|scratch that|correction|actually|I mean|let me)",
    re.IGNORECASE,
)
"""After a number: it was wrong, and the right one follows."""
