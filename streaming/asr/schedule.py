"""Which windows are decoded next, and when a new call must be refused. PURE: times are passed in (ms on any monotonic clock).

Two lanes. Finals go first and are never dropped. Partials: a channel has at most one waiting and one in hand; a newer one replaces the
waiting one, so what is decoded is fresh; a final of the channel drops it; one that waited past its deadline is dropped. Under load each
channel's partials come less often. A batch is whatever waits with the same key when a decoder is free: nothing waits for a batch to fill.

In between stand speculative finals: asked for in a pause that may be the end. They come after the first partial of an utterance (somebody
waits to see that they are heard) and before the other partials, which they replace; on busy decoders they wait until they are confirmed,
because many are taken back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field

from copilot.domain.errors import Overloaded
from copilot.domain.transcript import RecognizeRequest

Channel = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleConfig:
    """Durations in ms. ``decoders``: how many batches run at once."""

    decoders: int = 1
    max_batch: int = 2
    """CPU: 2 (larger batches delay finals more than they save); GPU: 16–32."""
    partial_deadline_ms: float = 3_000
    cadence_ms: float = 800
    opening_cadence_ms: float = 160
    """Between partials while nothing is shown of the utterance yet (the first may have been refused); up to ``cadence_ms`` under load."""
    max_cadence_ms: float = 4_000
    stretch_from: float = 0.45
    """Utilisation at which the partial cadence begins to stretch; it is longest at ``stretch_to``."""
    stretch_to: float = 0.9
    partial_turn_ms: float = 1_500
    """A partial that waited so long gets a turn before the next final, at most every ``partial_turn_every``-th batch."""
    partial_turn_every: int = 4
    economy_from: tuple[float, float] = (0.35, 0.75)
    """Utilisation from which finals are decoded with a small beam in a shorter window, and then greedily in the shortest one."""
    speculate_until: float = 0.85
    """Utilisation over which speculative finals are only decoded once they are confirmed."""
    guess_patience_ms: float = 150
    """How long a speculative final waits once partials stretch: most pauses that end a little later were none, and cost nothing then."""
    load_window_ms: float = 20_000
    """Utilisation is measured over this time (exponentially weighted)."""
    admit_load: float = 0.8
    admit_final_wait_ms: float = 1_500
    """Finals that wait for a decoder longer than this on average mean that the running calls suffer already."""
    final_wait_half_life_ms: float = 2_000
    """How fast the memory of such waits fades once nothing waits."""
    max_channels: int = 64
    channel_idle_ms: float = 30_000
    new_call_channels: int = 2
    new_call_decoders: float = 0.15
    """Decoders that a call keeps busy, until enough calls run to measure it."""
    new_call_ms: float = 15_000


@dataclass(slots=True, eq=False)
class Ticket:
    """A request in the schedule."""

    request: RecognizeRequest
    key: Hashable
    arrived_ms: float

    @property
    def channel(self) -> Channel:
        return self.request.call_id, self.request.channel


@dataclass(frozen=True, slots=True)
class Decision:
    """What a free decoder should do: run ``batch`` (empty: nothing is due); ``dropped`` is answered with None; look again in time."""

    batch: tuple[Ticket, ...] = ()
    dropped: tuple[Ticket, ...] = ()
    look_again_ms: float | None = None


@dataclass(slots=True)
class _Channel:
    last_seen_ms: float
    last_partial_ms: float = float("-inf")
    waiting: Ticket | None = None
    speculative: Ticket | None = None
    in_hand: bool = False


@dataclass(slots=True)
class Schedule:
    """The queues. Not thread-safe: the dispatcher holds its lock around every call."""

    config: ScheduleConfig
    _finals: deque[Ticket] = field(default_factory=deque)
    _channels: dict[Channel, _Channel] = field(default_factory=dict)
    _running: dict[int, float] = field(default_factory=dict)
    _load: float = 0.0
    _load_at_ms: float | None = None
    _final_wait_ms: float = 0.0
    _final_wait_at_ms: float = 0.0
    _admitted: deque[float] = field(default_factory=deque)
    _since_partial: int = 0

    # ------------------------------------------------------------------ in

    def offer(self, ticket: Ticket, now_ms: float) -> list[Ticket]:
        """Queues a ticket; the waiting partials it replaces."""
        state = self._channels.get(ticket.channel)
        if state is None:
            state = self._channels[ticket.channel] = _Channel(last_seen_ms=now_ms)
        state.last_seen_ms = now_ms
        replaced = [state.waiting] if state.waiting is not None else []
        if ticket.request.lane == "final":
            state.waiting = None
            if ticket.request.speculative:
                if state.speculative is not None:
                    replaced.append(state.speculative)
                state.speculative = ticket
            else:
                self._finals.append(ticket)
        else:
            state.waiting = ticket
        return replaced

    def confirm(self, request: RecognizeRequest, key: Hashable, now_ms: float) -> bool:
        """A waiting speculative final is wanted for certain, with this request; False if it does not wait (any more)."""
        state = self._channels.get((request.call_id, request.channel))
        ticket = state.speculative if state is not None else None
        if state is None or ticket is None or ticket.request.request_id != request.request_id:
            return False
        ticket.request, ticket.key, ticket.arrived_ms = request, key, now_ms
        state.speculative = None
        self._finals.append(ticket)
        return True

    def withdraw(self, ticket: Ticket) -> bool:
        """The owner no longer wants it: True if it was still waiting."""
        state = self._channels.get(ticket.channel)
        if state is not None and state.speculative is ticket:
            state.speculative = None
            return True
        if state is not None and state.waiting is ticket:
            state.waiting = None
            return True
        if ticket in self._finals:
            self._finals.remove(ticket)
            return True
        return False

    # ------------------------------------------------------------------ out

    def take(self, now_ms: float) -> Decision:
        """For a decoder that is free now. Every batch taken must come back through ``done``."""
        dropped = self._expire(now_ms)
        due, look_again = self._due_partials(now_ms)
        guesses, next_guess = self._guesses(now_ms)
        partial_turn = (
            bool(due)
            and self._since_partial >= self.config.partial_turn_every - 1
            and now_ms - due[0].arrived_ms >= self.config.partial_turn_ms
        )
        if self._finals and not partial_turn:
            # Two at once take longer than one: worth it only when more wait than there are decoders to come.
            crowded = len(self._finals) > self.config.decoders
            batch = self._matching(self._finals[0], list(self._finals)) if crowded else [self._finals[0]]
            for ticket in batch:
                self._finals.remove(ticket)
                self._note_final_wait(now_ms - ticket.arrived_ms, now_ms)
            self._since_partial += 1
        elif opening := next((ticket for ticket in due if ticket.request.opening), None):
            batch = self._take_partials(opening, due, now_ms)
        elif guesses:
            batch = self._matching(guesses[0], guesses)
            for ticket in batch:
                state = self._channels[ticket.channel]
                # It is shown as a partial too.
                state.speculative, state.last_partial_ms = None, now_ms
        elif due:
            batch = self._take_partials(due[0], due, now_ms)
        else:
            times = [at for at in (look_again, next_guess) if at is not None]
            return Decision(dropped=dropped, look_again_ms=min(times, default=None))
        self._tick(now_ms)
        self._running[id(batch[0])] = now_ms
        return Decision(batch=tuple(batch), dropped=dropped)

    def _take_partials(self, first: Ticket, due: list[Ticket], now_ms: float) -> list[Ticket]:
        batch = self._matching(first, due)
        for ticket in batch:
            state = self._channels[ticket.channel]
            state.waiting, state.in_hand, state.last_partial_ms = None, True, now_ms
        self._since_partial = 0
        return batch

    def _guesses(self, now_ms: float) -> tuple[list[Ticket], float | None]:
        """Speculative finals that may be decoded now, oldest first; and when the next may, if none may now."""
        load = self.load(now_ms)
        if load > self.config.speculate_until:
            return [], None
        patience = self.config.guess_patience_ms if load > self.config.stretch_from else 0.0
        found = (state.speculative for state in self._channels.values() if state.speculative is not None)
        waiting = sorted(found, key=lambda ticket: ticket.arrived_ms)
        due = [ticket for ticket in waiting if ticket.arrived_ms + patience <= now_ms]
        return due, waiting[0].arrived_ms + patience if waiting and not due else None

    def done(self, batch: tuple[Ticket, ...], now_ms: float) -> None:
        """The decoder has finished (or failed) a batch."""
        self._tick(now_ms)
        self._running.pop(id(batch[0]), None)
        for ticket in batch:
            state = self._channels.get(ticket.channel)
            if state is not None and ticket.request.lane == "partial":
                state.in_hand = False

    def drain(self) -> list[Ticket]:
        """Everything that waits, when the dispatcher stops."""
        waiting = [t for state in self._channels.values() for t in (state.speculative, state.waiting) if t is not None]
        tickets = [*self._finals, *waiting]
        self._finals.clear()
        for state in self._channels.values():
            state.waiting = state.speculative = None
        return tickets

    # ------------------------------------------------------------------ load

    def load(self, now_ms: float) -> float:
        """Utilisation of the decoders, 0–1, over the last ``load_window_ms``."""
        self._tick(now_ms)
        return self._load

    def economy(self, now_ms: float) -> int:
        """How much the decodes should save at the present load (``RecognizeRequest.economy``)."""
        load = self.load(now_ms)
        return sum(load >= limit for limit in self.config.economy_from)

    def cadence_ms(self, now_ms: float) -> float:
        """The least time between two partials of a channel at the present load."""
        return self._stretched(self.config.cadence_ms, self.config.max_cadence_ms, now_ms)

    def _stretched(self, least_ms: float, most_ms: float, now_ms: float) -> float:
        config = self.config
        span = (self.load(now_ms) - config.stretch_from) / (config.stretch_to - config.stretch_from)
        return least_ms + (most_ms - least_ms) * min(1.0, max(0.0, span))

    def live_channels(self, now_ms: float) -> int:
        """Channels that sent something in the last ``channel_idle_ms``; older idle ones are forgotten."""
        limit = now_ms - self.config.channel_idle_ms
        for channel in [
            key
            for key, state in self._channels.items()
            if state.last_seen_ms < limit and not (state.waiting or state.speculative or state.in_hand)
        ]:
            del self._channels[channel]
        return len(self._channels)

    def waiting(self) -> tuple[int, int]:
        """(finals, partials) in the queues; speculative finals count once they are confirmed."""
        return len(self._finals), sum(state.waiting is not None for state in self._channels.values())

    def admit(self, now_ms: float) -> None:
        """Counts one more call, or raises Overloaded. Calls admitted a moment ago count with what a call is expected to need."""
        config = self.config
        while self._admitted and self._admitted[0] < now_ms - config.new_call_ms:
            self._admitted.popleft()
        channels = self.live_channels(now_ms)
        if channels + (len(self._admitted) + 1) * config.new_call_channels > config.max_channels:
            raise Overloaded(f"All {config.max_channels} recognition channels are taken: send the call to another node or try again later.")
        # What is being said now is in the load; a call admitted a moment ago will say more than that.
        pending = 1 + sum(1 - (now_ms - at) / config.new_call_ms for at in self._admitted)
        if self.load(now_ms) + pending * self._load_of_a_call(channels, now_ms) > config.admit_load:
            raise Overloaded(f"Recognition is {self._load:.0%} busy: send the call to another node or try again in half a minute.")
        oldest = now_ms - self._finals[0].arrived_ms if self._finals else 0.0
        recent = self._final_wait_ms * 0.5 ** ((now_ms - self._final_wait_at_ms) / config.final_wait_half_life_ms)
        if max(oldest, recent) > config.admit_final_wait_ms:
            raise Overloaded("Recognition is behind its running calls: send the call to another node or try again in half a minute.")
        self._admitted.append(now_ms)

    def _load_of_a_call(self, channels: int, now_ms: float) -> float:
        """Of all decoders: measured over the running calls if there are a few, else as configured."""
        usual = self.config.new_call_decoders / self.config.decoders
        calls = channels / self.config.new_call_channels
        # Calls that have only been silent so far are no measure, nor are a few busy ones: hence the bounds.
        return usual if calls < 2 else min(usual, max(0.1 * usual, self.load(now_ms) / calls))

    def _tick(self, now_ms: float) -> None:
        """Exponentially weighted utilisation; between two events the number of busy decoders is constant."""
        if self._load_at_ms is None:
            self._load_at_ms = now_ms
        elapsed = max(0.0, now_ms - self._load_at_ms)
        busy = min(1.0, len(self._running) / self.config.decoders)
        keep = 0.5 ** (elapsed / (self.config.load_window_ms / 2))
        self._load = self._load * keep + busy * (1.0 - keep)
        self._load_at_ms = now_ms

    def _note_final_wait(self, wait_ms: float, now_ms: float) -> None:
        self._final_wait_ms = 0.8 * self._final_wait_ms + 0.2 * wait_ms
        self._final_wait_at_ms = now_ms

    # ------------------------------------------------------------------ choosing

    def _expire(self, now_ms: float) -> tuple[Ticket, ...]:
        dropped = []
        for state in self._channels.values():
            if state.waiting is not None and now_ms - state.waiting.arrived_ms > self.config.partial_deadline_ms:
                dropped.append(state.waiting)
                state.waiting = None
        return tuple(dropped)

    def _due_partials(self, now_ms: float) -> tuple[list[Ticket], float | None]:
        """Waiting partials whose channel's turn has come, longest-unserved channel first; and when the next turn comes."""
        cadence = self.cadence_ms(now_ms)
        opening = self._stretched(self.config.opening_cadence_ms, self.config.cadence_ms, now_ms)
        due: list[tuple[float, Ticket]] = []
        look_again: float | None = None
        for state in self._channels.values():
            if state.waiting is None or state.in_hand:
                continue
            # Nothing is shown of an opening utterance: its turn does not wait for quieter times.
            turn = state.last_partial_ms + (opening if state.waiting.request.opening else cadence)
            if turn <= now_ms:
                due.append((max(state.last_partial_ms, state.waiting.arrived_ms - cadence), state.waiting))
            else:
                look_again = turn if look_again is None else min(look_again, turn)
        due.sort(key=lambda item: item[0])
        return [ticket for _, ticket in due], look_again

    def _matching(self, first: Ticket, tickets: list[Ticket]) -> list[Ticket]:
        others = [ticket for ticket in tickets if ticket.key == first.key and ticket is not first]
        return [first, *others][: self.config.max_batch]
