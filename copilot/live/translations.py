"""Translates what the other side said into the agent's language, beside the call and never in its way. Off unless it is configured."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Sequence

import structlog

from copilot.domain.errors import CopilotError, EngineError
from copilot.domain.events import CallEvent, UtteranceFinal, UtteranceTranslated
from copilot.domain.ids import CallId
from copilot.domain.ports.translation import Translator

log = structlog.get_logger(__name__)
_WAITING = 8
_TOKEN = re.compile(r"【[^【】]{1,16}】")


class Translations:
    """The lines of one call that wait for their translation, in order; the oldest is dropped when too many wait."""

    def __init__(
        self,
        translator: Translator | None,
        language: str,
        call_id: CallId,
        *,
        append: Callable[[Sequence[CallEvent]], Awaitable[None]],
    ) -> None:
        self._translator = translator
        self._language = language
        self._call_id = call_id
        self._append = append
        self._lines: asyncio.Queue[UtteranceFinal] = asyncio.Queue(_WAITING)
        self._worker: asyncio.Task[None] | None = None

    def heard(self, final: UtteranceFinal) -> None:
        """A final, masked and stored. Never blocks."""
        if self._translator is None or final.channel == "agent" or final.language == self._language or not final.text.strip():
            return
        if self._lines.full():
            self._lines.get_nowait()
        self._lines.put_nowait(final)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(self._translator), name=f"translate-{self._call_id}")

    async def stop(self) -> None:
        """What still waits is not translated any more."""
        if self._worker is not None:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker

    async def _work(self, translator: Translator) -> None:
        while True:
            final = await self._lines.get()
            try:
                text = await translator.translate(final.text, final.language, self._language)
                if sorted(_TOKEN.findall(text)) != sorted(_TOKEN.findall(final.text)):
                    log.info("translation_refused", call_id=self._call_id)
                    continue
                translated = UtteranceTranslated(
                    utterance_id=final.utterance_id, language=self._language, model=translator.model_id, text=text
                )
                await self._append([translated])
            except EngineError as error:
                log.warning("translation_failed", call_id=self._call_id, error=type(error).__name__)
            except CopilotError as error:
                log.warning("translation_not_stored", call_id=self._call_id, error=type(error).__name__)
