"""Legs without timestamps: their place in time, who is awaited, and what was announced of them."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot.domain.audio import LegFormat, MediaFrame, MediaGap
from copilot.domain.errors import Conflict, InvalidInput, Overloaded, RemoteProtocolError
from streaming.announcements import AnnouncementBook
from streaming.telephony.arrival import HOLD_MS, TOLERANCE_MS, ArrivalClock
from streaming.telephony.meeting import Meeting

LEG = LegFormat(channel="customer", encoding="pcmu", sample_rate_hz=8_000)


def pcmu(ms, mark=b"\x01"):
    return MediaFrame(channel="customer", start_sample=-1, payload=mark * (ms * 8))


class Line:
    """Feeds frames of 20 ms and remembers what came out, in ms."""

    def __init__(self):
        self.clock = ArrivalClock(LEG, 1000.0)
        self.out = []

    def hear(self, *arrivals):
        for at in arrivals:
            self.out += self.clock.receive(pcmu(20), 1000 + at)
        return self

    def close(self):
        self.out += self.clock.flush()
        return [
            (type(e).__name__[5:], e.start_sample / 8, (e.samples if isinstance(e, MediaGap) else len(e.payload)) / 8) for e in self.out
        ]

    def gaps(self):
        return [item[1:] for item in self.close() if item[0] == "Gap"]


def steady(start, count):
    return [start + 20 * n for n in range(1, count + 1)]


def test_a_steady_leg_is_contiguous_and_not_held():
    line = Line().hear(*steady(0, 3))
    assert len(line.out) == 3
    assert line.close() == [("Frame", 0, 20), ("Frame", 20, 20), ("Frame", 40, 20)]


def test_a_leg_that_begins_late_or_falls_silent_keeps_its_place():
    line = Line().hear(*steady(900, 20), *steady(3000, 20))
    assert line.gaps() == [(0, 900), (1300, 1700)]


def test_a_stall_that_catches_up_is_no_silence():
    late = [700 + n for n in range(25)]  # half a second of audio at once
    line = Line().hear(*steady(0, 10), *late, *steady(700, 10))
    assert line.gaps() == []
    assert len(line.close()) == 45


def test_jitter_within_the_tolerance_is_nothing():
    line = Line().hear(*(at + (TOLERANCE_MS if n % 3 else 0) for n, at in enumerate(steady(0, 50))))
    assert len(line.out) == 50
    assert line.gaps() == []


def test_a_clock_that_is_faster_than_ours_is_followed_until_the_next_silence():
    line = Line().hear(*(19.9 * n for n in range(1, 1001)), *steady(25_000, 20))
    (gap,) = line.gaps()
    assert gap == (20_000, 5_000), "the place after a silence is that of the arrival"


def test_what_is_held_comes_out_by_the_clock_alone():
    clock = ArrivalClock(LEG, 0.0)
    assert clock.receive(pcmu(20), 520) == []
    assert clock.tick(520 + HOLD_MS - 1) == []
    gap, frame = clock.tick(520 + HOLD_MS)
    assert (gap.samples, gap.reason, frame.start_sample) == (4000, "silence_suppressed", 4000)
    assert clock.tick(10_000) == clock.flush() == []


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 1500)), min_size=1, max_size=60),
    st.sampled_from([8_000, 16_000, 44_100]),
)
@settings(max_examples=150)
def test_no_sample_is_lost_doubled_or_out_of_order(frames, rate_hz):
    leg = LegFormat(channel="agent", encoding="pcm_s16le", sample_rate_hz=rate_hz)
    clock, now, sent, out = ArrivalClock(leg, 0.0), 0.0, b"", []
    for number, (ms, wait) in enumerate(frames):
        now += wait
        payload = bytes([number % 256]) * (ms * rate_hz // 1000 * 2)
        sent += payload
        out += clock.receive(MediaFrame(channel="agent", start_sample=0, payload=payload), now)
    out += clock.flush()
    position = 0
    for event in out:
        assert event.start_sample == position
        position += event.samples if isinstance(event, MediaGap) else len(event.payload) // 2
    assert b"".join(event.payload for event in out if isinstance(event, MediaFrame)) == sent
    assert position * 1000 / rate_hz <= max(now + 60, len(sent) / 2 * 1000 / rate_hz + 1), "never ahead of what has been heard"


# ---------------------------------------------------------------------- legs that meet


def test_a_call_is_over_when_both_legs_have_left():
    meeting = Meeting(("customer", "agent"), 5000)
    assert meeting.missing == ("customer", "agent")
    meeting.arrive("customer")
    meeting.arrive("agent")
    meeting.leave("customer", 100)
    assert not meeting.over(10_000)
    assert meeting.present == {"agent"}
    meeting.leave("agent", 200)
    assert meeting.over(200)


def test_a_missing_leg_is_awaited_for_a_while_once_nobody_is_there():
    meeting = Meeting(("customer", "agent"), 5000)
    assert not meeting.over(0)
    meeting.arrive("customer")
    assert not meeting.over(60_000), "whoever is there keeps the call open"
    meeting.leave("customer", 60_000)
    assert not meeting.over(64_999)
    assert meeting.until_ms == 65_000
    assert meeting.over(65_000)
    meeting.arrive("agent")
    assert not meeting.over(70_000)


def test_a_further_party_may_come_and_is_not_waited_for():
    meeting = Meeting(("customer", "agent", "mixed"), 5000)
    meeting.arrive("customer")
    meeting.arrive("agent")
    meeting.leave("customer", 100)
    meeting.arrive("mixed")
    meeting.leave("agent", 200)
    assert not meeting.over(200), "whoever is there keeps the call open"
    meeting.leave("mixed", 300)
    assert meeting.over(300)
    without = Meeting(("customer", "agent", "mixed"), 5000)
    without.arrive("agent")
    without.leave("agent", 0)
    assert without.missing == ("customer",)
    assert not without.over(4999)
    without.arrive("customer")
    without.leave("customer", 6000)
    assert without.over(6000)
    assert Meeting(("mixed",), 5000).missing == ("mixed",)


def test_each_leg_comes_once():
    meeting = Meeting(("customer", "agent"), 5000)
    meeting.arrive("customer")
    with pytest.raises(Conflict, match="connected already"):
        meeting.arrive("customer")
    with pytest.raises(RemoteProtocolError):
        meeting.arrive("mixed")
    meeting.leave("customer", 0)
    with pytest.raises(Conflict, match="ended"):
        meeting.arrive("customer")


# ---------------------------------------------------------------------- announcements


def announce(book, legs=((None, "customer"), (None, "agent")), now=0.0, **changes):
    fields = {"call_id": "c-1", "metadata": {"agent": "li.na"}, "language": "zh", "wait_s": 60, "uuids": True}
    return book.announce("pbx", legs=legs, now=now, **fields | changes)


def test_an_announced_leg_is_known_once_and_for_a_while():
    book = AnnouncementBook()
    call = announce(book)
    first, second = call.legs
    assert uuid.UUID(first.leg_id).version == uuid.UUID(second.leg_id).version == 4
    assert call.channels == ("customer", "agent")
    assert book.take(first.leg_id, 1.0, "pbx") == (call, "customer")
    assert book.take(first.leg_id, 1.0, "pbx") is None
    assert book.take(second.leg_id, 1.0, "other") is None, "not another integration's"
    assert book.take(second.leg_id, 60.0, "pbx") == (call, "agent")
    late = announce(book, now=100.0)
    assert book.take(late.legs[0].leg_id, 160.1, "pbx") is None
    assert len(book) == 0


def test_what_cannot_be_announced():
    book = AnnouncementBook(size=3)
    known = str(uuid.uuid4())
    announce(book, legs=((known.upper(), "customer"),))
    with pytest.raises(Conflict):
        announce(book, legs=((known, "customer"),))
    for changes in (
        {"legs": ()},
        {"legs": ((None, "customer"), (None, "customer"))},
        {"legs": ((None, "nobody"),)},
        {"legs": (("1719422100.12", "customer"),)},
        {"call_id": "../x"},
        {"wait_s": 0},
        {"wait_s": 4000},
    ):
        with pytest.raises(InvalidInput):
            announce(book, **changes)
    with pytest.raises(InvalidInput):
        announce(book, legs=(("../x", "customer"),), uuids=False)
    channel = announce(book, legs=(("1719422100.12", "customer"),), uuids=False, call_id=None)
    assert channel.call_id.startswith("call-")
    with pytest.raises(Overloaded):
        announce(book)
    assert announce(book, now=61.0), "the expired make room"
