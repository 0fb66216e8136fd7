"""What every telephony parser must do, whatever it speaks: the contract of ``TelephonyProtocol``, run over the whole registry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot.domain.audio import CallStart, CallStop, MediaFrame
from copilot.domain.errors import ConfigError, LocalProtocolError, RemoteProtocolError
from streaming.callers import CALLERS
from streaming.telephony.auto import DETECTABLE, WAIT, detect
from streaming.telephony.protocol import PROTOCOLS, make_protocol
from tests.fakes.conversations import CALL_ID, OTHER_ID, messages_of, parser_of, recording_of, recut, samples_by_channel, shuffled, told

NAMES = sorted(CALLERS)
SPEAKING = ("raw", "audiohook")
"""Protocols whose peer is spoken to."""
FREE_TEXT = ("freeswitch", "jambonz", "vonage")
"""Protocols in which a text between the audio may be anything."""
CLOSE_CODES = {1002, 1003, 1007, 1009}
ANY_MESSAGE = st.one_of(
    st.binary(max_size=64),
    st.text(max_size=64),
    st.sampled_from(["", "null", "[]", "{}", '{"event":null}', '{"event":"start"}', '{"event":"media","media":{}}', "[" * 3000]),
)


def id_of(name, call_id=CALL_ID):
    return f"{call_id}-customer" if name == "asterisk" else call_id


def refusal(parser, messages):
    with pytest.raises(RemoteProtocolError) as caught:
        told(parser, messages)
    assert caught.value.code in CLOSE_CODES
    assert str(caught.value).endswith(".")
    return caught.value


def test_every_protocol_has_a_caller_to_try_it_with():
    assert set(CALLERS) == set(PROTOCOLS) - {"auto"}


@pytest.mark.parametrize("name", NAMES)
def test_a_call_comes_out_as_it_went_in(name):
    recording = recording_of(name)
    parser = parser_of(name, recording)
    events = told(parser, messages_of(name, recording, metadata={"agent": "li.na", "language": "zh"})) + parser.receive_eof()
    start = events[0]
    assert isinstance(start, CallStart)
    assert start.external_id == id_of(name)
    if name != "audiosocket":  # its announcement says everything
        assert start.metadata["agent"] == "li.na"
        assert start.language == "zh"
    assert [leg.channel for leg in start.legs][: recording.channels] == ["customer", "agent"][: recording.channels]
    assert {(leg.encoding, leg.sample_rate_hz) for leg in start.legs} == {(recording.encoding, recording.rate_hz)}
    heard = samples_by_channel(events)
    for index, channel in enumerate(["customer", "agent"][: recording.channels]):
        assert heard[channel].tolist() == recording.samples[:, index].tolist()
    assert [event for event in events if isinstance(event, CallStop)] == [CallStop(reason="hangup")]


@pytest.mark.parametrize("name", NAMES)
def test_roles_are_the_integrations_to_say(name):
    recording = recording_of(name)
    roles = {"asterisk": {"customer": "agent"}, "audiosocket": {"media": "agent"}}.get(name)
    if roles is None:
        first, second = PROTOCOLS[name].tracks[:2]
        roles = {first: "agent", second: "customer"}
    events = told(parser_of(name, recording, roles), messages_of(name, recording))
    heard = samples_by_channel(events)
    assert heard["agent"].tolist() == recording.samples[:, 0].tolist()
    if recording.channels == 2:
        assert heard["customer"].tolist() == recording.samples[:, 1].tolist()


@pytest.mark.parametrize("name", [name for name in NAMES if len(PROTOCOLS[name].tracks) == 2])
def test_roles_that_cannot_be_are_refused_when_the_integration_is_checked(name):
    first, second = PROTOCOLS[name].tracks
    for roles in ({first: "agent", second: "agent"}, {"sideways": "agent"}, {first: "nobody", second: "agent"}):
        with pytest.raises(ConfigError, match=name):
            make_protocol(name, roles)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SPEAKING])
def test_a_peer_that_is_only_listened_to_is_told_nothing(name):
    recording = recording_of(name)
    parser = parser_of(name, recording)
    assert not parser.wants_events
    told(parser, messages_of(name, recording))
    parser.queue_stopped(1000)
    parser.queue_error("Something went wrong.", 1002)
    assert list(parser.messages_to_send()) == []


@pytest.mark.parametrize("name", NAMES)
def test_the_shell_must_keep_the_order_too(name):
    recording = recording_of(name)
    messages = messages_of(name, recording)
    parser = parser_of(name, recording)
    with pytest.raises(LocalProtocolError):
        parser.accept(CALL_ID)
    with pytest.raises(LocalProtocolError):
        told(parser, messages, accept=False)
    parser = parser_of(name, recording)
    told(parser, messages)
    with pytest.raises(LocalProtocolError):
        parser.accept(CALL_ID)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "freeswitch"])
def test_audio_before_the_start_is_refused(name):
    recording = recording_of(name)
    caller = CALLERS[name].make(recording, CALL_ID, {})
    list(caller.opening())
    refusal(parser_of(name, recording), next(caller.frames()))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in FREE_TEXT])
def test_a_second_start_is_refused(name):
    recording = recording_of(name)
    opening = list(CALLERS[name].make(recording, CALL_ID, {}).opening())
    refusal(parser_of(name, recording), [*opening, opening[-1]])


@pytest.mark.parametrize("name", NAMES)
def test_a_line_that_breaks_anywhere_keeps_what_was_heard(name):
    recording = recording_of(name)
    messages = messages_of(name, recording)
    for length in range(len(messages)):
        parser = parser_of(name, recording)
        events = told(parser, messages[:length])
        events += [event for event in parser.receive_eof() if isinstance(event, MediaFrame)]
        if events:
            heard = samples_by_channel(events)["customer"]
            assert heard.tolist() == recording.samples[: len(heard), 0].tolist()


@pytest.mark.parametrize("name", NAMES)
@given(cuts=st.lists(st.floats(0, 1, exclude_max=True), max_size=10))
@settings(max_examples=15, deadline=None)
def test_bytes_may_be_cut_anywhere(name, cuts):
    recording = recording_of(name, ms=90)
    messages = messages_of(name, recording)
    whole = samples_by_channel(told(parser_of(name, recording), messages))
    again = samples_by_channel(told(parser_of(name, recording), recut(messages, cuts)))
    assert {channel: samples.tolist() for channel, samples in again.items()} == {
        channel: samples.tolist() for channel, samples in whole.items()
    }


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 2**32), junk=st.lists(ANY_MESSAGE, max_size=3), at=st.integers(0, 10))
@settings(max_examples=40, deadline=None)
def test_any_order_and_any_junk_is_taken_or_refused(name, seed, junk, at):
    recording = recording_of(name, ms=60)
    messages = messages_of(name, recording)
    for conversation in (shuffled(messages, seed), [*messages[:at], *junk, *messages[at:]]):
        parser = parser_of(name, recording)
        try:
            events = told(parser, conversation)
        except RemoteProtocolError as error:
            assert error.code in CLOSE_CODES  # noqa: PT017 - being taken is as good
            assert str(error).endswith(".")  # noqa: PT017
        else:
            events += parser.receive_eof()
            if events:
                samples_by_channel([event for event in events if not isinstance(event, CallStop)])


@pytest.mark.parametrize("name", NAMES)
def test_two_calls_do_not_know_of_each_other(name):
    first, second = recording_of(name, seed=1), recording_of(name, seed=2)
    parsers = [parser_of(name, first), parser_of(name, second, call_id=OTHER_ID)]
    events = [[], []]
    for pair in zip(messages_of(name, first, CALL_ID), messages_of(name, second, OTHER_ID), strict=True):
        for index, message in enumerate(pair):
            events[index] += told(parsers[index], [message])
    for index, recording in enumerate((first, second)):
        assert events[index][0].external_id == id_of(name, (CALL_ID, OTHER_ID)[index])
        assert samples_by_channel(events[index])["customer"].tolist() == recording.samples[:, 0].tolist()


@pytest.mark.parametrize("name", DETECTABLE)
def test_the_protocol_is_recognised(name):
    recording = recording_of(name)
    parser = parser_of(name, recording, protocol="auto")
    events = told(parser, messages_of(name, recording))
    assert parser.name == name
    assert samples_by_channel(events)["customer"].tolist() == recording.samples[:, 0].tolist()


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(DETECTABLE)))
def test_a_protocol_with_needs_of_its_own_is_sent_to_its_own_path(name):
    recording = recording_of(name)
    parser = parser_of(name, recording, protocol="auto", roles={"inbound": "customer"})
    assert "/v1/auto" in str(refusal(parser, messages_of(name, recording)))


@given(message=ANY_MESSAGE, subprotocol=st.sampled_from([None, "", "chat", "audio.drachtio.org", "audio.jambonz.org"]))
@settings(max_examples=150, deadline=None)
def test_what_is_not_recognised_is_refused(message, subprotocol):
    try:
        name = detect(subprotocol, message)
    except RemoteProtocolError as error:
        assert str(error).endswith(".")  # noqa: PT017 - recognising is as good
    else:
        assert name in {*DETECTABLE, WAIT}


def strangers():
    """FreeSWITCH's metadata is free-form, so that it cannot tell; SignalWire speaks Twilio's own dialect."""
    for name in NAMES:
        for other in NAMES:
            if name not in (other, "freeswitch") and {name, other} != {"twilio", "signalwire"}:
                yield name, other


@pytest.mark.parametrize(("name", "other"), list(strangers()))
def test_a_peer_on_the_wrong_path_is_refused(name, other):
    recording = recording_of(other)
    refusal(parser_of(name, recording), messages_of(other, recording))


def test_gaps_keep_the_clock_of_numbered_streams():
    for name in ("twilio", "signalwire", "telnyx", "plivo", "exotel"):
        recording = recording_of(name, ms=400)
        caller = CALLERS[name].make(recording, CALL_ID, {})
        opening, frames, closing = list(caller.opening()), list(caller.frames()), list(caller.closing())
        del frames[5:8]
        events = told(parser_of(name, recording), [*opening, *(m for frame in frames for m in frame), *closing])
        heard = samples_by_channel(events)["customer"]
        expected = recording.samples[:, 0].copy()
        step = recording.rate_hz // 50
        expected[5 * step : 8 * step] = 0
        assert np.array_equal(heard, expected), name
