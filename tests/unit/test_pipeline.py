import pytest

from copilot.domain.transcript import Hypothesis, SpeechEnded, SpeechStarted
from streaming.effects import CancelPartial, Confirm, EmitFinal, EmitPartial, EmitSpeech, Transcribe
from streaming.pipeline import ChannelPipeline, PipelineConfig
from tests.fakes.tone_speech import ToneVad, recognise, silence, story, tone


class Desk:
    """A pipeline whose requests are answered at once, late, or never, as the test says."""

    def __init__(self, *, answer=True, config=None, **kwargs):
        self.now = 0.0
        self.vad = ToneVad()
        self.pipeline = ChannelPipeline(
            call_id="c1", channel="customer", language="zh", vad=self.vad, clock_ms=lambda: self.now, config=config, **kwargs
        )
        self.answer = answer
        self.asked: list[Transcribe] = []
        self.cancelled: list[str] = []
        self.confirmed = []
        self.finals = []
        self.partials = []
        self.speech = []
        self.at_ms = 0

    def run(self, effects):
        for effect in effects:
            match effect:
                case Transcribe():
                    self.asked.append(effect)
                    if self.answer:
                        self.run(self.pipeline.receive_hypothesis(effect.tag, recognise(effect.request)))
                case EmitPartial(partial=partial):
                    self.partials.append(partial)
                case EmitFinal(final=final):
                    self.finals.append(final)
                case EmitSpeech(event=event):
                    self.speech.append(event)
                case CancelPartial(tag=tag):
                    self.cancelled.append(tag)
                case Confirm(request=request):
                    self.confirmed.append(request)

    def hear(self, pcm, chunk_ms=20):
        size = chunk_ms * 32
        for offset in range(0, len(pcm), size):
            piece = pcm[offset : offset + size]
            self.run(self.pipeline.receive_audio(piece, self.at_ms))
            self.at_ms += len(piece) // 32
            self.now += len(piece) / 32
        return self

    def lane(self, lane):
        return [ask for ask in self.asked if ask.request.lane == lane]


def test_two_utterances_with_times_and_timings():
    desk = Desk().hear(silence(1000) + tone("春夏秋冬") + silence(1000) + tone("东南西") + silence(1000))
    assert [final.text for final in desk.finals] == ["春夏秋冬", "东南西"]
    first, second = desk.finals
    assert (first.utterance_id, second.utterance_id) == ("customer-1", "customer-2")
    assert abs(first.start_ms - 1000) <= 32
    assert abs(first.end_ms - 1800) <= 32
    assert abs(second.start_ms - 2800) <= 32
    assert [word.text for word in first.words] == list("春夏秋冬")
    assert abs(first.words[2].start_ms - 1400) <= 32
    assert 400 <= first.timings.endpoint_ms <= 500
    assert 400 <= first.timings.after_speech_ms <= 520
    assert [type(event) for event in desk.speech] == [SpeechStarted, SpeechEnded, SpeechStarted, SpeechEnded]


def test_silence_asks_for_nothing_and_memory_stays_bounded():
    desk = Desk().hear(silence(60_000))
    assert desk.asked == []
    assert len(desk.pipeline._pcm) < 32_000


def test_the_final_was_decoded_during_the_pause():
    desk = Desk().hear(tone("春夏秋冬") + silence(1000))
    assert len(desk.lane("final")) == 1
    assert desk.finals[0].text == "春夏秋冬"


def test_a_pause_that_was_none_discards_the_speculation():
    desk = Desk(answer=False).hear(tone("春夏秋冬") + silence(300) + tone("东南") + silence(1000))
    early, late = desk.lane("final")
    assert early.tag in desk.cancelled
    desk.run(desk.pipeline.receive_hypothesis(early.tag, recognise(early.request)))
    assert desk.finals == []
    desk.run(desk.pipeline.receive_hypothesis(late.tag, recognise(late.request)))
    assert [final.text for final in desk.finals] == ["春夏秋冬东南"]


def test_partials_grow_and_the_stable_part_is_never_taken_back():
    desk = Desk().hear(tone(story(25)) + silence(600))
    assert len(desk.partials) > 5
    for before, after in zip(desk.partials, desk.partials[1:], strict=False):
        assert after.stable.startswith(before.stable)
    assert desk.partials[0].end_ms <= 800
    assert story(25).startswith(desk.partials[-1].stable)
    assert len(desk.partials[-1].stable) >= 20


def test_a_long_utterance_costs_in_proportion_to_its_length():
    desk = Desk().hear(tone(story(100)) + silence(600))
    lengths = [len(ask.request.pcm16) // 32 for ask in desk.lane("partial")]
    assert max(lengths) <= 8_000
    assert story(100).startswith(desk.partials[-1].stable)
    assert len(desk.partials[-1].stable) > 90
    assert [final.text for final in desk.finals] == [story(100)]


def test_partial_windows_stay_bounded_when_nothing_agrees():
    desk = Desk(answer=False)
    count = 0
    for character in story(100):
        desk.hear(tone(character))
        while count < len(desk.asked):
            ask = desk.asked[count]
            count += 1
            if ask.request.lane == "partial":
                made_up = Hypothesis(
                    text=f"{'东西南北'[count % 4]}春夏秋冬", language="zh", avg_logprob=-1, no_speech_prob=0, compression_ratio=1
                )
                desk.run(desk.pipeline.receive_hypothesis(ask.tag, made_up))
    assert max(len(ask.request.pcm16) // 32 for ask in desk.lane("partial")) <= 8_000


def test_endless_speech_is_cut_without_losing_or_repeating_a_character():
    text = story(300)  # 60 s
    desk = Desk().hear(tone(text) + silence(600))
    assert len(desk.finals) >= 3
    assert "".join(final.text for final in desk.finals) == text
    assert all(final.end_ms - final.start_ms <= 22_000 for final in desk.finals)
    assert max(len(ask.request.pcm16) for ask in desk.asked) <= 30_000 * 32


def test_a_gap_closes_the_utterance_and_time_goes_on_after_it():
    desk = Desk().hear(tone("春夏秋冬"))
    desk.at_ms += 5_000
    desk.hear(tone("东南西") + silence(600))
    assert [final.text for final in desk.finals] == ["春夏秋冬", "东南西"]
    assert abs(desk.finals[1].start_ms - 5_800) <= 32
    assert desk.vad.resets >= 1


def test_a_small_hole_is_filled_so_that_times_stay_right():
    desk = Desk().hear(tone("春夏"))
    desk.at_ms += 100
    desk.hear(tone("秋冬") + silence(600))
    assert [final.text for final in desk.finals] == ["春夏秋冬"]
    assert abs(desk.finals[0].words[2].start_ms - 500) <= 2


def test_audio_sent_twice_is_heard_once():
    pcm = tone("春夏秋冬")
    desk = Desk().hear(pcm)
    desk.at_ms -= 400
    desk.hear(pcm[-400 * 32 :] + silence(600))
    assert [final.text for final in desk.finals] == ["春夏秋冬"]


def test_hanging_up_mid_word_keeps_what_was_heard():
    desk = Desk().hear(silence(500) + tone("春夏秋"))
    assert desk.finals == []
    desk.run(desk.pipeline.flush())
    assert [final.text for final in desk.finals] == ["春夏秋"]
    assert desk.pipeline.flush() == []


def test_audio_that_stops_coming_closes_the_utterance():
    desk = Desk().hear(tone("春夏秋"))
    assert desk.pipeline.tick(desk.now + 1_000) == []
    desk.run(desk.pipeline.tick(desk.now + 2_000))
    assert [final.text for final in desk.finals] == ["春夏秋"]


def test_finals_come_in_media_order_whatever_order_they_are_decoded_in():
    desk = Desk(answer=False).hear(tone("春夏秋") + silence(600) + tone("东南西") + silence(600))
    first, second = desk.lane("final")
    desk.run(desk.pipeline.receive_hypothesis(second.tag, recognise(second.request)))
    assert desk.finals == []
    assert desk.pipeline.waiting == 2
    desk.run(desk.pipeline.receive_hypothesis(first.tag, recognise(first.request)))
    assert [final.text for final in desk.finals] == ["春夏秋", "东南西"]
    assert desk.pipeline.waiting == 0


def test_a_failed_final_is_asked_again_once_and_then_partials_are_kept():
    desk = Desk(answer=False).hear(tone("春夏秋冬东南"))
    for ask in desk.lane("partial"):
        desk.run(desk.pipeline.receive_hypothesis(ask.tag, recognise(ask.request)))
    shown = desk.partials[-1]
    desk.hear(silence(600))
    (ask,) = desk.lane("final")
    desk.run(desk.pipeline.receive_hypothesis(ask.tag, None))
    retry = desk.lane("final")[1]
    (confirmed,) = desk.confirmed
    assert retry.request.pcm16 == confirmed.pcm16
    desk.run(desk.pipeline.receive_hypothesis(retry.tag, None))
    (final,) = desk.finals
    assert final.text == shown.stable + shown.unstable
    assert final.confidence < 0.5


def test_rejected_text_is_withdrawn_and_never_becomes_context():
    desk = Desk(answer=False, config=PipelineConfig(context_chars=20)).hear(tone("春夏秋冬东"))
    partial = desk.lane("partial")[0]
    desk.run(desk.pipeline.receive_hypothesis(partial.tag, recognise(partial.request)))
    assert desk.partials
    desk.hear(silence(600))
    refused = Hypothesis(text="", language="zh", avg_logprob=-3, no_speech_prob=1, compression_ratio=0, rejected="no_speech")
    desk.run(desk.pipeline.receive_hypothesis(desk.lane("final")[0].tag, refused))
    assert desk.finals == []
    assert (desk.partials[-1].stable, desk.partials[-1].unstable) == ("", "")
    desk.hear(tone("东南西") + silence(600))
    assert desk.lane("final")[1].request.previous_text == ""


def test_stale_partials_are_ignored():
    desk = Desk(answer=False).hear(tone(story(10)))
    old, new = desk.lane("partial")[:2]
    desk.run(desk.pipeline.receive_hypothesis(new.tag, recognise(new.request)))
    shown = list(desk.partials)
    desk.run(desk.pipeline.receive_hypothesis(old.tag, recognise(old.request)))
    assert desk.partials == shown


def test_half_a_sample_is_refused():
    with pytest.raises(ValueError, match="even"):
        Desk().pipeline.receive_audio(b"\0", 0)


# ------------------------------------------------------------------ decoding ahead of the endpoint


def test_a_pause_that_was_the_end_confirms_its_guess_with_the_whole_tail():
    desk = Desk(answer=False).hear(tone("春夏秋") + silence(600))
    (guess,) = desk.lane("final")
    (confirmed,) = desk.confirmed
    assert guess.request.speculative
    assert not confirmed.speculative
    assert confirmed.request_id == guess.request.request_id
    assert confirmed.pcm16.startswith(guess.request.pcm16)
    tail_ms = 350  # from the end of speech, which the detector places on a window of 32 ms
    assert abs(len(confirmed.pcm16) // 32 - (3 * 200 + tail_ms)) <= 32
    desk.run(desk.pipeline.receive_hypothesis(guess.tag, recognise(confirmed)))
    assert [final.text for final in desk.finals] == ["春夏秋"]


def test_an_answered_guess_is_the_final_and_nothing_is_asked_again():
    desk = Desk().hear(tone("春夏秋") + silence(600))
    assert len(desk.lane("final")) == 1
    assert desk.confirmed == []
    assert [final.text for final in desk.finals] == ["春夏秋"]


def test_a_guess_that_was_taken_back_is_shown_as_a_partial():
    desk = Desk(config=PipelineConfig(first_partial_ms=60_000)).hear(tone("春夏秋") + silence(300))
    assert [partial.stable + partial.unstable for partial in desk.partials] == ["春夏秋"]
    desk.hear(tone("冬东") + silence(600))
    assert [final.text for final in desk.finals] == ["春夏秋冬东"]


def test_only_partials_of_utterances_that_show_nothing_are_opening():
    desk = Desk().hear(tone("春夏秋冬东南西北"))
    opening = [ask.request.opening for ask in desk.lane("partial")]
    assert opening[0]
    assert not any(opening[1:])
    desk.hear(silence(600) + tone("金木水火土"))
    later = [ask.request.opening for ask in desk.lane("partial")[len(opening) :]]
    assert later[0]
    assert not any(later[1:])


def finished(text, logprob=-0.1):
    return lambda request: Hypothesis(text=text, language="zh", avg_logprob=logprob, no_speech_prob=0, compression_ratio=1)


@pytest.mark.parametrize(
    ("answer", "endpoint_ms"),
    [(finished("春夏秋。"), 320), (finished("春夏秋"), 448), (finished("春夏秋，"), 448), (finished("春夏秋。", logprob=-0.9), 448)],
)
def test_what_reads_like_a_whole_sentence_ends_sooner(answer, endpoint_ms):
    desk = Desk(answer=False, config=PipelineConfig(sure_end_ms=320)).hear(tone("春夏秋") + silence(260))
    (guess,) = desk.lane("final")
    desk.run(desk.pipeline.receive_hypothesis(guess.tag, answer(guess.request)))
    desk.hear(silence(500))
    (final,) = desk.finals
    assert abs(final.timings.endpoint_ms - endpoint_ms) <= 32


def test_a_sentence_that_goes_on_gets_its_patience_back():
    desk = Desk(answer=False, config=PipelineConfig(sure_end_ms=320)).hear(tone("春夏秋") + silence(260))
    (guess,) = desk.lane("final")
    desk.run(desk.pipeline.receive_hypothesis(guess.tag, finished("春夏秋。")(guess.request)))
    desk.hear(tone("冬") + silence(400))
    assert desk.pipeline.waiting == 0
    desk.hear(silence(100))
    assert desk.pipeline.waiting == 1


def test_terms_near_to_what_partials_heard_are_the_hotwords_of_the_final():
    heard = []

    def nearby(text, language):
        heard.append((text, language))
        return ("春夏",) if "春" in text else ()

    desk = Desk(nearby=nearby, hotwords=lambda: ("星星",)).hear(
        tone("春夏秋冬春夏秋冬") + silence(1000) + tone("东南西北东南西北") + silence(1000)
    )
    assert [ask.request.hotwords for ask in desk.lane("final")] == [("春夏",), ("星星",)]
    assert {ask.request.hotwords for ask in desk.lane("partial")} == {("星星",)}
    assert all(text and language == "zh" for text, language in heard)


# ------------------------------------------------------------------ earlier speech before a final


def test_finals_hear_the_channels_published_speech_before_them_and_partials_do_not():
    desk = Desk(config=PipelineConfig(lead_ms=20_000)).hear(tone("春夏秋冬") + silence(1000) + tone("东南西") + silence(1000) + tone("北"))
    first, second = desk.lane("final")
    assert first.request.leads == ()
    (lead,) = second.request.leads
    assert lead.text == "春夏秋冬"
    margin_ms = len(lead.pcm16) / 32 - 800
    assert 300 <= margin_ms <= 300 + 100 + 64  # after it 300 ms; before it there was nothing; a seam; the windows of the voice detector
    assert abs(second.request.onset_ms - 400) <= 32
    assert all(ask.request.leads == () for ask in desk.lane("partial"))


def test_what_touches_the_utterance_leads_into_it_without_a_seam():
    desk = Desk(config=PipelineConfig(lead_ms=20_000)).hear(tone("春夏秋冬") + silence(500) + tone("东南西") + silence(1000))
    last = desk.lane("final")[-1].request
    (lead,) = last.leads
    heard = tone("春夏秋冬") + silence(500) + tone("东南西") + silence(1000)
    assert heard.startswith(lead.pcm16 + last.pcm16)


def test_refused_and_failed_utterances_lead_nothing():
    desk = Desk(answer=False, config=PipelineConfig(lead_ms=20_000)).hear(tone("春夏秋冬") + silence(1000))
    (ask,) = desk.lane("final")
    refused = Hypothesis(text="", language="zh", avg_logprob=-2.0, no_speech_prob=0.9, compression_ratio=0.0, rejected="no_speech")
    desk.run(desk.pipeline.receive_hypothesis(ask.tag, refused))
    desk.hear(tone("东南西") + silence(1000))
    assert desk.lane("final")[-1].request.leads == ()


def test_what_was_said_in_another_language_leads_nothing():
    desk = Desk(config=PipelineConfig(lead_ms=20_000)).hear(tone("春夏秋冬") + silence(1000))
    desk.pipeline.set_language("zh")
    desk.hear(tone("东南西") + silence(1000))
    assert len(desk.lane("final")[-1].request.leads) == 1
    desk.pipeline.set_language("en")
    desk.hear(tone("北") + silence(1000))
    assert desk.lane("final")[-1].request.leads == ()


def test_without_it_no_audio_is_kept():
    desk = Desk().hear(tone("春夏秋冬") + silence(1000) + tone("东南西") + silence(1000))
    assert all(ask.request.leads == () for ask in desk.asked)


def test_partials_are_offered_more_often_while_nothing_is_shown():
    config = PipelineConfig(first_partial_ms=320, opening_step_ms=160, partial_step_ms=320)
    unheard = Desk(answer=False, config=config).hear(tone("春夏秋冬东南"))
    heard = Desk(config=config).hear(tone("春夏秋冬东南"))
    assert len(unheard.lane("partial")) >= 5 > len(heard.lane("partial")) >= 2
