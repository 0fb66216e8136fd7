"""The real models, from PANGTING_TEST_WHISPER (a directory) or the model hub; pulled if they are not there yet."""

import os
from pathlib import Path

import pytest

from copilot.domain.errors import NotFound
from copilot.modelhub.hub import ModelHub
from copilot.settings import Settings
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
def recognizer(whisper_directory) -> WhisperRecognizer:
    return WhisperRecognizer(whisper_directory, device="cpu", threads=2)


@pytest.fixture(scope="session")
def vad() -> SileroVad:
    return SileroVad()
