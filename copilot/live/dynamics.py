"""How the talk runs: who speaks how long and how fast, silence, overtalk and interruptions, from the utterances' times. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from copilot.domain.artifacts import Turn
from copilot.domain.events import DynamicsMeasured
from copilot.live.matching import units

EVERY_MS = 10_000
"""Media time between two measurements."""
INTERRUPTS_MS = 600
"""So long both must speak before the one who began later has interrupted."""
_RATE_MS = 60_000
_LEAST_RATED_MS = 5_000


@dataclass(slots=True, kw_only=True)
class Dynamics:
    """One call's."""

    language: str
    _turns: list[Turn] = field(init=False, default_factory=list)
    _held: list[tuple[int, int | None]] = field(init=False, default_factory=list)
    _measured_ms: int = field(init=False, default=0)
    _fresh: bool = field(init=False, default=False)

    def heard(self, turn: Turn) -> None:
        """One final; mixed channels are not told apart and count for nobody."""
        if turn.channel in ("agent", "customer"):
            self._turns.append(turn)
            self._turns.sort(key=lambda said: (said.start_ms, said.end_ms))
            self._fresh = True

    def held(self, at_ms: int, *, held: bool) -> None:
        if held:
            self._held.append((at_ms, None))
        elif self._held and self._held[-1][1] is None:
            self._held[-1] = (self._held[-1][0], at_ms)

    def measure(self, at_ms: int, *, last: bool = False) -> list[DynamicsMeasured]:
        """The measurement up to now, if something was said since the one before and it is time for one (or the call's end)."""
        if not self._fresh or not (last or at_ms - self._measured_ms >= EVERY_MS):
            return []
        self._fresh, self._measured_ms = False, at_ms
        silences, overtalk, agent, customer = self._gaps(), 0, 0, 0
        for number, later in enumerate(self._turns):
            for earlier in self._turns[max(0, number - 8) : number]:
                both = min(earlier.end_ms, later.end_ms) - later.start_ms
                if earlier.channel == later.channel or both <= 0:
                    continue
                overtalk += both
                if both >= INTERRUPTS_MS and later.start_ms > earlier.start_ms:
                    agent += later.channel == "agent"
                    customer += later.channel == "customer"
        return [
            DynamicsMeasured(
                at_ms=at_ms,
                customer_speech_ms=self._speech("customer"),
                agent_speech_ms=self._speech("agent"),
                silence_ms=sum(silences),
                longest_silence_ms=max(silences, default=0),
                overtalk_ms=overtalk,
                agent_interruptions=agent,
                customer_interruptions=customer,
                agent_rate=self._rate("agent", at_ms),
                customer_rate=self._rate("customer", at_ms),
            )
        ]

    def _speech(self, channel: str) -> int:
        return sum(turn.end_ms - turn.start_ms for turn in self._turns if turn.channel == channel)

    def _rate(self, channel: str, at_ms: int) -> float | None:
        recent = [turn for turn in self._turns if turn.channel == channel and turn.end_ms > at_ms - _RATE_MS]
        spoken_ms = sum(turn.end_ms - turn.start_ms for turn in recent)
        if spoken_ms < _LEAST_RATED_MS:
            return None
        return round(sum(units(turn.text, self.language) for turn in recent) * 60_000 / spoken_ms, 1)

    def _gaps(self) -> list[int]:
        """Pauses between the utterances, without what the customer spent on hold."""
        gaps, ended = [], None
        for turn in self._turns:
            if ended is not None and turn.start_ms > ended:
                hold = sum(max(0, min(turn.start_ms, stop or turn.start_ms) - max(ended, start)) for start, stop in self._held)
                gaps.append(max(0, turn.start_ms - ended - hold))
            ended = turn.end_ms if ended is None else max(ended, turn.end_ms)
        return gaps
