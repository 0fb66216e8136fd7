"""AudioHook, message by message, as the vendor documents version 2."""

from __future__ import annotations

import json

import pytest

from copilot.domain.audio import CallStart, CallStop, LanguageChanged, LegFormat, MediaFrame, MediaGap
from copilot.domain.errors import ConfigError, LocalProtocolError, RemoteProtocolError
from copilot.domain.events import SuggestionOffered
from copilot.domain.knowledge import Citation
from copilot.domain.transcript import TranscriptFinal, TranscriptPartial, Word
from streaming.telephony.audiohook_messages import MAX_TEXT_CHARS, duration_of, samples_of
from streaming.telephony.protocol import Opening, make_protocol

SESSION = "e160e428-53e2-487c-977d-96989bf5c99d"
OLD = "30b0e395-84d3-4570-ac13-9a62d8f514c0"
ORG = "d7934305-0972-4844-938e-9060eef73d05"
NULL = "00000000-0000-0000-0000-000000000000"
STEREO = {"type": "audio", "format": "PCMU", "channels": ["external", "internal"], "rate": 8000}
EXTERNAL = {"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000}
INTERNAL = {"type": "audio", "format": "PCMU", "channels": ["internal"], "rate": 8000}
OPEN = {
    "organizationId": ORG,
    "conversationId": "090eaa2f-72fa-480a-83e0-8667ff89c0ec",
    "participant": {
        "id": "883efee8-3d6c-4537-b500-6d7ca4b92fa0",
        "ani": "+1-555-555-1234",
        "aniName": "John Doe",
        "dnis": "+1-800-555-6789",
    },
    "media": [STEREO, EXTERNAL, INTERNAL],
    "language": "zh-CN",
}


class Client:
    """Counts as the client does."""

    def __init__(self, roles=None, **opening):
        headers = {"audiohook-session-id": SESSION, "audiohook-organization-id": ORG}
        self.parser = make_protocol("audiohook", roles or {}, Opening(**{"headers": headers, **opening}))
        self.seq = 0
        self.position = "PT0S"
        self.heard = []

    def text(self, kind, parameters=None, **changes):
        self.seq += 1
        body = {"version": "2", "id": SESSION, "type": kind, "seq": self.seq, "serverseq": len(self.heard), "position": self.position}
        return json.dumps(body | {"parameters": parameters or {}} | changes)

    def say(self, kind, parameters=None, **changes):
        events = self.parser.receive_text(self.text(kind, parameters, **changes))
        self.answers()
        return events

    def answers(self):
        new = [json.loads(text) for text in self.parser.messages_to_send()]
        self.heard += new
        return new

    def open(self, heard=0, **changes):
        (start,) = self.say("open", OPEN | changes)
        gaps = self.parser.accept("c-1", heard_samples=heard)
        return start, self.answers()[0], gaps


def frames(events):
    return [(event.channel, event.start_sample, event.payload) for event in events if isinstance(event, MediaFrame)]


def test_a_session_from_open_to_closed():
    client = Client()
    start, opened, _ = client.open()
    assert start == CallStart(
        external_id=SESSION,
        legs=(
            LegFormat(channel="customer", encoding="pcmu", sample_rate_hz=8000),
            LegFormat(channel="agent", encoding="pcmu", sample_rate_hz=8000),
        ),
        language="zh",
        metadata={
            "conversation_id": OPEN["conversationId"],
            "participant_id": OPEN["participant"]["id"],
            "organization_id": ORG,
            "ani": "+1-555-555-1234",
            "ani_name": "John Doe",
            "dnis": "+1-800-555-6789",
        },
    )
    assert opened == {
        "version": "2",
        "id": SESSION,
        "type": "opened",
        "seq": 1,
        "clientseq": 1,
        "parameters": {"media": [STEREO]},
    }
    assert frames(client.parser.receive_bytes(b"\x01\x81\x02\x82")) == [("customer", 0, b"\x01\x02"), ("agent", 0, b"\x81\x82")]
    assert frames(client.parser.receive_bytes(b"\x03\x83")) == [("customer", 2, b"\x03"), ("agent", 2, b"\x83")]
    assert client.say("ping", {"rtt": "PT0.012S"}) == []
    assert client.heard[-1] == {"version": "2", "id": SESSION, "type": "pong", "seq": 2, "clientseq": 2, "parameters": {}}
    assert client.say("close", {"reason": "end"}) == [CallStop(reason="hangup")]
    assert len(client.heard) == 2
    client.parser.queue_stopped(1000)
    (closed,) = client.answers()
    assert (closed["type"], closed["seq"], closed["clientseq"]) == ("closed", 3, 3)
    assert client.parser.receive_bytes(b"\x01\x02") == []
    client.parser.queue_error("Too late.", 1011)
    assert client.answers() == []


def test_both_sides_are_preferred_and_one_side_is_taken():
    assert Client().open(media=[EXTERNAL, INTERNAL, STEREO])[1]["parameters"]["media"] == [STEREO]
    start, opened, _ = Client().open(media=[INTERNAL])
    assert opened["parameters"]["media"] == [INTERNAL]
    assert [leg.channel for leg in start.legs] == ["agent"]
    assert [leg.channel for leg in Client().open(media=[INTERNAL, EXTERNAL])[0].legs] == ["customer"]
    wide = STEREO | {"format": "L16"}
    assert Client().open(media=[wide, STEREO])[1]["parameters"]["media"] == [STEREO]
    client = Client(roles={"external": "agent", "internal": "customer"})
    start = client.open(media=[wide])[0]
    assert [(leg.channel, leg.encoding) for leg in start.legs] == [("agent", "pcm_s16le"), ("customer", "pcm_s16le")]
    assert frames(client.parser.receive_bytes(b"\x01\x02\x03\x04")) == [("agent", 0, b"\x01\x02"), ("customer", 0, b"\x03\x04")]


@pytest.mark.parametrize(
    "media", [[], [STEREO | {"rate": 16000}], [STEREO | {"format": "OPUS"}], [{"channels": {}}], ["x"], [EXTERNAL | {"channels": ["x"]}]]
)
def test_media_that_cannot_be_used(media):
    with pytest.raises(RemoteProtocolError) as caught:
        Client().say("open", OPEN | {"media": media})
    assert caught.value.code == 1003


def test_a_connection_probe_opens_no_call():
    client = Client()
    assert client.say("open", OPEN | {"conversationId": NULL, "participant": OPEN["participant"] | {"id": NULL}}) == []
    assert client.heard[-1]["parameters"] == {"media": []}
    assert client.say("ping") == []
    assert client.say("close", {"reason": "end"}) == []
    assert [message["type"] for message in client.heard] == ["opened", "pong", "closed"]


def test_the_client_pauses_and_resumes():
    client = Client()
    client.open()
    client.parser.receive_bytes(bytes(1600))
    client.say("paused")
    with pytest.raises(RemoteProtocolError) as caught:
        client.parser.receive_bytes(b"\x01\x81")
    assert caught.value.code == 1002
    client = Client()
    client.open()
    client.parser.receive_bytes(bytes(1600))
    client.say("paused")
    gaps = client.say("resumed", {"start": "PT0.1S", "discarded": "PT2.5S"})
    assert gaps == [MediaGap(channel=channel, start_sample=800, samples=20_000, reason="paused") for channel in ("customer", "agent")]
    assert frames(client.parser.receive_bytes(b"\x01\x81"))[0] == ("customer", 20_800, b"\x01")


def test_the_server_pauses_for_card_data():
    client = Client()
    client.parser.queue_pause(True)
    assert client.answers() == [], "nothing may be asked before the session is open"
    client.open()
    client.parser.queue_pause(True)
    assert [m["type"] for m in client.answers()] == ["pause"]
    client.parser.receive_bytes(bytes(4))  # on its way
    client.say("paused")
    client.parser.queue_pause(False)
    assert [m["type"] for m in client.answers()] == ["resume"]
    assert len(client.say("resumed", {"start": "PT0.00025S", "discarded": "PT1S"})) == 2


def test_discarded_audio_is_a_gap_and_told_twice_it_is_one():
    client = Client()
    client.open()
    client.parser.receive_bytes(bytes(1600))
    gaps = client.say("discarded", {"start": "PT0.1S", "discarded": "PT0.4S"})
    assert [(g.start_sample, g.samples, g.reason) for g in gaps] == [(800, 3200, "lost")] * 2
    assert client.say("discarded", {"start": "PT0.1S", "discarded": "PT0.4S"}) == []
    with pytest.raises(RemoteProtocolError, match="24 hours"):
        client.say("discarded", {"start": "PT0S", "discarded": "PT90000S"})


def test_a_continued_session_goes_on_without_a_sample_twice():
    continued = [{"id": NULL, "serverseq": 1, "clientseq": 1}, {"id": OLD, "serverseq": 3, "clientseq": 9}]
    client = Client()
    client.position = "PT0.5S"
    (start,) = client.say("open", OPEN | {"continuedSessions": continued})
    assert client.parser.resumes_at == 4000
    assert client.parser.continues == (OLD, NULL), "the latest is the likeliest"
    assert start.external_id == SESSION
    assert client.parser.accept("c-1", heard_samples=4800) == []
    assert client.answers()[0]["parameters"]["discardTo"] == "PT0.6S"
    # The client may discard what we know, or part of it, or send it all the same.
    assert client.say("discarded", {"start": "PT0.5S", "discarded": "PT0.05S"}) == []
    assert client.parser.receive_bytes(bytes(2 * 300)) == []
    assert frames(client.parser.receive_bytes(bytes(2 * 100) + b"\x01\x81")) == [("customer", 4800, b"\x01"), ("agent", 4800, b"\x81")]


def test_a_continued_session_that_lost_audio_has_a_gap():
    client = Client()
    client.position = "PT2S"
    _, opened, gaps = client.open(heard=8000, continuedSessions=[{"id": OLD, "serverseq": 1, "clientseq": 1}])
    assert "discardTo" not in opened["parameters"]
    assert [(g.start_sample, g.samples, g.reason) for g in gaps] == [(8000, 8000, "reconnect")] * 2
    assert frames(client.parser.receive_bytes(b"\x01\x81"))[0] == ("customer", 16_000, b"\x01")


def test_a_continued_session_whose_call_is_gone_begins_at_zero():
    client = Client(events=True)
    client.position = "PT2S"
    (start,) = client.say("open", OPEN | {"continuedSessions": [{"id": OLD, "serverseq": 1, "clientseq": 1}]})
    assert client.parser.start_anew() == start
    assert client.parser.resumes_at is None
    client.parser.accept("c-1")
    client.answers()
    assert frames(client.parser.receive_bytes(b"\x01\x81"))[0] == ("customer", 0, b"\x01")
    gaps = client.say("discarded", {"start": "PT2.000125S", "discarded": "PT1S"})
    assert (gaps[0].start_sample, gaps[0].samples) == (1, 8000)
    client.parser.queue_event(partial(start_ms=500))
    assert client.answers()[0]["parameters"]["entities"][0]["data"]["offset"] == "PT2.5S"


def test_the_language_may_change_and_an_unknown_one_is_no_reason_to_refuse():
    client = Client()
    client.open(language="fr-FR", supportedLanguages=True)
    assert client.heard[0]["parameters"]["supportedLanguages"] == ["zh-CN", "en-US"]
    assert client.say("update", {"language": "en-US"}) == [LanguageChanged(language="en")]
    assert client.heard[-1]["type"] == "updated"
    assert client.say("update", {"language": "fr"}) == []


def test_a_client_that_will_reconnect_does_not_end_the_call():
    client = Client()
    client.open()
    assert client.parser.resumable
    assert client.say("close", {"reason": "reconnect"}) == [CallStop(reason="peer_closed")]
    assert client.heard[-1]["type"] == "closed"


def test_errors_of_the_client_are_heard():
    client = Client()
    client.open()
    assert client.say("error", {"code": 429, "message": "Too fast", "retryAfter": "PT3S"}) == []
    with pytest.raises(RemoteProtocolError):
        client.say("error", {"code": "x"})


@pytest.mark.parametrize(
    ("code", "reason"),
    [(1002, "error"), (1011, "error"), (4401, "unauthorized"), (4403, "unauthorized")],
)
def test_a_disconnect_waits_for_the_clients_close(code, reason):
    client = Client()
    client.open()
    client.parser.queue_error("A sentence.", code)
    (disconnect,) = client.answers()
    assert disconnect["parameters"] == {"reason": reason, "info": "A sentence."}
    assert client.parser.receive_bytes(b"\x01\x81") == []
    assert client.say("ping") == []
    assert client.say("close", {"reason": "disconnect"}) == []
    assert [m["type"] for m in client.heard] == ["opened", "disconnect", "closed"]
    assert client.parser.farewell_s > 0
    assert client.parser.closing_s < 10, "the client's close timer"


def test_a_refused_client_is_told_so_when_it_opens():
    client = Client(refused="This X-API-KEY is not known.")
    with pytest.raises(RemoteProtocolError, match="not known") as caught:
        client.say("open", OPEN)
    client.parser.queue_error(str(caught.value), caught.value.code)
    assert client.answers()[0]["parameters"]["reason"] == "unauthorized"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"version": "1"}, 1002),
        ({"id": OLD}, 1002),
        ({"id": "x"}, 1007),
        ({"seq": 3}, 1002),
        ({"seq": 1}, 1002),
        ({"seq": True}, 1007),
        ({"seq": "2"}, 1007),
        ({"serverseq": 2}, 1002),
        ({"serverseq": -1}, 1007),
        ({"position": "PT1M"}, 1007),
        ({"position": 1}, 1007),
        ({"position": "PT" + "9" * 40 + "S"}, 1007),
        ({"type": "dance"}, 1002),
        ({"type": 7}, 1002),
        ({"type": "open"}, 1002),
        ({"type": "opened"}, 1002),
        ({"parameters": ["x"]}, 1007),
        ({"type": "close"}, 1007),
        ({"type": "discarded"}, 1007),
        ({"type": "resumed", "parameters": {"start": "PT0S"}}, 1007),
        ({"parameters": {"rtt": "soon"}}, 1007),
    ],
)
def test_a_message_out_of_line(changes, code):
    client = Client()
    client.open()
    with pytest.raises(RemoteProtocolError) as caught:
        client.say("ping", **changes)
    assert caught.value.code == code
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"organizationId": OLD}, 4401),
        ({"organizationId": None}, 1007),
        ({"conversationId": "x"}, 1007),
        ({"participant": None}, 1007),
        ({"participant": {"id": OLD, "ani": 7}}, 1007),
        ({"media": {}}, 1007),
        ({"continuedSessions": {}}, 1007),
        ({"continuedSessions": [{}]}, 1007),
        ({"continuedSessions": [{"id": "x", "serverseq": 1, "clientseq": 1}]}, 1007),
        ({"continuedSessions": [7]}, 1007),
    ],
)
def test_an_open_that_cannot_be(changes, code):
    with pytest.raises(RemoteProtocolError) as caught:
        Client().say("open", OPEN | changes)
    assert caught.value.code == code


def test_texts_are_limited_and_must_be_json():
    client = Client()
    for text, code in (("{", 1007), ("[]", 1007), ("x" * (MAX_TEXT_CHARS + 1), 1009)):
        with pytest.raises(RemoteProtocolError) as caught:
            client.parser.receive_text(text)
        assert caught.value.code == code


def test_audio_before_the_session_is_open_and_calls_in_the_wrong_order():
    client = Client()
    with pytest.raises(RemoteProtocolError):
        client.parser.receive_bytes(b"\x01\x02")
    with pytest.raises(LocalProtocolError):
        client.parser.accept("c-1")
    client.say("open", OPEN)
    with pytest.raises(LocalProtocolError):
        client.parser.receive_bytes(b"\x01\x02")
    with pytest.raises(LocalProtocolError):
        client.say("ping")
    with pytest.raises(ConfigError):
        Client(roles={"external": "agent", "internal": "agent"})


# ---------------------------------------------------------------------- events


def partial(**changes):
    fields = {
        "channel": "agent",
        "utterance_id": "agent-1",
        "start_ms": 1200,
        "end_ms": 2450,
        "stable": "请问",
        "unstable": "您",
        "language": "zh",
    }
    return TranscriptPartial(**fields | changes)


def final(text="请问您", words=()):
    return TranscriptFinal(
        channel="agent", utterance_id="agent-1", start_ms=1200, end_ms=2450, text=text, language="zh", confidence=0.93456, words=words
    )


def test_transcripts_go_back_where_the_integration_asks_for_it():
    client = Client()
    client.open()
    client.parser.queue_event(final())
    assert (client.answers(), client.parser.wants_events) == ([], False)
    client = Client(events=True)
    client.parser.queue_event(final())
    assert client.answers() == [], "not before the session is open"
    client.open()
    assert client.parser.wants_events
    client.parser.queue_event(partial())
    words = (Word(text="请问", start_ms=1200, end_ms=1700, confidence=0.9), Word(text="您", start_ms=1700, end_ms=1900, confidence=1.2))
    client.parser.queue_event(final(words=words))
    first, second = (m["parameters"]["entities"][0] for m in client.answers())
    assert first["type"] == second["type"] == "transcript"
    assert first["data"]["id"] == second["data"]["id"]
    assert (first["data"]["isFinal"], second["data"]["isFinal"]) == (False, True)
    assert (second["data"]["channelId"], second["data"]["offset"], second["data"]["duration"]) == (1, "PT1.2S", "PT1.25S")
    (alternative,) = second["data"]["alternatives"]
    assert alternative["confidence"] == 0.9346
    (shown,) = alternative["interpretations"]
    assert shown["transcript"] == "请问您"
    assert shown["tokens"][0] == {"type": "word", "value": "请问", "confidence": 0.9, "offset": "PT1.2S", "duration": "PT0.5S"}
    assert shown["tokens"][1]["confidence"] == 1.0


def test_words_that_are_not_the_masked_text_stay_here():
    client = Client(events=True)
    client.open()
    words = (Word(text="6222", start_ms=1200, end_ms=1700, confidence=0.9),)
    client.parser.queue_event(final("【卡号#1】", words))
    assert "6222" not in json.dumps(client.answers())


def card(kind, **changes):
    source = Citation(article_id="a1", version=3, passage_id="a1:2", title="提前还款", section="", quote="满一年不收违约金。")
    fields = {
        "suggestion_id": "s1",
        "kind": kind,
        "confidence": 0.8,
        "trigger": "customer-1",
        "at_ms": 3000,
        "title": "提前还款",
        "text": "满一年 <免> 费\n好",
    }
    return SuggestionOffered(**fields | {"citations": (source,)} | changes)


def test_cards_go_back_as_faq_and_article():
    client = Client(events=True)
    client.open()
    for kind in ("faq", "article", "reply", "alert", "action", "nothing"):
        client.parser.queue_suggestion(card(kind))
    sent = [m["parameters"]["entities"][0] for m in client.answers()]
    assert [e["type"] for e in sent] == ["agentassist"] * 3
    faq, article, reply = (e["data"]["suggestions"][0] for e in sent)
    assert (faq["type"], faq["question"], faq["answer"]) == ("faq", "提前还款", "满一年 &lt;免&gt; 费<br>好")
    assert (faq["confidence"], faq["position"]) == (0.8, "PT3S")
    assert (article["type"], article["documentUri"]) == ("article", "urn:pangting:article:a1:3")
    assert reply["type"] == "faq"
    client.parser.queue_suggestion(card("faq", text="x" * 70_000))
    client.parser.queue_pause(True)
    (pause,) = client.answers()
    assert pause["seq"] == 5, "a message that is too long is not sent, and leaves no hole in the numbers"


@pytest.mark.parametrize(("samples", "text"), [(0, "PT0S"), (8000, "PT1S"), (9600, "PT1.2S"), (1, "PT0.000125S"), (80_000, "PT10S")])
def test_durations(samples, text):
    assert duration_of(samples) == text
    assert samples_of(text, "x") == samples
    assert samples_of("PT.5S", "x") == 4000
