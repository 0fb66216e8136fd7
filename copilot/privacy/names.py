"""Chinese names in a line: after words that announce them, before titles, as answers, and spelled aloud. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import rjieba

from copilot.privacy.homophones import sounding
from copilot.privacy.spans import Kind, Span, free
from copilot.privacy.surnames import (
    COMPOUND_SURNAMES,
    GIVEN,
    NOT_IN_NAMES,
    NOT_NAMES,
    SPELLED,
    SURE_ENOUGH,
    SURNAMES,
    TITLES,
    WEAK_SURNAMES,
)

_HAN = r"[\u4e00-\u9fff]"
_COPULAS = frozenset("是识事式试市给帮替写")
_CALLS = frozenset("叫较教角觉")
_STRONG = SURNAMES - WEAK_SURNAMES
_JIAO = "[叫较教角觉]"
_ROLE = (
    r"女儿|儿子|孩子|小孩|老公|老婆|丈夫|妻子|爱人|先生|太太|媳妇|爸爸?|妈妈?|父亲|母亲|老爸|老妈|哥哥?|姐姐?|弟弟?|妹妹?|爷爷|奶奶"
    r"|外公|外婆|姥姥|姥爷|岳父|岳母|婆婆|公公|女婿|儿媳妇?|孙子|孙女|外孙|侄子|侄女|外甥|表[哥姐弟妹]|堂[哥姐弟妹]|嫂子|姐夫|妹夫|舅舅"
    r"|姑姑|叔叔|阿姨|小姨|同事|朋友|男朋友|女朋友|对象|闺蜜|同学|室友|领导|经理|主管|主任|出纳|会计|财务|老板|合伙人|员工|学生|家长"
    r"|租客|房东|亲戚|邻居|客户|法人|股东|助理|司机|师傅|律师|医生|老师|前夫|前妻|战友|老乡|徒弟|老人|保姆|柜员|专员|坐席|骗子"
)
_CUE = re.compile(
    rf"我的名字(?:是|{_JIAO})|[我俺](?:本人)?{_JIAO}(?:做)?|本人{_JIAO}|[他她您你人](?:的名字)?{_JIAO}(?:做)?|名字?{_JIAO}(?:做)?"
    rf"|(?<!用户){sounding('姓名')}(?:是|{_JIAO}|为|[:：])?|(?<!用)户名(?:是|{_JIAO}|为|[:：])"
    rf"|持卡人(?:姓名)?(?:是|{_JIAO}|[:：])|(?:收件|收款|联系|经办|代收|代办|被?保险|投保|受益|担保|借款|汇款"
    rf"|户)人(?:还)?(?:姓名)?(?:是|{_JIAO}|为|写|填|[:：])|名字(?:就)?(?:是|写|为|改成|填)?|写我?(?:的)?名字"
    rf"|抬头(?:就)?(?:是|写|开)|自称(?:是|{_JIAO})?|(?:{_ROLE}){_JIAO}(?:做)?|叫做|有个{_JIAO}|户主(?:是|{_JIAO})|本名|大名|全名(?:是"
    rf"|{_JIAO})?"
)
"""What announces a name for certain."""
_SAYS = re.compile(
    r"[我他她][和跟与]|(?:我|您|你|他|她|这边|这里|对面|那边|本人)?(?:就|还|也|都)?(?<![可但要总只于凡倒算若])(?:不是|是不是"
    r"|是)(?:叫)?(?:本人)?|认识|找(?:一下)?|联系(?:一下)?|转给|汇给|打给|寄给|交给|发给|付给|借给|名下是|写的?是?|(?<![呼尖])叫"
    rf"|(?:帮|替|给)(?:我)?|(?:收件|收款|联系|经办|代收|代办|被?保险|投保|受益|担保|借款|汇款|持卡|户)人|户名|户主|本人"
    rf"|(?:(?:我|他|她|您)(?:的|们|家|们家)?)?(?:{_ROLE})(?:是|姓)?[，,\s]*"
)
"""What often stands before a name, and as often before other words."""
_ALONE = re.compile(
    r"(?:^|(?<=[，,。.\s、；;：:！!？?]))(?:嗯|呃|啊|哦|对|好|喂|是的?|行)*[，,\s]*(?:我[和跟与是]|[他她]是|我们|另一个|一个|本人|我|他"
    r"|她|给|和|跟|替|帮)?"
)
"""Where a name may begin that nothing announces."""
_SURNAME_CUE = re.compile(
    r"(?:免[贵鬼桂归龟柜跪]?[姓性幸]?(?<!免)|[我他她您你][姓性幸]|本人姓|客户姓|(?:^|(?<=[，,。.\s]))(?:是)?姓|姓氏是|都姓|也姓"
    r"|是姓)[，,\s]*"
)
_TITLE = re.compile(TITLES)
_CALLED = re.compile(r"[我您你他她](?:叫|是|的名字是|的名字叫)|本人(?:叫|是)|姓名(?:是|叫|为)?|名字(?:是|叫)?|叫|是")
_DIGITS = frozenset("零一二三四五六七八九幺两")
_AFTER = re.compile(
    r"[跟和同向问让请由被替与]|叫我|喊我|查到|核对|查询|登记的?是?|记录的?是?|显示的?是?|预留的?是?|原来是|客户|储户|用户|寄件人"
    r"|(?<!还)有(?:个|位)"
)
"""Before a name, and before everything else: all of the given name must be usual."""
_GREETED = re.compile(rf"(?:^|(?<=[，,。.\s好]))(?P<name>{_HAN}{{2,4}}?)(?=[，,\s]?(?:您好|你好))")
_CLAUSE = re.compile(rf"(?:^|(?<=[，,。.\s；;：:！!？?]))(?P<name>{_HAN}{{2,3}})(?=[，,\s]*[0-9零一二三四五六七八九幺]|[，,]|$)")
_DOTTED = re.compile(rf"{_HAN}{{1,8}}(?:[·•]{_HAN}{{1,8}})+")
_BOUNDARY = re.compile(
    r"$|[^\u4e00-\u9fff]|[零一二三四五六七八九幺两]|的|[吗吧啊呀呢嘛哦了]|女士|先生|小姐|手[机鸡]|[手首守收][机鸡]|电[话画]|身[份分]"
    r"|[证正]件|[卡咖]|[尾伟]号"
    r"|[他她您你我这那]|也|都|和|跟|想|要|住|在|来|是|说|打|给|查|办|申请|本人|可以|对|没|不|已|尊|帐|账|户|地址|今|昨|号"
)
_EXPLAINED = re.compile(rf"(?P<word>{_HAN}{{2,4}})的(?P<char>{_HAN})(?!{_HAN})")
_BY_PART = re.compile(
    rf"(?:{_HAN}字[旁头底]|[三两]点水|单人旁?|双人旁?|单耳旁?|双耳旁?|提手旁?|绞丝旁?|宝盖头?|草字头|竹字头|木字旁|王字旁|金字旁)(?:的"
    rf"|加(?:一?个)?|一个)?{_HAN}(?!{_HAN}{{2}})"
)
_NICK = re.compile(r"(?<![大中从幼最很太越还不养])[小老](?P<name>[\u4e00-\u9fff])(?=$|[，,。.！？]|[就说来帮给跟那这]|师傅|他|她)")
_SPELLED = re.compile("|".join(sorted((spelled for spelled in SPELLED if len(spelled) > 2), key=len, reverse=True)))
_SPELLED_OF = re.compile(
    rf"(?<!{_HAN})(?:(?:就|还)?是|免贵|姓)?(?P<value>{_HAN}{{2,3}}(?P<last>{_HAN}))(?=$|[^\u4e00-\u9fff]|[吗吧啊呢]|的|先生|女士|对)"
)
_ASIDE = re.compile(
    r"[，,。.！!？?\s、]|嗯|呃|啊|哦|噢|呀|是的?|对的?|好的?|吧|我|叫|姓|就|全名|名字|本人|他|她|哎|诶|那|您好|你好|的|呢|嘛"
)
_PLACES = re.compile(r"[路街道区市县镇乡村省州店行司厂城港湾山桥站楼园院校局所部族馆寺庙线号湖河江岛洲]")


def chinese_names(text: str, waiting: Sequence[Kind], taken: list[Span], known: Sequence[str] = ()) -> list[Span]:
    """Names in ``text`` outside the spans ``taken``. ``known``: names of this call, which explain a surname spelled aloud."""
    found: list[Span] = []

    def add(start: int, end: int, confidence: float) -> None:
        if end > start and free(start, end, taken) and free(start, end, found):
            found.append(Span(start, end, "姓名", text[start:end], confidence))

    candidates = list(_candidates(text, "姓名" in waiting))
    for start, end in _spelled(text, "姓名" in waiting or bool(candidates)):
        add(start, end, 0.8)
    for start, end, confidence in candidates:
        add(start, end, confidence)
    surnames = {name[0] for name in [*known, *(span.value for span in found)] if name}
    for match in _SPELLED_OF.finditer(text):
        if match["last"] in surnames and match["last"] in SURNAMES and all(map(_can_be, match["value"][:-1])):
            add(match.start("value"), match.end("value"), 0.7)
    return found


def _candidates(text: str, waiting: bool) -> Iterator[tuple[int, int, float]]:
    for match in _DOTTED.finditer(text):
        cue = max((found.end() for found in _CALLED.finditer(text, match.start(), match.end())), default=match.start())
        yield cue, match.end(), 0.85
    for match in _CUE.finditer(text):
        start = _after_pause(text, match.end())
        size = _length(text, start, sure=True, free_surname=match.group()[-1:] in _CALLS) or _misheard(text, start)
        if size:
            yield start, start + size, 0.9
    starts = _word_starts(text)
    yield from _usual(text, starts)
    yield from _familiar(text)
    yield from _titled(text, starts)
    for match in _SURNAME_CUE.finditer(text):
        size = _length(text, match.end(), sure=True) or _surname(text, match.end())
        if size:
            yield match.end(), match.end() + size, 0.9
    for match in _SAYS.finditer(text):
        size = _length(text, match.end(), sure=False, likely=True)
        if not size and text[match.end() - 1 : match.end()] not in _COPULAS:
            size = _misheard(text, match.end())
        if size:
            yield match.end(), match.end() + size, 0.75
    for match in _ALONE.finditer(text):
        named = bool(match.group().strip("，, 嗯呃啊哦对好喂是的行"))
        if named or waiting:
            size = _length(text, match.end(), sure=False, likely=waiting) or (_misheard(text, match.end()) if waiting else 0)
            if size:
                yield match.end(), match.end() + size, 0.7
    for match in _AFTER.finditer(text):
        size = _length(text, match.end(), sure=False)
        surname = _surname(text, match.end())
        if size and GIVEN.issuperset(text[match.end() + surname : match.end() + size]):
            yield match.end(), match.end() + size, 0.65
    for pattern in (_GREETED, _CLAUSE):
        for match in pattern.finditer(text):
            name = match["name"]
            surname = 2 if name[:2] in COMPOUND_SURNAMES else int(name[0] in _STRONG)
            given = name[surname:]
            if (
                surname
                and 1 <= len(given) <= 2
                and GIVEN.issuperset(given)
                and name[:2] not in NOT_NAMES
                and _no_word(name, surname, False)
            ):
                yield match.start("name"), match.end("name"), 0.6
    if waiting:
        yield from _bare(text)


def _after_pause(text: str, at: int) -> int:
    while text[at : at + 1] in {"，", ",", " ", "：", ":"} and at < len(text):
        at += 1
    return at


def _surname(text: str, start: int) -> int:
    if text[start : start + 2] in COMPOUND_SURNAMES:
        return 2
    return 1 if text[start : start + 1] in SURNAMES else 0


def _length(text: str, start: int, *, sure: bool, likely: bool = False, free_surname: bool = False) -> int:
    """How many characters from ``start`` are a name; 0 if none is there.

    ``sure``: something announced a name. Else what follows the name must end it, and no word of the language may begin here.
    """
    surname = _surname(text, start)
    if not surname and not (sure and free_surname):
        return 0
    if text[start : start + 2] in NOT_NAMES:
        return 0
    longest = surname + 2 if surname else 3
    sizes = [
        size for size in range(longest, max(surname, 1), -1) if all(map(_can_be, text[start : start + size])) and start + size <= len(text)
    ]
    for size in sizes:
        if _ends(text, start + size) and (sure or _no_word(text[start : start + size], surname, likely)):
            return size
    if not sure or not surname or _word(text, start, surname):
        return 0 if not (sure and free_surname and sizes and _ends(text, start + sizes[0])) else sizes[0]
    return sizes[0] if sizes else 0


def _misheard(text: str, start: int) -> int:
    """The length of a name whose surname was written as another character: two usual characters behind one that begins no word."""
    name = text[start : start + 3]
    if len(name) < 3 or name[:1] in SURNAMES or not all(map(_can_be, name)) or not GIVEN.issuperset(name[1:]) or not _ends(text, start + 3):
        return 0
    return 3 if len(rjieba.cut(name, False)[0]) == 1 else 0


def _ends(text: str, at: int) -> bool:
    if text[at - 1 : at] in _DIGITS and text[at : at + 1] in _DIGITS:
        return False  # 陈敏一三八…: the number begins before
    return text[at : at + 1] in NOT_IN_NAMES or _BOUNDARY.match(text, at) is not None


def _can_be(char: str) -> bool:
    return "\u4e00" <= char <= "\u9fff" and char not in NOT_IN_NAMES


def _word(text: str, start: int, surname: int) -> bool:
    """Whether the language has a word that begins with the surname here and is no name."""
    first, tag = rjieba.tag(text[start : start + 4], False)[0]
    return len(first) > surname and not tag.startswith("nr") and first not in COMPOUND_SURNAMES


def _no_word(name: str, surname: int, likely: bool) -> bool:
    tags = rjieba.tag(name, False)
    first, tag = tags[0]
    if len(first) > surname and not tag.startswith("nr"):
        # 王子/涵: where a name is likely, a word of usual characters may be one.
        return likely and GIVEN.issuperset(name[surname:]) and (name[0] not in WEAK_SURNAMES or name[0] in SURE_ENOUGH)
    rest = tags[1:]
    usual = sum(char in GIVEN for char in name[surname:])
    if (
        name[0] in WEAK_SURNAMES
        and usual < len(name) - surname
        and not (likely and usual and len(name) > surname + 1 and name[0] in SURE_ENOUGH)
    ):
        return False
    # 高/先进, 钱/都: an adverb is no given name, an adjective (浩然) only where a name is likely; 建国 and 立冬 (verb, day) are.
    never = {"d", "c", "p", "r", "m", "f"} if likely else {"a", "d", "c", "p", "r", "m", "f"}
    return not (len(rest) == 1 and len(rest[0][0]) == 2 and rest[0][1] in never) and len(name) > surname


def _word_starts(text: str) -> set[int]:
    starts, at = set(), 0
    for word in rjieba.cut(text, False):
        starts.add(at)
        at += len(word)
    return starts


def _titled(text: str, starts: set[int]) -> Iterator[tuple[int, int, float]]:
    # 您是王小明先生 → 王小明; 王先生 → 王; 这位先生 → nothing.
    for title in _TITLE.finditer(text):
        end = title.start()
        for begin in range(max(0, end - 4), end):
            size = _surname(text, begin)
            given = text[begin + size : end]
            if (
                size
                and begin in starts
                and len(given) <= 2
                and all(map(_can_be, given))
                and (not given or (text[begin : begin + 2] not in NOT_NAMES and not _word(text, begin, size)))
            ):
                yield begin, end, 0.9
                break


def _familiar(text: str) -> Iterator[tuple[int, int, float]]:
    for match in _NICK.finditer(text):
        if match["name"] in _STRONG and match["name"] != "赖":
            yield match.start("name") - 1, match.end("name"), 0.65


def _usual(text: str, starts: set[int]) -> Iterator[tuple[int, int, float]]:
    """A common surname and two characters of given names, wherever they stand: 刚才那个唐海燕."""
    for start in starts:
        surname = 2 if text[start : start + 2] in COMPOUND_SURNAMES else 1 if text[start : start + 1] in _STRONG else 0
        end = start + surname + 2
        given = text[start + surname : end]
        if not surname or len(given) < 2 or not GIVEN.issuperset(given) or text[start : start + 2] in NOT_NAMES:
            continue
        if _no_word(text[start:end], surname, likely=True) and not _PLACES.match(text, end) and (_ends(text, end) or end in starts):
            yield start, end, 0.65


def _bare(text: str) -> Iterator[tuple[int, int, float]]:
    """A line that is an answer to "what is your name" and nothing else."""
    core = _ASIDE.sub("", text)
    start = text.find(core)
    if not core or start < 0:
        return
    size = _surname(core, 0)
    if size and len(core) <= size + 2 and all(map(_can_be, core[size:])) and core[:2] not in NOT_NAMES:
        yield start, start + len(core), 0.8
    elif 3 <= len(core) <= 4 and core[-1] in SURNAMES and all(map(_can_be, core[:-1])):
        yield start, start + len(core), 0.6  # 双木林


def _spelled(text: str, named: bool) -> Iterator[tuple[int, int]]:
    """弓长张, 木字旁的林, 伟大的伟: how a name is written."""
    for match in _SPELLED.finditer(text):
        yield match.start(), match.end()
    if named:
        for match in _BY_PART.finditer(text):
            yield match.start(), match.end()
        for match in _EXPLAINED.finditer(text):
            if match["char"] in match["word"]:
                yield match.start(), match.end()
