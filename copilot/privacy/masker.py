"""Replaces personal information by typed tokens, numbered within one call: 【卡号#1】. The same value gets the same token again."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from copilot.domain.transcript import MaskedAnew, TranscriptFinal, TranscriptPartial
from copilot.privacy.context import CallContext, Said, heard
from copilot.privacy.cues import cues
from copilot.privacy.find import find_pii, trailing_digits
from copilot.privacy.late import Line, named_afterwards, names_known_now, pieces, values_known_now
from copilot.privacy.spans import NUMBERS, Kind, PiiType, Span
from copilot.privacy.texts import MaskedText, mask_corrections, mask_words, replaced, shifted

HELD = "【…】"
"""Shown in a partial for digits whose meaning is not known yet."""
_HOLD_FROM = 3
"""From how many digits on the end of a partial is held back, whatever they may be."""
_RECENT = 8
"""How many finals are kept in clear, in memory, so that what they turn out to have said can still be taken out of them."""
_TOKEN = re.compile(r"【(?P<type>[^#【】]+)#(?P<number>\d+)】")
_PLAIN_METADATA = frozenset({"agent", "agent_id", "dnis", "direction", "queue", "skill", "language", "protocol", "campaign"})
_WITHHELD = frozenset({"", "anonymous", "restricted", "private", "unavailable", "unknown", "withheld"})
_PHONE_METADATA = re.compile(r"ani|from|caller|calling|phone|mobile|msisdn|cli|customer_number", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Recent:
    """A final in clear, the spans found in it so far, and what the call waited for when it was said."""

    final: TranscriptFinal
    spans: tuple[Span, ...]
    waiting: tuple[Kind, ...]

    def line(self) -> Line:
        return Line(self.final.channel, self.final.text, self.spans)


class Masker:
    """The masker of one call; used by one task. It remembers tokens, what is waited for, the names it has met and the newest finals."""

    def __init__(self, language: str = "zh") -> None:
        self.language = language
        self._tokens: dict[tuple[PiiType, str], str] = {}
        self._counts: dict[PiiType, int] = {}
        self._fresh: dict[str, str] = {}
        self._context = CallContext()
        self._recent: deque[_Recent] = deque(maxlen=_RECENT)
        self._rewritten: dict[str, MaskedAnew] = {}

    # -- text --------------------------------------------------------------------------------------------------------------------------

    def mask(self, text: str, expected: Kind | Sequence[Kind] | None = None) -> MaskedText:
        """Every personal span of ``text`` becomes its token. New values wait in ``take_secrets``."""
        return self._masked(text, self.spans(text, expected))

    def spans(self, text: str, expected: Kind | Sequence[Kind] | None = None) -> list[Span]:
        """``find_pii`` plus the names already met in this call."""
        names = self._names()
        found = find_pii(text, expected, names)
        found += names_known_now(Line("", text, tuple(found)), _mentions(names))
        found += values_known_now(Line("", text, tuple(found)), self._values())
        return sorted(found, key=lambda span: span.start)

    def take_secrets(self) -> dict[str, str]:
        """token → value for the tokens made since the last time: to be put into the vault before the text is stored."""
        fresh, self._fresh = self._fresh, {}
        return fresh

    # -- speech ------------------------------------------------------------------------------------------------------------------------

    def final(self, final: TranscriptFinal) -> tuple[TranscriptFinal, dict[str, str]]:
        """The masked final, and the vault values of its new tokens. Earlier finals that it explains wait in ``take_rewritten``."""
        waiting = self._context.kinds
        spans = self.spans(final.text, waiting)
        self._recent.append(_Recent(final, tuple(spans), waiting))
        self._look_back(spans)
        newest = self._recent[-1]
        said = [Said(kind=span.type, digits=sum(map(str.isdigit, span.value))) for span in newest.spans]
        self._context = heard(self._context, final.channel, final.text, said)
        self._rewritten.pop(final.utterance_id, None)
        return self._masked_final(newest), self.take_secrets()

    def take_rewritten(self) -> list[MaskedAnew]:
        """Finals handed out before in which something personal was found since, masked anew; oldest first, each once.

        The vault values of their new tokens came with the final that explained them.
        """
        rewritten, self._rewritten = list(self._rewritten.values()), {}
        return rewritten

    def partial(self, partial: TranscriptPartial) -> TranscriptPartial:
        """The masked partial. Makes no tokens: what it shows may still be misheard, and a digit string may still grow.

        A value met before shows its token, another one its type without a number, an unfinished digit string 【…】. ``stable`` ends before
        anything that may still change its mask.
        """
        text = partial.stable + partial.unstable
        spans = self.spans(text, self._context.kinds)
        end = len(text.rstrip(" ，,、。."))
        run = trailing_digits(text)
        held = run.start if run is not None else len(text)
        pieces: list[tuple[Span, str]] = []
        for span in spans:
            if span.end > held:
                continue
            unfinished = span.end >= end and span.type != "邮箱"
            known = None if unfinished else self._tokens.get((span.type, span.value))
            pieces.append((span, known or f"【{span.type}】"))
        if run is not None and (len(run.digits) >= _HOLD_FROM or self._number_is_due(text[:held])):
            pieces.append((Span(held, len(text), "卡号", "", 0.0), HELD))
        # What was stable stays so up to the first piece that reaches into the unstable part or the end.
        cut = min([len(partial.stable), *(span.start for span, _ in pieces if span.end > len(partial.stable) or span.end >= end)])
        stable = replaced(text[:cut], [(span, token) for span, token in pieces if span.end <= cut]).text
        rest = [(shifted(span, cut), token) for span, token in pieces if span.start >= cut]
        return replace(partial, stable=stable, unstable=replaced(text[cut:], rest).text)

    def metadata(self, metadata: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """The masked call metadata, and the vault values of its new tokens.

        A caller's number (``ani``) and the bank's number of the customer (``customer_id``) are masked whole, whatever they look like.
        """
        masked = {}
        for key, value in metadata.items():
            if key in _PLAIN_METADATA:
                masked[key] = value
            elif key == "customer_id" and value:
                masked[key] = self._token(Span(0, len(value), "客户号", value, 1.0))
            elif key == "ani" and not any(char.isdigit() for char in value):
                known = value.strip().lower() in _WITHHELD
                masked[key] = value if known else self._token(Span(0, len(value), "手机号", value, 1.0))
            elif _PHONE_METADATA.search(key) and any(char.isdigit() for char in value):
                number = re.sub(r"\D", "", value)
                masked[key] = self._token(Span(0, len(value), "手机号", number, 1.0))
            else:
                masked[key] = self.mask(value).text
        return masked, self.take_secrets()

    # -- a call that another masker began -----------------------------------------------------------------------------------------------

    def resume(self, vault: Mapping[str, str], said: Sequence[tuple[str, str]] = ()) -> None:
        """Takes over the tokens of the call's vault, so that a value keeps its token and no number is given twice.

        ``said``: the last finals as (channel, masked text), oldest first: what was asked for is still waited for.
        """
        for token, value in vault.items():
            found = _TOKEN.fullmatch(token)
            if found is None:
                continue
            kind, number = cast("PiiType", found["type"]), int(found["number"])
            self._tokens[kind, value] = token
            self._counts[kind] = max(self._counts.get(kind, 0), number)
        for channel, text in said:
            values = [Said(kind=cast("PiiType", found["type"]), digits=0) for found in _TOKEN.finditer(text)]
            self._context = heard(self._context, channel, text, values)

    # -- memory ------------------------------------------------------------------------------------------------------------------------

    def _names(self) -> list[str]:
        return [value for kind, value in self._tokens if kind == "姓名"]

    def _values(self) -> dict[str, PiiType]:
        return {value: kind for kind, value in self._tokens if kind in NUMBERS and len(value) >= 4 and value.isdigit()}

    def _look_back(self, newest: Sequence[Span]) -> None:
        """Finds in the newest finals what the very newest explains; the finals that change wait in ``take_rewritten``."""
        names = _mentions([span.value for span in newest if span.type == "姓名"])
        values = {span.value: span.type for span in newest if span.type in NUMBERS and len(span.value) >= 4 and span.value.isdigit()}
        lines = [item.line() for item in self._recent]
        for found in (pieces(lines), named_afterwards(lines)):
            self._add(found)
        if names:
            self._add({at: names_known_now(item.line(), names) for at, item in enumerate(self._recent)})
        if values:
            self._add({at: values_known_now(item.line(), values) for at, item in enumerate(self._recent)})

    def _add(self, found: Mapping[int, Sequence[Span]]) -> None:
        for at, spans in found.items():
            if spans:
                item = self._recent[at]
                self._recent[at] = item = replace(item, spans=tuple(sorted([*item.spans, *spans], key=lambda span: span.start)))
                before = self._rewritten.get(item.final.utterance_id)
                tokens = tuple((item.final.text[span.start : span.end], self._token(span)) for span in spans)
                self._rewritten[item.final.utterance_id] = MaskedAnew(
                    final=self._masked_final(item), tokens=((before.tokens if before is not None else ()) + tokens)
                )

    def _masked_final(self, item: _Recent) -> TranscriptFinal:
        final, masked = item.final, self._masked(item.final.text, item.spans)
        words = mask_words(final.words, final.text, masked, item.waiting)
        return replace(final, text=masked.text, words=words, corrections=mask_corrections(final.corrections, masked))

    def _masked(self, text: str, spans: Sequence[Span]) -> MaskedText:
        return replaced(text, [(span, self._token(span)) for span in spans])

    def _number_is_due(self, before: str) -> bool:
        return any(kind in NUMBERS for kind in self._context.kinds) or any(True for _ in cues(before))

    def _token(self, span: Span) -> str:
        key = (span.type, span.value)
        token = self._tokens.get(key)
        if token is None:
            self._counts[span.type] = self._counts.get(span.type, 0) + 1
            token = self._tokens[key] = f"【{span.type}#{self._counts[span.type]}】"
            self._fresh[token] = span.value
        return token


def _mentions(names: Sequence[str]) -> list[str]:
    """The names as they may be said again: whole, and an English one by any of its words."""
    whole = [name for name in names if len(name) >= 2]
    whole += [
        joined.title() for name in whole if (joined := re.sub(r"[\s.,-]", "", name)).isupper() and joined.isascii() and len(joined) >= 4
    ]
    return whole + [
        word for name in whole if name.isascii() for word in name.split() if len(word) >= 4 and word[0].isupper() and word != name
    ]
