"""Chinese names in a line: after words that announce them, before titles, as answers, and spelled aloud. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import rjieba

from copilot.privacy.homophones import sounding
from copilot.privacy.spans import Kind, Span, free
from copilot.privacy.surnames import COMPOUND_SURNAMES, NOT_IN_NAMES, NOT_NAMES, SPELLED, SURNAMES, TITLES

_HAN = r"[\u4e00-\u9fff]"
_JIAO = "[叫较]"
_CUE = re.compile(
    rf"我的名字(?:是|{_JIAO})|[我俺](?:本人)?{_JIAO}(?:做)?|本人{_JIAO}?|[他她您你人](?:的名字)?{_JIAO}(?:做)?|名字?{_JIAO}(?:做)?"
    rf"|(?<!用户){sounding('姓名')}(?:是|{_JIAO}|为|[:：])?"
    rf"|(?<!用)户名(?:是|{_JIAO}|为|[:：])?|持卡人(?:姓名)?(?:是|{_JIAO}|[:：])?|(?:收件|收款|联系|经办|代收|代办|被保险|受益|担保"
    rf"|户)人(?:还)?(?:姓名)?(?:是|{_JIAO}|为|写|[:：])?"
    rf"|名字(?:就)?(?:是|写|为|改成|填)?|写我?(?:的)?名字|抬头(?:就)?(?:是|写|开)|自称(?:是|{_JIAO})?|(?:孩子|小孩|儿子|女儿){_JIAO}"
    rf"|叫做|户主(?:是|{_JIAO})?|本名"
)
"""What announces a name for certain."""
_SAYS = re.compile(
    r"[我他她][和跟与]|(?:我|您|你|他|她|这边|这里|对面|那边)?(?:就|还|也|都|不|可)?是(?:不是)?(?:叫)?(?:本人)?|认识|找(?:一下)?"
    r"|联系(?:一下)?"
    r"|(?:(?:我|他|她|您)(?:的|们)?)?(?:女儿|儿子|孩子|小孩|老公|老婆|丈夫|妻子|爱人|先生|太太|媳妇|爸爸?|妈妈?|父亲|母亲|哥哥?|姐姐?"
    r"|弟弟?|妹妹?|同事|朋友|同学|领导|经理|主管|出纳|会计|老板|房东|室友"
    r"|亲戚|舅舅|姑姑|叔叔|邻居|客户|法人|股东|助理|司机|师傅|律师|医生|老师)(?:是|叫|姓)?[，,\s]*"
)
"""What often stands before a name, and as often before other words."""
_ALONE = re.compile(
    r"(?:^|(?<=[，,。.\s、；;：:！!？?]))(?:嗯|呃|啊|哦|对|好|喂|是的?|行)*[，,\s]*(?:我[和跟与是]|[他她]是|我们|另一个|一个|本人|我|他"
    r"|她|给|和|跟|替|帮)?"
)
"""Where a name may begin that nothing announces."""
_SURNAME_CUE = re.compile(r"(?:免贵(?:姓)?|[我他她您你]姓|本人姓|客户姓|(?:^|(?<=[，,。.\s]))(?:是)?姓|姓氏是|都姓|也姓)[，,\s]*")
_TITLED = re.compile(rf"(?={_HAN}{{0,4}}?(?:{TITLES}))")
_TITLE = re.compile(TITLES)
_CALLED = re.compile(r"[我您你他她](?:叫|是|的名字是|的名字叫)|本人(?:叫|是)|姓名(?:是|叫|为)?|名字(?:是|叫)?|叫|是")
_DOTTED = re.compile(rf"{_HAN}{{1,8}}(?:[·•]{_HAN}{{1,8}})+")
_BOUNDARY = re.compile(
    r"$|[^\u4e00-\u9fff]|的|[吗吧啊呀呢嘛哦了]|女士|先生|小姐|手[机鸡]|[手首守收][机鸡]|电[话画]|身[份分]|[证正]件|[卡咖]|[尾伟]号"
    r"|[他她您你我这那]|也|都|和|跟|想|要|住|在|来|是|说|打|给|查|办|申请|本人|可以|对|没|不|已|尊|帐|账|户|地址|今|昨|号"
)
_EXPLAINED = re.compile(rf"(?P<word>{_HAN}{{2,4}})的(?P<char>{_HAN})(?!{_HAN})")
_BY_PART = re.compile(
    rf"(?:{_HAN}字[旁头底]|[三两]点水|单人旁?|双人旁?|单耳旁?|双耳旁?|提手旁?|绞丝旁?|宝盖头?|草字头|竹字头|木字旁|王字旁|金字旁)(?:的"
    rf"|加(?:一?个)?|一个)?{_HAN}(?!{_HAN}{{2}})"
)
_SPELLED = re.compile("|".join(sorted((spelled for spelled in SPELLED if len(spelled) > 2), key=len, reverse=True)))
_SPELLED_OF = re.compile(
    rf"(?<!{_HAN})(?:(?:就|还)?是|免贵|姓)?(?P<value>{_HAN}{{2,3}}(?P<last>{_HAN}))(?=$|[^\u4e00-\u9fff]|[吗吧啊呢]|的|先生|女士|对)"
)
_ASIDE = re.compile(
    r"[，,。.！!？?\s、]|嗯|呃|啊|哦|噢|呀|是的?|对的?|好的?|吧|我|叫|姓|就|全名|名字|本人|他|她|哎|诶|那|您好|你好|的|呢|嘛"
)
_NO_NAME_TAGS = frozenset({"d", "v", "p", "c", "r", "m", "u", "uj", "ul", "y", "vn", "a", "ad", "t", "l", "i"})


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
        size = _length(text, start, sure=True, free_surname=match.group()[-1:] in {"叫", "较"})
        if size:
            yield start, start + size, 0.9
    starts = _word_starts(text)
    yield from _titled(text, starts)
    for match in _SURNAME_CUE.finditer(text):
        size = _length(text, match.end(), sure=True) or _surname(text, match.end())
        if size:
            yield match.end(), match.end() + size, 0.9
    for match in _SAYS.finditer(text):
        size = _length(text, match.end(), sure=False, likely=True)
        if size:
            yield match.end(), match.end() + size, 0.75
    for match in _ALONE.finditer(text):
        named = bool(match.group().strip("，, 嗯呃啊哦对好喂是的行"))
        if named or waiting:
            size = _length(text, match.end(), sure=False, likely=waiting)
            if size:
                yield match.end(), match.end() + size, 0.7
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


def _ends(text: str, at: int) -> bool:
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
        return False
    rest = tags[1:]
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


def _bare(text: str) -> Iterator[tuple[int, int, float]]:
    """A line that is an answer to "what is your name" and nothing else."""
    core = _ASIDE.sub("", text)
    start = text.find(core)
    if not core or start < 0:
        return
    size = _surname(core, 0)
    if size and len(core) <= size + 2 and all(map(_can_be, core[size:])) and core[:2] not in NOT_NAMES:
        yield start, start + len(core), 0.8


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
