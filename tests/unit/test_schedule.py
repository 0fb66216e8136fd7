from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot.domain.errors import Overloaded
from copilot.domain.transcript import RecognizeRequest
from streaming.asr.schedule import Schedule, ScheduleConfig, Ticket


def ticket(lane="partial", call="c1", at=0.0, key="k", channel="customer"):
    request = RecognizeRequest(request_id=f"{call}/{lane}/{at}", call_id=call, channel=channel, lane=lane, pcm16=bytes(3200), language="zh")
    return Ticket(request=request, key=key, arrived_ms=at)


def schedule(**config):
    return Schedule(ScheduleConfig(**config))


def test_finals_go_first():
    s = schedule()
    partial, final = ticket(call="a"), ticket("final", call="b")
    s.offer(partial, 0)
    s.offer(final, 0)
    assert s.take(0).batch == (final,)
    assert s.take(0).batch == (partial,)


def test_the_newest_partial_of_a_channel_replaces_the_waiting_one():
    s = schedule()
    old, new = ticket(at=0), ticket(at=300)
    assert s.offer(old, 0) == []
    assert s.offer(new, 300) == [old]
    assert s.take(300).batch == (new,)


def test_a_channel_has_one_partial_in_hand():
    s = schedule(cadence_ms=0, max_cadence_ms=0)
    first, second = ticket(at=0), ticket(at=10)
    s.offer(first, 0)
    assert s.take(0).batch == (first,)
    s.offer(second, 10)
    assert s.take(10).batch == ()
    s.done((first,), 20)
    assert s.take(20).batch == (second,)


def test_a_final_drops_its_channels_waiting_partial_only():
    s = schedule()
    mine, other = ticket(call="a"), ticket(call="b")
    s.offer(mine, 0)
    s.offer(other, 0)
    assert s.offer(ticket("final", call="a"), 1) == [mine]
    assert s.waiting() == (1, 1)


def test_partials_past_their_deadline_are_dropped():
    s = schedule(partial_deadline_ms=1000)
    late = ticket(at=0)
    s.offer(late, 0)
    decision = s.take(1001)
    assert decision.batch == ()
    assert decision.dropped == (late,)


def test_only_equal_keys_share_a_batch_and_batches_are_bounded():
    s = schedule(max_batch=2)
    finals = [ticket("final", call=str(i), key="x" if i != 1 else "y") for i in range(4)]
    for final in finals:
        s.offer(final, 0)
    assert s.take(0).batch == (finals[0], finals[2])
    assert s.take(0).batch == (finals[1],)
    assert s.take(0).batch == (finals[3],)


def test_the_cadence_says_when_to_look_again_and_stretches_with_load():
    s = schedule(decoders=1)
    first = ticket(at=0)
    s.offer(first, 0)
    s.take(0)
    s.done((first,), 100)
    s.offer(ticket(at=200), 200)
    decision = s.take(200)
    assert decision.batch == ()
    assert decision.look_again_ms == pytest.approx(800, abs=1)
    final = ticket("final", call="z", at=300)
    s.offer(final, 300)
    s.take(300)
    assert s.cadence_ms(60_300) == pytest.approx(4_000)  # a minute of one busy decoder
    s.done((final,), 60_300)
    assert s.cadence_ms(160_300) == pytest.approx(800)


def test_partials_get_a_turn_when_finals_never_stop():
    s = schedule(max_batch=1)
    starved = ticket(call="p", at=0)
    s.offer(starved, 0)
    lanes = []
    for i in range(8):
        s.offer(ticket("final", call=str(i), at=2_000), 2_000)
    for _ in range(8):
        batch = s.take(2_000).batch
        lanes.append(batch[0].request.lane)
        s.done(batch, 2_000)
    assert lanes.count("partial") == 1
    assert lanes.index("partial") == 3


def test_admission_counts_channels_load_and_waiting_finals():
    s = schedule(max_channels=4)
    s.admit(0)
    s.admit(0)
    with pytest.raises(Overloaded, match="4 recognition channels"):
        s.admit(0)
    s.admit(20_000)  # the two calls never sent anything

    busy = schedule(decoders=1)
    final = ticket("final")
    busy.offer(final, 0)
    busy.take(0)
    with pytest.raises(Overloaded, match="busy"):
        busy.admit(60_000)
    busy.done((final,), 60_000)
    busy.admit(120_000)

    behind = schedule()
    behind.offer(ticket("final", at=0), 0)
    with pytest.raises(Overloaded, match="behind"):
        behind.admit(2_000)


def test_a_burst_of_calls_is_not_admitted_on_yesterdays_load():
    s = schedule(max_channels=1000, new_call_decoders=0.1, admit_load=0.85)
    for _ in range(8):
        s.admit(0)
    with pytest.raises(Overloaded):
        s.admit(0)


def busy_schedule(calls, busy_share, **config):
    """A schedule that has seen ``calls`` calls for a minute, its one decoder busy for ``busy_share`` of the time."""
    s = schedule(decoders=1, max_channels=1000, **config)
    for half_second in range(120):
        at = 500 * half_second
        final = ticket("final", call=f"c{half_second // 2 % calls}", channel=("customer", "agent")[half_second % 2], at=at)
        s.offer(final, at)
        assert s.take(at).batch == (final,)
        s.done((final,), at + 500 * busy_share)
    return s


def test_a_further_call_is_reckoned_as_the_running_ones_are():
    light = busy_schedule(15, 0.68)  # 0.045 each
    light.admit(60_000)
    heavy = busy_schedule(2, 0.68)  # more than is usual
    with pytest.raises(Overloaded, match="busy"):
        heavy.admit(60_000)


def test_a_call_admitted_a_while_ago_counts_less_than_a_new_one():
    s = schedule(decoders=1, max_channels=1000, new_call_decoders=0.4, admit_load=0.85)
    s.admit(0)
    s.admit(0)
    with pytest.raises(Overloaded):
        s.admit(0)
    s.admit(14_900)


def test_after_the_rush_calls_are_admitted_again_within_ten_seconds():
    s = schedule(decoders=1, max_channels=1000)
    for n in range(40):  # every final waits five seconds
        final = ticket("final", call=f"c{n}", at=1000.0 * n)
        s.offer(final, 1000.0 * n)
        s.take(1000.0 * n + 5000)
        s.done((final,), 1000.0 * n + 5900)
    end = 44_900
    with pytest.raises(Overloaded):
        s.admit(end)
    s.admit(end + 10_000)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["partial", "final", "take", "done", "cancel"]),
            st.integers(min_value=0, max_value=3),
            st.integers(min_value=0, max_value=900),
        ),
        max_size=120,
    )
)
def test_every_final_is_decoded_once_and_every_partial_decoded_or_answered(steps):
    s, now = schedule(max_batch=3, partial_deadline_ms=1000), 0.0
    offered, taken, dropped, cancelled, running = [], [], [], [], []
    for kind, number, wait in steps:
        now += wait
        if kind in ("partial", "final"):
            new = ticket(kind, call=str(number), at=now, key=number % 2)
            offered.append(new)
            dropped += s.offer(new, now)
        elif kind == "take":
            decision = s.take(now)
            dropped += decision.dropped
            if decision.batch:
                taken += decision.batch
                running.append(decision.batch)
        elif kind == "done" and running:
            s.done(running.pop(0), now)
        elif kind == "cancel" and offered and s.withdraw(offered[number % len(offered)]):
            cancelled.append(offered[number % len(offered)])
        in_hand = [t.channel for batch in running for t in batch if t.request.lane == "partial"]
        assert len(in_hand) == len(set(in_hand))
        assert 0 <= s.load(now) <= 1
        assert s.waiting()[1] <= 4
    rest = s.drain()
    outcomes = [id(t) for t in [*taken, *dropped, *cancelled, *rest]]
    assert sorted(outcomes) == sorted(id(t) for t in offered)
    assert not any(t.request.lane == "final" for t in dropped)


# ------------------------------------------------------------------ speculative finals, first partials, saving


def special(lane="partial", call="c1", at=0.0, **flags):
    one = ticket(lane, call=call, at=at)
    one.request = replace(one.request, **flags)
    return one


def test_finals_then_first_partials_then_guesses_then_other_partials():
    s = schedule(max_batch=1)
    partial, guess = special(call="a"), special("final", call="b", speculative=True)
    opening, final = special(call="c", opening=True), special("final", call="d")
    for one in (partial, guess, opening, final):
        s.offer(one, 0)
    assert [s.take(0).batch for _ in range(4)] == [(final,), (opening,), (guess,), (partial,)]


def test_a_guess_waits_on_busy_decoders_until_it_is_confirmed():
    s = schedule(decoders=1, speculate_until=0.5)
    busy = special("final", call="busy")
    s.offer(busy, 0)
    s.take(0)
    s.done((busy,), 60_000)
    guess = special("final", speculative=True, at=60_000)
    s.offer(guess, 60_000)
    assert s.waiting() == (0, 0)
    assert s.take(60_000).batch == ()
    whole = replace(guess.request, pcm16=bytes(6400), speculative=False)
    assert s.confirm(whole, "k2", 60_300)
    assert s.waiting() == (1, 0)
    assert s.take(60_300).batch == (guess,)
    assert (guess.request, guess.key, guess.arrived_ms) == (whole, "k2", 60_300)


def test_a_guess_waits_a_little_once_partials_stretch():
    s = schedule(decoders=1, stretch_from=0.3, speculate_until=0.9, guess_patience_ms=150)
    quiet = special("final", speculative=True)
    s.offer(quiet, 0)
    assert s.take(0).batch == (quiet,)
    s.done((quiet,), 8_000)
    assert 0.3 < s.load(8_000) < 0.9
    guess = special("final", speculative=True, at=8_000)
    s.offer(guess, 8_000)
    decision = s.take(8_000)
    assert (decision.batch, decision.look_again_ms) == ((), 8_150)
    assert s.take(8_150).batch == (guess,)


def test_first_partials_are_spread_further_under_load():
    s = schedule(opening_cadence_ms=160, cadence_ms=800, stretch_from=0.0, stretch_to=0.01, decoders=1)
    first = special(opening=True)
    s.offer(first, 0)
    s.take(0)
    s.done((first,), 1000)
    s.offer(special(opening=True, at=400), 400)
    assert s.take(700).batch == ()
    idle = schedule(opening_cadence_ms=160)
    idle.offer(first, 0)
    idle.take(0)
    idle.done((first,), 100)
    again = special(opening=True, at=120)
    idle.offer(again, 120)
    assert idle.take(120).look_again_ms == 160
    assert idle.take(160).batch == (again,)


def test_confirming_what_does_not_wait_changes_nothing():
    s = schedule()
    guess = special("final", speculative=True)
    assert not s.confirm(guess.request, "k", 0)
    s.offer(guess, 0)
    assert s.take(0).batch == (guess,)
    assert not s.confirm(guess.request, "k", 1)
    assert s.waiting() == (0, 0)


def test_a_guess_can_be_withdrawn_and_is_drained():
    s = schedule()
    guess, other = special("final", speculative=True), special("final", call="b", speculative=True)
    s.offer(guess, 0)
    s.offer(other, 0)
    assert s.withdraw(guess)
    assert s.drain() == [other]
    assert s.take(0).batch == ()


def test_a_guess_counts_as_the_channels_partial():
    s = schedule(cadence_ms=800, max_cadence_ms=800)
    guess = special("final", speculative=True)
    s.offer(guess, 0)
    assert s.take(0).batch == (guess,)
    s.done((guess,), 100)
    partial = special(at=200)
    s.offer(partial, 200)
    assert s.take(200).look_again_ms == 800
    assert s.take(800).batch == (partial,)


def test_first_partials_do_not_wait_for_quieter_times():
    s = schedule(cadence_ms=800, max_cadence_ms=8000, stretch_from=0.0, stretch_to=0.01, decoders=1)
    first = special(opening=True)
    s.offer(first, 0)
    s.take(0)
    s.done((first,), 1000)  # nothing came of it
    again = special(opening=True, at=1000)
    s.offer(again, 1000)
    assert s.cadence_ms(1000) == 8000
    assert s.take(1000).batch == (again,)


def test_finals_are_batched_only_when_more_wait_than_decoders():
    s = schedule(decoders=1, max_batch=4)
    finals = [special("final", call=f"c{n}") for n in range(3)]
    for one in finals:
        s.offer(one, 0)
    assert s.take(0).batch == tuple(finals)
    s.done(tuple(finals), 10)
    s.offer(finals[0], 10)
    assert s.take(10).batch == (finals[0],)


def test_decodes_save_as_the_load_grows():
    s = schedule(decoders=1, economy_from=(0.3, 0.6))
    assert s.economy(0) == 0
    busy = special("final")
    s.offer(busy, 0)
    s.take(0)
    assert [s.economy(at) for at in (0, 6_000, 60_000)] == [0, 1, 2]
    s.done((busy,), 60_000)
    assert s.economy(200_000) == 0
