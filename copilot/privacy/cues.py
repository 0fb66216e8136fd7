"""The words that announce personal information, in both languages. Data, no logic."""

from __future__ import annotations

import re
from typing import Literal

PiiType = Literal["卡号", "尾号", "手机号", "身份证", "姓名", "地址", "邮箱", "验证码", "密码", "客户号"]
PII_TYPES: tuple[PiiType, ...] = ("卡号", "尾号", "手机号", "身份证", "姓名", "地址", "邮箱", "验证码", "密码", "客户号")

NUMBER_CUES: tuple[tuple[PiiType, int, str], ...] = (
    # type, fewest digits, pattern; where several match, the one nearest to the digits decides
    ("尾号", 3, r"尾号|[后末]\s*(?:[三四六346])\s*[位码]|ending (?:in|with)|last (?:three|four|six|3|4|6)(?: digits| numbers)?"),
    ("卡号", 4, r"卡号|账号|帐号|账户号|银行卡|储蓄卡号|信用卡号|card (?:number|no\.?)|account (?:number|no\.?)"),
    ("手机号", 4, r"手机号码?|电话号码?|联系方式|联系电话|预留(?:的)?(?:手机|电话)|号码|(?:phone|mobile|cell|contact)(?: number| no\.?)"),
    (
        "验证码",
        3,
        r"验证码|校验码|动态码|动态密码|动态口令|安全码|CVV2?|CVC2?|OTP|(?:verification|security|one[- ]time) (?:code|number|password)",
    ),
    ("密码", 4, r"密码|口令|password|passcode|PIN(?: code| number)?"),
    ("身份证", 4, r"身份证(?:号码?|件)?|证件号码?|(?:ID|identity)(?: card)? (?:number|no\.?)|passport (?:number|no\.?)"),
)
NEAR_ONLY: tuple[tuple[PiiType, int, str], ...] = (
    # words that announce a number only when it follows at once (手机银行, 打电话)
    ("手机号", 7, r"手机|电话|(?:phone|mobile|call me (?:at|on))"),
)

CONNECTORS = re.compile(
    r"(?:[\s:：,，、.\-—]|是|为|就是|呢|啊|嗯|呃|的|吧|应该|号|码|分别|我的|您的|请记一下|你记一下|您记一下"
    r"|is|was|it's|it is|number|are|the|uh|um)*",
    re.IGNORECASE,
)
"""Between a cue and its number, at no cost."""
REACH = 12
"""A strong cue also reaches over this many other characters of the same sentence."""
SENTENCE_END = frozenset("。！？；!?;\n")

UNIT = re.compile(
    r"\s*(?:元|块|角|毛|万|千|百|亿|年|月|日|号(?!码)|天|个|次|笔|分钟|分|秒|点|小时|周|岁|折|倍|期|成|张|位|人|%|％|‰|美元|港币|欧元|人民币"
    r"|yuan|rmb|cny|usd|dollars?|percent|years?|months?|days?|hours?|minutes?|times|points|instal)",
    re.IGNORECASE,
)
"""After a number: it counts something."""
CURRENCY = re.compile(r"(?:[¥￥$€£]|rmb|cny|usd|hkd|人民币|金额|余额|限额|额度|积分)\s*$", re.IGNORECASE)
"""Before a number: it is an amount."""
HOTLINE = re.compile(r"9[56]\d{3,4}|[48]00\d{7}|1[012]\d{1,3}|123\d{2}|100\d{2,3}|118\d{2,3}")
"""Numbers everybody may know: banks' and services' hotlines, emergency numbers."""

SURNAMES = frozenset(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎"
    "贺顾毛郝龚邵万钱严覃武戴莫孔向汤温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时穆农司卓古吉缪简车项连芦麦褚娄窦戚岑景党宫费卜冷晏席卫米柏宗瞿桂全佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩明佘池查麻苑迟邝"
)
COMPOUND_SURNAMES = ("欧阳", "司马", "上官", "诸葛", "东方", "皇甫", "尉迟", "公孙", "慕容", "令狐", "司徒", "夏侯", "南宫", "端木")
NOT_IN_NAMES = frozenset(
    "的是了在和想要吗呢啊吧我你您他她它那这哪先女尾卡身手电号码有没不也就都还给请帮把被从到对很什怎为个位，。！？、；：,.!?;: 　"
)
"""Characters that end a name when they follow it."""
TITLES = r"先生|女士|小姐|太太|老师|阿姨|大哥|大姐"

NAME_ASKED = re.compile(
    r"(?:贵姓|怎么称呼|如何称呼|(?:您的|持卡人)?(?:姓名|名字)(?:是|叫)?(?:什么)?)[吗呢啊吧？?。]*$|your (?:full )?name[?.]*$", re.IGNORECASE
)
"""At the end of a sentence: the answer will be a name."""

REQUEST = re.compile(
    r"请|麻烦|报|提供|告诉|说一下|念|核[对实]|验证一下|输入|多少|什么|几位|[吗呢]|[?？]|\b(?:please|could|can|may|what|tell|give|confirm|provide|verify)\b",
    re.IGNORECASE,
)
"""A line that asks for something."""
