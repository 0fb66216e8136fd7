"""Chinese addresses of one home or office, and licence plates. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from copilot.privacy.cues import cues
from copilot.privacy.homophones import DIGITS_BY_SOUND, PROVINCES, sounding
from copilot.privacy.spans import Kind, Span, free

_HAN = r"[\u4e00-\u9fff]"
_NUM = r"[0-9０-９零〇一二三四五六七八九十百幺两A-Za-z]{1,6}"
_DOOR = r"(?:[号好浩]楼|号院|[号好浩]|弄|[栋东动冻]|[幢撞]|[座坐做]|[单胆担蛋][元圆原]|楼|层|室|房|户|门|组|队)"
_DOORS = rf"(?:(?:第)?{_NUM}{_DOOR}(?:之[0-9一二三四五])?[，,\s]*)+(?:[0-9０-９零〇一二三四五六七八九幺]{{2,5}}(?:室|房|号)?)?"
_PLACE = (
    r"(?:路|街|大道|道|胡同|巷|里弄|弄堂|小区|花园|新村|公寓|苑|园|村|湾|庄|城|广场|大厦|家园|府|庭|居|轩|阁|坊|寨|屯|院|社区|园区"
    r"|工业区|开发区|中心|国际|家属院|宿舍|楼盘|别墅|山庄|嘉园|名邸|雅居|半岛)"
    r"(?:[东西南北中]?[一二三四五六七八九十0-9]?[东西南北中]?[段侧区期口里街路])?"
)
_TAIL = re.compile(_DOORS)
_PLACE_END = re.compile(rf"{_PLACE}[，,\s]*$|(?:省|市|区|县|旗|镇|乡|街道)[，,\s]*$")
_AREA = re.compile(rf"{_HAN}{{1,10}}(?:省|市|区|县|旗|镇|乡|街道|{_PLACE})[，,\s]*$")
_ESTATE = re.compile(rf"[，,\s]*{_HAN}{{0,9}}")
_AREA_ONLY = re.compile(
    rf"(?:[嗯呃啊哦是在，,\s])*(?P<area>(?:{_HAN}{{2,8}}(?:省|自治区))?(?:{_HAN}{{2,8}}[市州盟])?{_HAN}{{1,8}}[区县旗镇乡])[，,。.\s]*"
)
_HEAD = re.compile(r"[\u4e00-\u9fffA-Za-z0-9·]+[，,\s]*$")
_STOP = re.compile(
    r"住在|从|由|住的是|住|位于|在|不是|还是|就是|是|寄到|寄往|寄|送到|送|搬到|搬去|改成|改为|改到|换成|换到|变成|为|到|地[址止]|填的?"
    r"|写的?"
    r"|登记的?|叫|发到|对|的|您|我|他|她|了|吗|呢|吧|啊|嗯|呃|那|请|家里|家在|公司|单位|新家|老家|预留"
)
_ROOM = re.compile(r"[栋幢座楼室元][0-9０-９零〇一二三四五六七八九幺]{3,5}$")
_DAY = re.compile(r"^(?:三?[一二]?十?[一二三四五六七八九十]|[0-9]{1,2})号[，,\s]*$")
_WHEN = re.compile(r"之?[前后]|以[前后]|到|开始|那天|[上下]午|晚上|早上|生效|的?时候|左右|截止|当天|还款|出账|扣")
_BRANCH = re.compile(r"网点|支行|分行|营业[厅部]|柜台|窗口|门店|ATM|自助|本行|我行|总部|分理处")
_CUE = re.compile(
    r"(?:(?:家庭|收货|寄卡|账单|邮寄|联系|单位|公司|居住|户籍|登记|通讯|新|现在)?(?:住[址止]|地[址止])(?:是|为|在|改成|改为|[:：])"
    r"|(?:我|他|她|现在|目前)?(?:家)?住(?:在|的是)?|寄到|搬到|搬去|送到)[，,\s]*"
)
_WHICH = re.compile(r"哪|什么|几|那个|这个|[这那]边")
_CUE_TAIL = re.compile(rf"[^。！？；!?;\n，,]{{0,30}}?(?:{_DOORS}|{_HAN}[村镇乡]|小区|花园|公寓|新村|家园|宿舍)(?:{_DOORS})?")

_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使领"
_SPOKEN = "0-9０-９零〇一二三四五六七八九幺"
_SOUND = "".join(DIGITS_BY_SOUND)
_PLATE = re.compile(
    rf"[{_PROVINCES}]\s?[A-Za-z][·•.\-\s，,]{{0,2}}(?:[A-Za-z{_SPOKEN}]\s?){{4,5}}[A-Za-z{_SPOKEN}学警挂港澳领使](?![{_SPOKEN}])"
)
_HEARD_PLATE = re.compile(rf"[{PROVINCES}][A-Z][·•.\-]?(?=[A-Z]*[{_SPOKEN}])[A-Z{_SPOKEN}]{{5,6}}(?![A-Za-z{_SPOKEN}])")
_BRITISH_PLATE = re.compile(r"\b[A-Z]{2}\d{2}\s?[A-Z]{3}\b")
_LOOSE_PLATE = re.compile(rf"{_HAN}?[A-Za-z][·•.\-\s]{{0,2}}(?:[A-Za-z{_SPOKEN}{_SOUND}]\s?){{4,6}}(?![A-Za-z{_SPOKEN}])")
_PLATE_CUE = re.compile(
    rf"{sounding('车牌')}(?:{sounding('号')}{sounding('码')}?)?|{sounding('车')}号|plates?|played|plait|registration|vehicle number"
    r"|car number|licen[sc]e number|\breg\b|\btags?\b|licen[sc]e (?:tag"
    r"|plate)|reg number|number plate",
    re.IGNORECASE,
)
_CAR = re.compile(
    (
        r"\b(?:cars?|vehicles?|van|truck|motor(?:bike|cycle)|park(?:ing|ed)?|garage|toll|drive)\b|车贷|车险|[我他她的]车|停车|车位|开车"
        r"|过户|ETC|etc|车主"
    ),
    re.IGNORECASE,
)
_ENGLISH_PLATE = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:(?:double |triple )?[A-Z0-9]{1,7}(?: (?:as in|for|like) [A-Z][a-z]+)?|(?:double |triple )?(?:zero|oh|one"
    r"|two|three|four|five|six|seven|eight|nine))(?:[\s-]{1,2}"
    r"|(?![A-Za-z0-9]))){1,9}"
)


def asks_for_plate(text: str) -> bool:
    """Whether the line speaks of a licence plate, or of a car."""
    return _PLATE_CUE.search(text) is not None or _CAR.search(text) is not None


def plates(text: str, waiting: Sequence[Kind], taken: list[Span]) -> list[Span]:
    """Licence plates outside the spans ``taken``."""
    found: list[Span] = []
    places = [match.span() for pattern in (_PLATE, _HEARD_PLATE, _BRITISH_PLATE) for match in pattern.finditer(text)]
    cue = max((match.end() for match in _PLATE_CUE.finditer(text)), default=None)
    if cue is not None or "车牌" in waiting:
        start = cue or 0
        others = [other.end for other in cues(text) if other.kind == "编号"]
        places += [match.span() for match in _LOOSE_PLATE.finditer(text, start) if _mixed(match.group())]
        places += [
            match.span()
            for match in _ENGLISH_PLATE.finditer(text, start)
            if _mixed(match.group()) and match.group()[:1].isupper() and not any(0 <= match.start() - end <= 8 for end in others)
        ]
    for start, end in sorted(places, key=lambda place: place[0] - place[1]):
        piece = text[start:end].rstrip(" -.·，,")
        if free(start, end, taken) and free(start, end, found):
            found.append(Span(start, start + len(piece), "车牌", re.sub(r"[\s·•.\-]", "", piece).upper(), 0.9))
    return found


def _mixed(piece: str) -> bool:
    """At least five signs, a letter and a digit among them."""
    spoken = re.findall(r"double|triple|zero|oh|one|two|three|four|five|six|seven|eight|nine", piece)
    signs = re.sub(r"[\s\-·•.]|[a-z]", "", piece)
    digit = bool(spoken) or re.search(rf"[{_SPOKEN}]", piece) is not None
    return digit and re.search(r"[A-Za-z]", signs) is not None and 5 <= len(signs) + len(spoken) <= 9


def addresses(text: str, waiting: Sequence[Kind], taken: list[Span]) -> list[Span]:
    """Chinese addresses outside the spans ``taken``: a place and its door, or what follows 住址, 寄到 … to its last door or estate."""
    found: list[Span] = []
    expected = "地址" in waiting

    def add(start: int, end: int, confidence: float) -> None:
        value = text[start:end].strip(" ，,")
        start += len(text[start:end]) - len(text[start:end].lstrip(" ，,"))
        if value and free(start, start + len(value), taken) and free(start, start + len(value), found):
            found.append(Span(start, start + len(value), "地址", value, confidence))

    for tail in _TAIL.finditer(text):
        start = _begin(text, tail.start())
        head = text[start : tail.start()]
        doors = len(re.findall(_DOOR, tail.group()))
        placed = _PLACE_END.search(head) is not None
        if doors == 1 and _DAY.search(tail.group()) and _WHEN.match(text, tail.end()):
            continue
        if _BRANCH.search(text[max(0, start - 8) : tail.start()]):
            continue
        before = found[-1] if found else None
        if before is not None and before.end <= tail.start() <= before.end + 10 and _ESTATE.fullmatch(text, before.end, tail.start()):
            # 文二西路七百一十二号 + 西溪乐谷三幢一单元
            found[-1] = Span(before.start, tail.end(), "地址", text[before.start : tail.end()], before.confidence)
        elif (
            placed
            or doors >= 3
            or (doors == 2 and (expected or _CUE.search(text, 0, start + 1)))
            or (expected and _ROOM.search(tail.group()))
        ):
            add(start if placed or expected else tail.start(), tail.end(), 0.8)
    for cue in _CUE.finditer(text):
        if cue.group().strip()[-1:] == "住" and text[cue.end() : cue.end() + 1] in {"院", "房", "宿", "处", "户", "址", "止"}:
            continue
        rest = _CUE_TAIL.match(text, cue.end())
        branch = _BRANCH.search(text, max(0, cue.start() - 8), cue.end()) is not None
        if rest is not None and rest.end() > cue.end() + 2 and not branch and not _WHICH.search(rest.group()):
            add(rest.start(), rest.end(), 0.75)
    if expected and not found:
        for match in re.finditer(rf"{_HAN}{{2,20}}(?:小区|花园|公寓|新村|家园|村|镇|乡|街道)(?=$|[，,。.])", text):
            add(_begin(text, match.end()), match.end(), 0.6)
        area = _AREA_ONLY.fullmatch(text)
        if area is not None:
            add(area.start("area"), area.end("area"), 0.6)
    return found


def _begin(text: str, end: int) -> int:
    """Where the address that goes on at ``end`` begins: behind the last word of grammar, over commas only if an area stands before them."""
    start = end
    while True:
        head = _HEAD.search(text, max(0, start - 40), start)
        if head is None or (start < end and not _AREA.search(text, max(0, start - 40), start)):
            return start
        begin = head.start()
        for stop in _STOP.finditer(text, begin, start):
            if stop.end() < start:
                begin = stop.end()
        if begin == start:
            return start
        if begin > head.start():
            return begin
        start = begin
        if text[start - 1 : start] not in {"，", ",", " "}:
            return start
