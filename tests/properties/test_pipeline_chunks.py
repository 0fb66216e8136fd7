"""How the network cuts the audio must change nothing that a pipeline does."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.effects import Confirm, EmitFinal, EmitSpeech, Transcribe
from streaming.pipeline import ChannelPipeline, PipelineConfig
from streaming.vad.endpoint import EndpointConfig
from tests.fakes.tone_speech import ToneVad, recognise, silence, tone

CONFIG = PipelineConfig(endpoint=EndpointConfig(cap_ms=3_000, cap_search_ms=1_000))


def transcribe(pcm, cuts):
    """What the pipeline asked and told. Answers come when all audio is in: their time may change what is asked, the cutting may not."""
    pipeline = ChannelPipeline(call_id="c", channel="agent", language="zh", vad=ToneVad(), clock_ms=lambda: 0.0, config=CONFIG)
    log = []
    waiting = {}

    def run(effects):
        for effect in effects:
            if isinstance(effect, Transcribe):
                log.append(("ask", effect.tag, effect.request.lane, effect.request.pcm16))
                waiting[effect.tag] = effect.request
            elif isinstance(effect, Confirm):
                log.append(("confirm", effect.request.request_id, effect.request.pcm16))
                waiting[effect.request.request_id.partition("/")[2]] = effect.request
            elif isinstance(effect, EmitSpeech | EmitFinal):
                log.append(effect)

    edges = [0, *sorted({2 * min(cut, len(pcm) // 2) for cut in cuts}), len(pcm)]
    for start, end in pairwise(edges):
        run(pipeline.receive_audio(pcm[start:end], start // 32))
    run(pipeline.flush())
    while waiting:
        tag = next(iter(waiting))
        run(pipeline.receive_hypothesis(tag, recognise(waiting.pop(tag))))
    return log


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.integers(min_value=1, max_value=900).map(silence), st.sampled_from(["春", "春夏秋冬", "东南西北金木水火土日月星"]).map(tone)
        ),
        max_size=6,
    ),
    st.lists(st.integers(min_value=0, max_value=200_000), max_size=40),
)
def test_chunks_do_not_matter(parts, cuts):
    pcm = b"".join(parts)
    assert transcribe(pcm, cuts) == transcribe(pcm, [])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(min_value=700, max_value=1500), st.sampled_from(["春夏秋", "春夏秋冬东南西北", "土日月"])),
        min_size=1,
        max_size=6,
    )
)
def test_nothing_said_is_lost_or_invented(turns):
    pcm = b"".join(silence(ms) + tone(text) for ms, text in turns)
    finals = [entry.final for entry in transcribe(pcm, []) if isinstance(entry, EmitFinal)]
    assert "".join(final.text for final in finals) == "".join(text for _, text in turns)
    for before, after in pairwise(finals):
        assert before.end_ms <= after.start_ms
