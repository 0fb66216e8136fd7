"""Characters that a recogniser writes for others because they sound alike. Data and its lookup. Pure.

Taken from the pinyin (without tones) of the first level of GB 2312, 3755 common characters, not from any recogniser's errors. For digits
also ``shi`` for ``si`` (southern accents); left out are those that are units or scales themselves (十, 时, 室, 市, 亿 …).
"""

from __future__ import annotations

_SOUNDS = (
    "号好豪毫浩耗嚎郝", "卡咖喀", "尾伟委维为味位未微威围卫", "末莫抹默墨沫", "身深申伸神审甚", "份分纷芬粉", "证正政整征争症挣",
    "件见建健减检简间", "手首守收", "机鸡基及级急激击", "电点店典垫", "话画化划华花", "验燕严烟言研演沿", "码吗马妈嘛", "密蜜秘迷米",
    "账帐张仗涨章", "户护互沪湖胡", "车扯彻", "牌排拍派", "照找招赵", "邮由油有又优", "箱向想相乡像", "姓性星兴型行形醒", "名明鸣铭命",
    "字自子", "后候厚吼", "前钱潜", "背被北贝备", "面棉免",
)  # fmt: skip
_ALIKE = {group[0]: group for group in _SOUNDS}

_DIGIT_SOUNDS = {
    "0": "玲菱龄铃伶羚凌灵陵岭领另林",
    "1": "邀腰妖摇尧遥窑谣姚咬药要耀",
    "2": "而儿耳尔",
    "3": "伞散山删衫闪",
    "4": "斯撕嘶思私司丝死肆寺饲似是石师失诗式试使始世史",
    "5": "巫乌污屋无吾吴武午舞误务雾悟物",
    "6": "溜流留刘榴柳",
    "7": "期七欺栖戚妻漆其棋奇齐旗骑起启气汽器",
    "8": "芭扒叭吧疤巴拔把爸罢",
    "9": "揪究纠久灸酒救旧舅就",
}
DIGITS_BY_SOUND = {char: digit for digit, chars in _DIGIT_SOUNDS.items() for char in chars if char != "七"}
"""A character that may be a misheard digit, when digits stand around it."""
EVERYDAY = frozenset("要是就把吧起其为使始试领另失刘林武石史师齐戚柳")
"""Of these, those that are words of every sentence, or surnames: they need a digit at once on either side."""
FUNCTION_WORDS = frozenset("要是就把")
"""Of these, those that a number often follows."""
ENGLISH = {
    "for": "4", "fore": "4", "to": "2", "too": "2", "tu": "2", "won": "1", "wan": "1", "ate": "8", "sicks": "6", "sex": "6", "tree": "3",
    "free": "3", "fife": "5", "hive": "5", "nein": "9", "niner": "9", "knight": "9", "owe": "0", "o": "0", "zeroes": "0",
}  # fmt: skip
ENGLISH_EVERYDAY = frozenset({"for", "fore", "to", "too", "free", "tree", "hive", "owe", "o"})


def sounding(word: str) -> str:
    """The pattern of ``word`` and of whatever sounds like it: 卡号 → ``[卡咖喀][号好…]``."""
    return "".join(f"[{_ALIKE[char]}]" if char in _ALIKE else char for char in word)
