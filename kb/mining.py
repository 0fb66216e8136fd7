"""Question–answer pairs out of documents and finished calls, each with the place it comes from. Pure: what is found becomes drafts.

Documents: 问/答 and Q/A lines, headings that ask, table rows under 问题 | 答案. Calls: what the customer asked and what the agent answered,
where the customer then agreed. A call's texts are masked already; an answer with a token in it is this customer's and is left out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from copilot.domain.article_life import Origin
from copilot.domain.events import CallEvent, UtteranceFinal
from copilot.domain.ids import ArticleId
from copilot.domain.knowledge import Article
from kb.analysis import spoken_core

MAX_QUESTION = {"zh": 60, "en": 160}
LEAST_ANSWER = {"zh": 8, "en": 20}
"""Characters: shorter ones say nothing that another caller could use."""
MAX_ANSWER = 1200
_QUOTE = 400
_LEAST_HEADING_ZH, _LEAST_HEADING_EN = 6, 5

_ASKED = re.compile(r"^[ \t>*-]*\**(?:问题?|Q(?:uestion)?)\s*\d*\s*[:：.、]\**[ \t]*(?P<text>.+?)\**[ \t]*$", re.IGNORECASE | re.MULTILINE)
_ANSWERED = re.compile(r"^[ \t>*-]*\**(?:答案?|回答|A(?:nswer)?)\s*\d*\s*[:：.、]\**[ \t]*", re.IGNORECASE)
_HEADING = re.compile(r"^(?P<marks>#{1,6})[ \t]+(?P<text>.+?)[ \t#]*$", re.MULTILINE)
_NUMBER = re.compile(r"^\s*(?:[（(]?[一二三四五六七八九十\d]+[)）、.]\s*)+")
_ROW = re.compile(r"^[ \t]*\|(?P<cells>.+)\|[ \t]*$", re.MULTILINE)
_ASK_COLUMN = re.compile(r"问题|问法|常见问|question", re.IGNORECASE)
_ANSWER_COLUMN = re.compile(r"答|话术|answer|reply", re.IGNORECASE)
_QUESTION = {
    "zh": re.compile(r"[?？]|吗|呢$|怎么|如何|怎样|多少|多久|几天|几年|什么|哪[里些个天]|能不能|可不可以|是否|为什么|要不要|有没有"),
    "en": re.compile(r"\?|^(?:how|what|when|where|which|who|why|can|could|do|does|is|are|may|should|will)\b", re.IGNORECASE),
}
_AGREED = {
    "zh": re.compile(r"^(?:哦|噢|嗯|啊|那)*[，,]?(?:好的?|行|明白|知道了|清楚了|懂了|可以了|谢谢|了解|原来)"),
    "en": re.compile(r"^(?:oh|ah)?[, ]*(?:ok(?:ay)?|great|thanks|thank you|i see|got it|right|perfect|good|understood)\b", re.IGNORECASE),
}
_HOLDING = {
    "zh": re.compile(r"请?稍等|帮您(?:查|看)|为您(?:查|核)|请问您|请提供|报一下|核实一下"),
    "en": re.compile(r"one moment|let me (?:check|look)|could you (?:give|tell|confirm)|may i (?:have|ask)|please confirm", re.IGNORECASE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mined:
    """A pair with its place; ``question`` and ``answer`` tidied, the origin's span and quote as they stand there."""

    language: str
    question: str
    answer: str
    origin: Origin

    @property
    def article_id(self) -> ArticleId:
        """The same for the same pair, so that mining again finds nothing new."""
        said = f"{self.language}\n{self.question}\n{self.answer}"
        return ArticleId("mined-" + hashlib.sha256(said.encode()).hexdigest()[:16])


def from_document(text: str, source: str, language: str) -> list[Mined]:
    """Pairs of a text or Markdown document, in order; the same question once, by the surest pattern."""
    found: list[Mined] = []
    taken: set[str] = set()
    for pair in (*_marked(text, source, language), *_tables(text, source, language), *_headings(text, source, language)):
        key = pair.question.casefold()
        if key not in taken and _fit(pair):
            taken.add(key)
            found.append(pair)
    return sorted(found, key=lambda pair: pair.origin.start)


def from_call(call_id: str, language: str, events: Sequence[CallEvent]) -> list[Mined]:
    """Pairs of one finished call."""
    turns = _turns([event for event in events if isinstance(event, UtteranceFinal) and event.text.strip()])
    found = []
    for (asked, asks), (said, answers), (after, reacts) in zip(turns, turns[1:], turns[2:], strict=False):
        if (asked, said, after) != ("customer", "agent", "customer"):
            continue
        question = _last_question(asks, language)
        answer = "".join(line.text for line in answers) if language == "zh" else " ".join(line.text for line in answers)
        reaction = reacts[0].text.strip()
        if question is None or "【" in answer or "【" in question.text or not _AGREED[_known(language)].search(reaction):
            continue
        if _HOLDING[_known(language)].search(answer):
            continue
        origin = Origin(
            kind="call",
            source=call_id,
            quote=f"{question.text}\n{answer}"[:_QUOTE],
            utterances=(question.utterance_id, *(line.utterance_id for line in answers)),
        )
        pair = Mined(language=language, question=_tidy(spoken_core(question.text, language)), answer=_tidy(answer), origin=origin)
        if _fit(pair):
            found.append(pair)
    return found


def draft(pair: Mined, questions: Iterable[str] = ()) -> Article:
    """The pair as a draft. A call is no source that an answer may rest on: that field stays empty, and the first gate asks for it."""
    origin = pair.origin
    place = f"{origin.source} § {origin.section}" if origin.section else origin.source
    return Article(
        article_id=pair.article_id,
        version=0,
        language=pair.language,
        domain="",
        title=pair.question,
        body="",
        answer=pair.answer,
        questions=tuple(questions),
        source=place if origin.kind == "document" else "",
        state="draft",
    )


def is_question(text: str, language: str) -> bool:
    return _QUESTION[_known(language)].search(text) is not None


def _fit(pair: Mined) -> bool:
    language = _known(pair.language)
    return 2 < len(pair.question) <= MAX_QUESTION[language] and LEAST_ANSWER[language] <= len(pair.answer) <= MAX_ANSWER


def _known(language: str) -> str:
    return "zh" if language == "zh" else "en"


def _marked(text: str, source: str, language: str) -> Iterator[Mined]:
    """问：…  答：…"""
    marks = list(_ASKED.finditer(text))
    for number, match in enumerate(marks):
        stop = marks[number + 1].start() if number + 1 < len(marks) else len(text)
        heading = _HEADING.search(text, match.end(), stop)
        block = text[match.end() : heading.start() if heading else stop]
        lead = len(block) - len(block.lstrip())
        answered = _ANSWERED.match(block.lstrip())
        if answered is None:
            continue
        answer = block[lead + answered.end() :].strip()
        end = match.end() + len(block.rstrip())
        yield _pair(text, source, language, match.group("text"), answer, match.start(), end)


def _tables(text: str, source: str, language: str) -> Iterator[Mined]:
    ask = answer = -1
    expected = -1
    for match in _ROW.finditer(text):
        cells = [cell.strip() for cell in match.group("cells").split("|")]
        if match.start() != expected:
            columns = {
                name: next((index for index, cell in enumerate(cells) if pattern.search(cell)), -1)
                for name, pattern in (("ask", _ASK_COLUMN), ("answer", _ANSWER_COLUMN))
            }
            ask, answer = columns["ask"], columns["answer"]
        elif min(ask, answer) >= 0 and max(ask, answer) < len(cells) and not set("".join(cells)) <= set("-: "):
            yield _pair(text, source, language, cells[ask], cells[answer], match.start(), match.end())
        expected = match.end() + 1


def _headings(text: str, source: str, language: str) -> Iterator[Mined]:
    """A heading that asks, with what stands under it up to the next heading."""
    marks = list(_HEADING.finditer(text))
    for number, match in enumerate(marks):
        question = _NUMBER.sub("", match.group("text"))
        stop = marks[number + 1].start() if number + 1 < len(marks) else len(text)
        below = text[match.end() : stop].strip()
        if _asks(question, language) and below and not _ASKED.search(below):
            yield _pair(text, source, language, question, below, match.start(), match.end() + len(text[match.end() : stop].rstrip()))


def _asks(heading: str, language: str) -> bool:
    """ "怎么看" and "How to read it" are headings of a text; a question for customers says what it is about."""
    if re.search(r"[?？]", heading):
        return True
    if language == "zh":
        return len(heading) >= _LEAST_HEADING_ZH and is_question(heading, language)
    return len(heading.split()) >= _LEAST_HEADING_EN and is_question(heading, language)


def _pair(text: str, source: str, language: str, question: str, answer: str, start: int, end: int) -> Mined:
    above = list(_HEADING.finditer(text, 0, start))
    section = above[-1].group("text") if above else ""
    origin = Origin(kind="document", source=source, section=section, quote=text[start:end][:_QUOTE], start=start, end=end)
    return Mined(language=language, question=_tidy(_NUMBER.sub("", question)), answer=_tidy(answer), origin=origin)


def _tidy(text: str) -> str:
    return re.sub(r"[ \t]*\n\s*", "\n", text.strip().strip("*")).strip()


def _turns(lines: Sequence[UtteranceFinal]) -> list[tuple[str, list[UtteranceFinal]]]:
    """Consecutive lines of one side as one turn."""
    turns: list[tuple[str, list[UtteranceFinal]]] = []
    for line in lines:
        if turns and turns[-1][0] == line.channel:
            turns[-1][1].append(line)
        else:
            turns.append((line.channel, [line]))
    return turns


def _last_question(lines: Sequence[UtteranceFinal], language: str) -> UtteranceFinal | None:
    return next((line for line in reversed(lines) if is_question(line.text, language)), None)
