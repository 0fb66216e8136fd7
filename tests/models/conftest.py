"""The real models, from PANGTING_TEST_WHISPER (a directory) or the model hub; pulled if they are not there yet."""

import os
from pathlib import Path

import pytest

from copilot.domain.errors import NotFound
from copilot.modelhub.hub import ModelHub
from copilot.settings import Settings
from streaming.asr.compact import compact_model
from streaming.asr.whisper import WhisperRecognizer
from streaming.vad.silero import SileroVad


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="session")
def whisper_directory() -> Path:
    if given := os.environ.get("PANGTING_TEST_WHISPER"):
        return Path(given)
    hub = ModelHub(Settings().models_dir)
    try:
        return hub.path("whisper-base")
    except NotFound:
        return hub.pull("whisper-base")


@pytest.fixture(scope="session")
def recognizer(whisper_directory, tmp_path_factory) -> WhisperRecognizer:
    """As it is shipped: the compact vocabulary for Mandarin, the whole one for English."""
    compact = compact_model(whisper_directory, tmp_path_factory.mktemp("derived"))
    return WhisperRecognizer(whisper_directory, device="cpu", threads=2, compact_dir=compact)


@pytest.fixture(scope="session")
def vad() -> SileroVad:
    return SileroVad()
