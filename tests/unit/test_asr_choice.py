"""Which engine the settings and the model's files lead to, and what is said about a choice that cannot work."""

from __future__ import annotations

import pytest

from copilot.assembly import engines
from copilot.assembly.model_check import check_model
from copilot.domain.errors import ConfigError, NotFound
from copilot.settings import AsrSettings, Settings
from streaming.asr.schedule import ScheduleConfig
from streaming.asr.sherpa import SherpaRecognizer
from tests.fakes import tiny_sherpa
from tests.fakes.scripted_engine import ScriptedEngine


def settings(tmp_path, model, **asr) -> Settings:
    return Settings(data_dir=tmp_path / "data", asr=AsrSettings(model=str(model), **asr))


def test_a_directory_of_sherpa_files_opens_sherpa(tmp_path):
    folder = tiny_sherpa.sense_voice(tmp_path / "sense-voice")
    (recognizer,) = engines.open_recognizers(settings(tmp_path, folder, device="cpu", decoders=3))
    assert isinstance(recognizer, SherpaRecognizer)
    assert (recognizer.workers, recognizer.family, recognizer.model_id) == (3, "sense_voice", str(folder))
    assert engines.schedule_config(settings(tmp_path, folder), [recognizer]).max_batch == 1


def test_a_named_engine_is_believed_and_says_what_it_lacks(tmp_path):
    folder = tiny_sherpa.sense_voice(tmp_path / "sense-voice")
    with pytest.raises(ConfigError, match=r"has no config\.json"):
        engines.open_recognizers(settings(tmp_path, folder, engine="whisper"))


@pytest.mark.parametrize(
    ("asr", "said"),
    [
        ({"device": "cuda"}, "built for CPUs"),
        ({"device_index": (1,)}, "first GPU only"),
        ({"device_index": (0, 0)}, "names a GPU twice"),
    ],
)
def test_choices_that_cannot_work(tmp_path, asr, said):
    folder = tiny_sherpa.sense_voice(tmp_path / "sense-voice")
    with pytest.raises(ConfigError, match=said):
        engines.open_recognizers(settings(tmp_path, folder, **asr))


def test_a_known_model_without_pins_says_how_to_get_it(tmp_path):
    with pytest.raises(NotFound, match="pangting models pin whisper-large-v3-turbo"):
        engines.open_recognizers(settings(tmp_path, "whisper-large-v3-turbo"))


def test_batches_and_the_ceiling_follow_the_device(tmp_path):
    class Gpu(ScriptedEngine):
        max_batch = 16

    class Cpu(ScriptedEngine):
        max_batch = 2

    cpu = engines.schedule_config(settings(tmp_path, "m"), [Cpu()])
    assert (cpu.max_batch, cpu.max_channels) == (2, ScheduleConfig().max_channels)
    gpus = engines.schedule_config(settings(tmp_path, "m"), [Gpu(), Gpu()])
    assert gpus.max_batch == 16
    assert gpus.max_channels == 1024
    said = engines.schedule_config(settings(tmp_path, "m", max_batch=32, max_channels=7), [Gpu()])
    assert (said.max_batch, said.max_channels) == (32, 7)


def test_the_check_loads_times_and_estimates(tmp_path, monkeypatch):
    monkeypatch.setattr("copilot.assembly.model_check._ENOUGH_S", 0.05)
    found = check_model(settings(tmp_path, tiny_sherpa.paraformer(tmp_path / "p"), device="cpu", decoders=2))
    assert (found.engine, found.device, found.decoders) == ("sherpa-onnx paraformer", "cpu", 2)
    assert found.partial.alone_ms > 0
    assert found.final.full_ms > 0
    assert found.final.audio_ms > found.partial.audio_ms
    assert 0 < found.usual < found.most
