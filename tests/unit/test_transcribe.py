from dataclasses import replace

import numpy as np
import pytest
import soundfile

from copilot.domain.audio import LegFormat, MediaFrame
from copilot.domain.errors import EngineError, InvalidInput
from streaming.audio.leg import LegAudio
from streaming.batch import transcribe_file
from tests.fakes.tone_speech import ToneRecognizer, ToneVad, silence, tone


class ToneVadModel:
    def stream(self):
        return ToneVad()


def write(path, *channels, rate=16_000):
    data = np.stack([np.frombuffer(channel, dtype="<i2") for channel in channels], axis=1)
    soundfile.write(path, data, rate, subtype="PCM_16")
    return path


def test_a_mono_file_is_mixed_and_timed(tmp_path):
    path = write(tmp_path / "a.wav", silence(12_000) + tone("春夏秋") + silence(1_000) + tone("东南西北"))
    (transcript,) = transcribe_file(path, ToneRecognizer(), ToneVadModel())
    assert transcript.channel == "mixed"
    assert transcript.duration_ms == 14_400
    assert [final.text for final in transcript.finals] == ["春夏秋", "东南西北"]
    assert abs(transcript.finals[0].start_ms - 12_000) <= 32


def test_two_channels_are_kept_apart(tmp_path):
    left, right = tone("春夏秋") + silence(2_000), silence(2_000) + tone("东南西")
    first, second = transcribe_file(write(tmp_path / "a.wav", left, right), ToneRecognizer(), ToneVadModel(), workers=2)
    assert (first.channel, [final.text for final in first.finals]) == ("customer", ["春夏秋"])
    assert (second.channel, [final.text for final in second.finals]) == ("agent", ["东南西"])


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_a_file_is_resampled_as_a_live_leg_is(tmp_path, rate):
    """Else a doubtful beginning of speech lies elsewhere in the file's transcript than in the call's."""
    noise = np.random.default_rng(rate).integers(-20_000, 20_000, (rate * 21 // 2 + 7, 2)).astype("<i2")
    heard = [[], []]

    class Listening(ToneVad):
        def __init__(self, windows):
            super().__init__()
            self._windows = windows

        def __call__(self, window):
            self._windows.append(window)
            return 0.0

    class Model:
        sides = iter(heard)

        def stream(self):
            return Listening(next(self.sides))

    transcribe_file(write(tmp_path / "a.wav", *(side.tobytes() for side in noise.T), rate=rate), ToneRecognizer(), Model())
    for index, windows in enumerate(heard):
        leg = LegAudio(LegFormat(channel="customer", encoding="pcm_s16le", sample_rate_hz=rate))
        chunks = []
        for at in range(0, len(noise), rate // 50):
            payload = noise[at : at + rate // 50, index].tobytes()
            chunks += leg.receive(MediaFrame(channel="customer", start_sample=at, payload=payload))
        live = np.frombuffer(b"".join(chunk.pcm16 for chunk in [*chunks, *leg.flush()]), "<i2")
        file = np.round(np.concatenate(windows) * 32768).astype(int)
        assert len(live) - 512 < len(file) <= len(live)
        assert np.array_equal(file, live[: len(file)])


def test_no_partials_and_one_decode_an_utterance(tmp_path):
    engine = ToneRecognizer()
    pause = silence(300)
    transcribe_file(write(tmp_path / "a.wav", tone("春夏秋") + pause + tone("东南西") + silence(800)), engine, ToneVadModel())
    assert [request.lane for batch in engine.batches for request in batch] == ["final"]


def test_a_passing_fault_is_tried_again_a_lasting_one_is_told(tmp_path):
    class Flaky(ToneRecognizer):
        faults = 1

        def recognize(self, requests):
            if self.faults:
                self.faults -= 1
                raise EngineError("passing", retryable=True)
            return super().recognize(requests)

    path = write(tmp_path / "a.wav", tone("春夏秋"))
    (transcript,) = transcribe_file(path, Flaky(), ToneVadModel())
    assert [final.text for final in transcript.finals] == ["春夏秋"]
    broken = Flaky()
    broken.faults = 5
    with pytest.raises(EngineError, match="passing"):
        transcribe_file(path, broken, ToneVadModel())


def test_what_is_no_audio_is_refused(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("你好")
    with pytest.raises(InvalidInput, match="not an audio file"):
        transcribe_file(path, ToneRecognizer(), ToneVadModel())
    with pytest.raises(InvalidInput, match="3 channels"):
        transcribe_file(write(tmp_path / "3.wav", *[silence(100)] * 3), ToneRecognizer(), ToneVadModel())


def test_what_a_first_hearing_suggests_is_the_hotwords_of_a_second(tmp_path):
    engine = ToneRecognizer()
    path = write(tmp_path / "a.wav", tone("春夏秋") + silence(2_000) + tone("东南西") + silence(800))
    (transcript,) = transcribe_file(path, engine, ToneVadModel(), nearby=lambda text, language: ("春夏",) if "春" in text else ())
    assert [request.hotwords for batch in engine.batches for request in batch] == [(), ("春夏",), ()]
    assert [final.text for final in transcript.finals] == ["春夏秋", "东南西"]


def test_a_refused_second_hearing_leaves_the_first(tmp_path):
    class Recites(ToneRecognizer):
        def recognize(self, requests):
            return [
                replace(answer, text="", words=(), rejected="prompt_echo") if request.hotwords else answer
                for request, answer in zip(requests, super().recognize(requests), strict=True)
            ]

    path = write(tmp_path / "a.wav", tone("春夏秋") + silence(800))
    (transcript,) = transcribe_file(path, Recites(), ToneVadModel(), nearby=lambda text, language: ("春夏",))
    assert [final.text for final in transcript.finals] == ["春夏秋"]
