"""Where a call's audio went, and thread names where the operating system keeps them."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from copilot.domain.transcript import SpeechEnded, SpeechStarted
from copilot.telemetry.threads import name_thread
from streaming.account import AudioAccount


def test_speech_is_taken_out_of_the_silence_and_the_sum_is_what_arrived():
    account = AudioAccount()
    account.heard(5000)
    account.voice(SpeechStarted(channel="customer", utterance_id="customer-1", at_ms=1000))
    account.voice(SpeechStarted(channel="agent", utterance_id="agent-1", at_ms=1500))
    account.voice(SpeechEnded(channel="customer", utterance_id="customer-1", at_ms=3000))
    account.voice(SpeechEnded(channel="agent", utterance_id="agent-1", at_ms=1700))
    account.heard(20, failed=True)
    account.gap += 400
    account.skipped += 60
    assert account.seconds() == {"speech": 2.2, "silence": 2.8, "gap": 0.4, "skipped": 0.06, "failed": 0.02}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps thread names in /proc")
def test_a_thread_is_known_to_the_system_by_its_name():
    names = []

    def work():
        name_thread("a-very-long-name-of-a-thread")
        names.append(Path(f"/proc/self/task/{threading.get_native_id()}/comm").read_text().strip())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert names == ["a-very-long-nam"]
