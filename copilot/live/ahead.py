"""Looks up what the customer seems to be asking while the words are still coming, so that the answer is there when the sentence is.

Nothing of it is shown: a result counts only if the final says the same words. A newer guess supersedes an older one; few are made of each
utterance, since the processor that looks up is the one that recognises.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import Executor

from copilot.domain.ids import UtteranceId
from copilot.domain.intents import IntentPrediction
from copilot.domain.knowledge import Hit
from copilot.live.session import Investigate

LookedUp = tuple[IntentPrediction, tuple[Hit, ...], float, float]
"""Intent, hits, and the ms that each took."""
_MOST_GUESSES = 3
_NEW_CHARACTERS = 6
_MARKS = re.compile(r"[\s，。！？、；：,.!?;:“”\"'…]+")


class Ahead:
    """The guesses of one call; used from its event loop."""

    def __init__(self, look_up: Callable[[Investigate], LookedUp], executor: Executor) -> None:
        self._look_up = look_up
        self._executor = executor
        self._utterance: UtteranceId | None = None
        self._guesses = 0
        self._length = 0
        self._key = ""
        self._running: asyncio.Future[LookedUp] | None = None

    def hear(self, ask: Investigate) -> None:
        """What the stable part of a partial seems to ask. Never blocks."""
        key = _key(ask.text)
        if ask.utterance_id != self._utterance:
            self._utterance, self._guesses, self._length = ask.utterance_id, 0, 0
        busy = self._running is not None and not self._running.done()
        if busy or key == self._key or self._guesses >= _MOST_GUESSES or len(key) < self._length + _NEW_CHARACTERS:
            return
        self._guesses += 1
        self._key, self._length = key, len(key)
        self._running = asyncio.get_running_loop().run_in_executor(self._executor, self._look_up, ask)
        # A failed guess is no failure: the question itself will be asked.
        self._running.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def take(self, ask: Investigate) -> LookedUp | None:
        """The result if these words were guessed, waiting for it if it is on its way; None otherwise."""
        running, self._running = self._running, None
        key, self._key = self._key, ""
        if running is None or key != _key(ask.text):
            return None
        try:
            return await running
        except Exception:  # whatever it was, asking again will say so where it is seen
            return None


def _key(text: str) -> str:
    return _MARKS.sub("", text).casefold()
