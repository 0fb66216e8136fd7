"""English names and addresses in a line. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from copilot.privacy.spans import Kind, Span, free

_STOP_TEXT = (
    "a an the i me my mine we us our you your he she his her it its this that these those they them their and or but so if is am are "
    "was were be been do does did have has had can could will would shall should may might must not no yes yeah yep ok okay sure "
    "right well now here there what when where which who why how to of in on at for from with by about as please thanks thank sorry "
    "hello hi hey um uh er just calling speaking customer service bank credit debit card account number phone mobile email mail "
    "address agent support sir madam ma'am interested trying looking having going getting still also very really good fine great "
    "happy afraid glad waiting ready new old back out up down over under again one two three four five six seven eight nine zero oh "
    "double triple not never on behalf call code pin password passport plate security name surname first last full middle spelled "
    "spell it's i'm that's monday tuesday wednesday thursday friday saturday sunday january february march april june july august "
    "september october november december today tomorrow yesterday chinese english you're we're they're you've i've i'll you'll don't "
    "didn't "
    "isn't verified great perfect lovely hesui visa mastercard app atm otp id lost stolen "
    "blocked locked wrong correct same different living working travelling abroad home"
)
_STOP = frozenset(_STOP_TEXT.split())
_THINGS_TEXT = (
    "hong kong new york los angeles san francisco apple pay google western union american express united kingdom states black friday "
    "golden "
    "week national day spring festival team union knowledge centre center limited ltd inc company street road avenue airport station hotel "
    "university school hospital express platinum gold classic premium wallet transfer payment insurance fund savings current loan mortgage "
    "macau macao taiwan beijing shanghai guangzhou shenzhen china japan london paris europe america asia internet mobile banking staff "
    "employee charges settlement operations marketing consumer protection chinese new year christmas eve labour"
)
_THINGS = frozenset(_THINGS_TEXT.split())
"""Words of names that are no person's."""
_WORD = r"[A-Za-z][A-Za-z'’.-]*[A-Za-z]|[A-Z]\.?"
_NAME = rf"(?P<value>(?:{_WORD})(?:[ ]+(?:{_WORD})){{0,3}})"
_ANNOUNCED = re.compile(
    r"(?<![A-Za-z])(?:(?:my|his|her|their|your|the|wife's|husband's|owner's|holder's|father's|mother's|maiden|full|last|first|family"
    r"|given|sur|middle|legal)\s*)*(?:sur)?names?(?:\s+(?:is|was|on (?:it|the \w+) is|would be|should be)|'s|[:]|是)?"
    r"|\b(?:i am|i'm|he is|she is|he's|she's|they're|am i)?\s*(?:called|named)|\b(?:card ?holder|account holder|beneficiary|payee"
    r"|recipient|holder|owner|signed|attention|attn)(?:'s)?(?: name)?(?: is|:)"
    r"|\b(?:speaking (?:with|to)|made out to|in the name of|goes by|call me|under the name(?: of)?|registered to|belongs to|addressed to"
    r"|listed as|spelled)",
    re.IGNORECASE,
)
_PERSON = re.compile(
    r"\b(?:i'm|i am|this is|it's|it is|here is|(?:my|his|her) (?:wife|husband|son|daughter|mother|father|brother|sister|colleague|boss"
    r"|friend|assistant|partner|neighbou?r|manager)(?:,| is)?"
    r"|(?:to|for|with|and|by|from|named|ask for|contact|not|manager|colleague|daughter|son|wife|husband|assistant|for a|is that|am i "
    r"speaking to|is this))\s+",
    re.IGNORECASE,
)
_PROPER = re.compile(r"[A-Z][a-z'’]+(?:[- ](?:[A-Z]\.? )?[A-Z][a-z'’]+)+")
_ONE_PROPER = re.compile(r"[A-Z][a-z'’]{2,}(?:-[A-Z][a-z]+)?")
_INTRODUCED = re.compile(r"(?<=this is )[A-Z][a-z'’]{2,}(?=\s*(?:[,.!?]|$|speaking|from|calling|here|again))")
_TITLE = re.compile(
    r"\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor|Sir|Madam)\b\.?\s+(?P<value>[A-Z][A-Za-z'’-]+(?: [A-Z][A-Za-z'’-]+)?)", re.IGNORECASE
)
_LETTERS = re.compile(
    r"(?<![A-Za-z])[A-Za-z](?:[\s,.-]+(?:as in \w+|for \w+)?[\s,.-]*(?:double\s+)?[A-Za-z](?![A-Za-z'’])){2,}(?:\s+(?:as in|for) \w+)?"
)
_ANSWER = re.compile(
    rf"(?:^|[,.;]\s*)(?:(?:yes|yeah|it'?s|sure|ok|okay|um|uh|that'?s|oh)[,\s]+)*{_NAME}(?=\s*(?:[,.;!?]|$))", re.IGNORECASE
)
_TOLD = re.compile(r"\b(?:the )?(?:name|holder)\b", re.IGNORECASE)

_STREET = (
    r"(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|boulevard|blvd|court|ct|close|crescent|place|pl|square|sq|terrace|way|walk|row"
    r"|gardens?|grove|hill|park|mews|parade|highway|hwy|parkway|circle|quay|gate|rise|view"
    r"|estate|mansions?|house|plaza|tower)"
)
_ONES = r"(?:one|two|three|four|five|six|seven|eight|nine|oh|zero)"
_TENS = (
    r"(?:ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty"
    r"|ninety|hundred|and|double)"
)
_NUMBER = rf"(?:\d{{1,5}}[A-Za-z]?|(?:{_TENS}|{_ONES})(?:[\s-]+(?:{_TENS}|{_ONES})){{0,4}})"
_UNIT_WORD = r"(?:apartment|apt|flat|unit|suite|room|floor|building|block|tower|house|number|no|#)"
_UNIT = rf"{_UNIT_WORD}\.?\s*#?(?:{_NUMBER}[A-Za-z]?|[A-Z]\b)"
_ADDRESS = re.compile(
    rf"\b(?:{_UNIT}[,\s]+){{0,2}}(?:number\s+)?{_NUMBER},?\s+(?:(?!{_TENS}\b|{_ONES}\b|yuan|dollars|days|hours|minutes"
    r"|percent)(?:[A-Za-z][A-Za-z'’]*|\d+(?:st|nd|rd"
    rf"|th))\s+){{1,4}}?{_STREET}\b(?:\s+{_STREET}\b)*\.?(?:(?:[,\s]+(?:and\s+)?)(?:{_UNIT}|{_NUMBER}(?=\s*(?:floor|$)))){{0,3}}",
    re.IGNORECASE,
)
_STREET_WORD = re.compile(rf"(?<![A-Za-z]){_STREET}(?![A-Za-z])", re.IGNORECASE)
_BOX = re.compile(rf"\bP\.?\s?O\.?\s+Box\s+{_NUMBER}", re.IGNORECASE)
_POSTCODE = re.compile(r"\b[A-Z]{1,2}\d[A-Z\d]?\s\d[A-Z]{2}\b")


def english_addresses(text: str, waiting: Sequence[Kind] = ()) -> list[Span]:
    """Addresses of one home or office."""
    found: list[Span] = []
    for pattern in (_ADDRESS, _BOX, _POSTCODE) if _STREET_WORD.search(text) else (_BOX, _POSTCODE):
        for match in pattern.finditer(text):
            value = match.group().rstrip(" ,.")
            if (
                free(match.start(), match.end(), found)
                and _is_place(value, waiting)
                and not re.match(r"(?:one|two|and) (?:of|more|other)\b", value, re.IGNORECASE)
            ):
                found.append(Span(match.start(), match.start() + len(value), "地址", value, 0.8))
    return found


def _is_place(value: str, waiting: Sequence[Kind]) -> bool:
    """No "three in a row": the street's name is no word of grammar, and is written as a name unless an address is waited for."""
    words = [
        word
        for word in re.findall(r"[A-Za-z'’]+", value)
        if not re.fullmatch(rf"{_TENS}|{_ONES}|{_STREET}|{_UNIT_WORD}", word, re.IGNORECASE)
    ]
    if any(word.lower() in _STOP for word in words):
        return False
    return not words or "地址" in waiting or any(word[0].isupper() for word in words)


def english_names(text: str, waiting: Sequence[Kind], taken: list[Span]) -> list[Span]:
    """Names outside the spans ``taken``."""
    found: list[Span] = []
    if not re.search(r"[A-Za-z]{2}|(?:[A-Za-z][ -]){2}", text):
        return []
    for start, end, confidence in _candidates(text, "姓名" in waiting):
        if end > start and free(start, end, taken) and free(start, end, found):
            found.append(Span(start, end, "姓名", text[start:end], confidence))
    return found


def _candidates(text: str, waiting: bool) -> Iterator[tuple[int, int, float]]:
    for match in _TITLE.finditer(text):
        yield match.start("value"), match.start("value") + _words(match["value"], 2, proper=not waiting), 0.9
    for match in _ANNOUNCED.finditer(text):
        start = match.end() + len(text[match.end() :]) - len(text[match.end() :].lstrip(" ,:是"))
        said = re.compile(_NAME).match(text, start)
        if said is not None and (start > match.end() or text[start - 1] == "是"):
            verb = re.search(r"names?(?: is| was|'s|是)$", match.group(), re.IGNORECASE) is not None
            yield start, start + _words(said["value"], 4, proper=not verb), 0.85
    for match in _PERSON.finditer(text):
        found = _PROPER.match(text, match.end()) or (_ONE_PROPER if waiting else _INTRODUCED).match(text, match.end())
        if found is not None:
            yield match.end(), match.end() + _words(found.group(), 4, proper=True), 0.75
    if waiting or _TOLD.search(text):
        for match in _LETTERS.finditer(text):
            yield match.start(), match.end(), 0.8
    if waiting:
        for match in _ANSWER.finditer(text):
            # In small letters only as all that is said.
            size = _words(match["value"], 4, proper=match.end() < len(text.rstrip(" .!?")) or match.start() > 0)
            if size == len(match["value"]):
                yield match.start("value"), match.end("value"), 0.7


def _words(value: str, most: int, *, proper: bool) -> int:
    """Length of the leading words of ``value`` that can be a name."""
    size = 0
    for number, word in enumerate(re.finditer(r"\S+", value)):
        bare = word.group().strip(".,")
        if (
            number >= most
            or bare.lower() in _STOP
            or (proper and bare.lower() in _THINGS)
            or bare.lower().replace("’", "'") in _STOP
            or (proper and not bare[:1].isupper())
        ):
            break
        size = word.end()
    return len(value[:size].rstrip(" .,"))
