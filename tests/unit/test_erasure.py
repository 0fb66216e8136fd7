"""Erasing a call: its key, what it sealed, and the files of its recording, on every engine of the media store; by age as well."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from copilot.assembly.erasure import Erasure
from copilot.cli.main import app
from copilot.domain.audio import LegFormat, MediaFrame
from copilot.domain.errors import Conflict, EngineError, NotFound
from copilot.domain.events import CallEnded
from copilot.store.media import open_media
from copilot.telemetry.clock import ManualClock
from streaming.recording.reader import RecordingReader
from streaming.recording.recorder import Recorder, RecorderConfig
from tests.fakes.stores import AT, ORG, make_store, said, scope, sqlite_url, started

LEG = LegFormat(channel="customer", encoding="pcmu", sample_rate_hz=8_000)
WORDS = "卡丢了" * 50
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Bench:
    def __init__(self, tmp_path):
        self.clock = ManualClock(AT)
        self.store = make_store(sqlite_url(tmp_path), tmp_path, self.clock)
        self.media = open_media(str(tmp_path / "media"))
        self.directory = tmp_path
        self.erasure = Erasure(self.store, self.media, self.clock)

    async def call(self, call_id, *, days_ago=0, ended=True):
        opened = await self.store.journal.open(ORG, call_id, "node")
        await self.store.journal.append(ORG, opened, [started(at=AT - timedelta(days=days_ago)), said(WORDS)])
        recorder = Recorder(RecorderConfig(spool_dir=self.directory / "spool"), self.media)
        await recorder.start()
        for part in (1, 2):
            recording = recorder.open(ORG, call_id, (LEG,), self.store.call_cipher(ORG, call_id), part=part)
            await recording.write(MediaFrame(channel="customer", start_sample=0, payload=WORDS.encode() * 4))
            await recording.close()
            await asyncio.sleep(0)
        await recorder.stop()
        if ended:
            await self.store.journal.append(ORG, opened, [CallEnded(reason="hangup", duration_ms=1000)])

    def files(self, call_id):
        return list(self.media.list(f"{ORG}/{call_id}"))

    def texts(self, call_id):
        return [getattr(item.event, "text", "") for item in self.store.calls.events(ORG, call_id)]


async def test_nothing_of_an_erased_call_is_left_and_its_neighbour_is_whole(tmp_path):
    bench = Bench(tmp_path)
    await bench.call("c1")
    await bench.call("c10")
    files = bench.files("c1")
    assert files
    assert any("/p2/" in path for path in files), "parts of later owners go too"
    with pytest.raises(NotFound):
        bench.erasure.erase(ORG, "../c10", "admin")
    assert bench.erasure.erase(ORG, "c1", "admin") == len(files)
    assert bench.files("c1") == []
    assert WORDS not in bench.texts("c1")
    with pytest.raises(NotFound):
        bench.store.call_cipher(ORG, "c1")
    assert WORDS in bench.texts("c10")
    assert RecordingReader(bench.media, ORG, "c10", bench.store.call_cipher(ORG, "c10")).leg("customer").duration_ms > 0
    (entry,) = bench.store.audit.entries(scope("x", "auditor"))
    assert (entry.actor, entry.action, entry.target) == ("admin", "call.erase", "c1")


async def test_a_live_call_keeps_its_recording(tmp_path):
    bench = Bench(tmp_path)
    await bench.call("c1", ended=False)
    with pytest.raises(Conflict):
        bench.erasure.erase(ORG, "c1", "admin")
    assert bench.files("c1")


async def test_what_is_on_the_disk_is_not_what_was_said(tmp_path):
    bench = Bench(tmp_path)
    await bench.call("c1")
    segments = [bench.media.get(path) for path in bench.files("c1") if path.endswith(".seg")]
    assert segments
    assert not any("卡丢了".encode() in blob for blob in segments)
    for path in bench.files("c1"):
        if path.endswith(".seg"):
            moved = path.replace("000000", "000001")
            with pytest.raises(EngineError, match="damaged or moved"):
                bench.store.call_cipher(ORG, "c1").open(bench.media.get(path), moved.encode())
    spoiled = bytearray(segments[0])
    spoiled[20] ^= 1
    with pytest.raises(EngineError):
        bench.store.call_cipher(ORG, "c1").open(bytes(spoiled), bench.files("c1")[0].encode())
    await bench.call("c2")
    with pytest.raises(EngineError):
        bench.store.call_cipher(ORG, "c2").open(segments[0], bench.files("c1")[0].encode())


async def test_calls_older_than_the_rule_go_and_no_others(tmp_path):
    bench = Bench(tmp_path)
    await bench.call("old", days_ago=31)
    await bench.call("older-but-live", days_ago=40, ended=False)
    await bench.call("young", days_ago=29)
    assert bench.erasure.expire(30) == 1
    assert [bool(bench.files(name)) for name in ("old", "older-but-live", "young")] == [False, True, True]
    assert bench.erasure.expire(30) == 0
    assert [entry.actor for entry in bench.store.audit.entries(scope("x", "auditor"))] == ["retention"]


async def test_a_media_store_that_is_away_is_asked_again(tmp_path, monkeypatch):
    bench = Bench(tmp_path)
    await bench.call("old", days_ago=31)

    def away(_prefix):
        raise EngineError("away", retryable=True)

    with monkeypatch.context() as patched:
        patched.setattr(bench.media, "delete", away)
        with pytest.raises(EngineError):
            bench.erasure.expire(30)
    assert bench.erasure.expire(30) == 1
    assert bench.files("old") == []


class Hours:
    """How an hour passes in a test: at once, with what ``then`` says for its end. After the last one the job is cancelled."""

    def __init__(self, clock, then):
        self.clock = clock
        self.then = then
        self.slept = []

    async def __call__(self, seconds):
        self.slept.append(seconds)
        self.clock.advance(seconds)
        if len(self.slept) > len(self.then):
            raise asyncio.CancelledError
        self.then[len(self.slept) - 1]()


async def test_the_hourly_job_erases_what_is_due_leaves_the_rest_and_outlives_a_store_that_fails(tmp_path, monkeypatch):
    bench = Bench(tmp_path)
    await bench.call("old", days_ago=31)
    await bench.call("old-and-live", days_ago=40, ended=False)
    await bench.call("nearly", days_ago=30)  # due in the second hour
    await bench.call("young", days_ago=29)
    there = []
    delete = bench.media.delete

    def look():
        there.append([name for name in ("old", "old-and-live", "nearly", "young") if bench.files(name)])

    def away(_prefix):
        raise EngineError("away", retryable=True)

    def broken(_prefix):
        raise RuntimeError("a fault of the storage library")

    def next_hour(fault):
        look()
        bench.media.delete = fault

    monkeypatch.setattr(bench.media, "delete", away)
    hours = Hours(bench.clock, [lambda: next_hour(broken), lambda: next_hour(delete), look, *[look] * 23])
    with pytest.raises(asyncio.CancelledError):
        await Erasure(bench.store, bench.media, bench.clock, sleep=hours).keep(30)
    everything = ["old", "old-and-live", "nearly", "young"]
    assert there[:3] == [everything, everything, ["old-and-live", "young"]], "away, broken, back"
    assert there[3:24] == [["old-and-live", "young"]] * 21
    assert there[25] == ["old-and-live"], "a day has gone by since"
    assert set(hours.slept) == {3600}
    assert [entry.target for entry in reversed(bench.store.audit.entries(scope("x", "auditor")))] == ["old", "nearly", "young"]
    for name in ("old", "nearly", "young"):
        with pytest.raises(NotFound):
            bench.store.call_cipher(ORG, name)
    assert WORDS in bench.texts("old-and-live")


async def test_one_recording_that_cannot_be_removed_does_not_keep_the_others(tmp_path, monkeypatch):
    bench = Bench(tmp_path)
    for number in range(4):
        await bench.call(f"old{number}", days_ago=40 - number)
    delete = bench.media.delete
    asked = []

    def one_refused(prefix):
        asked.append(prefix)
        if prefix.endswith("old0"):
            raise EngineError("refused", retryable=True)
        return delete(prefix)

    with monkeypatch.context() as patched:
        patched.setattr(bench.media, "delete", one_refused)
        with pytest.raises(EngineError, match="3 calls were erased"):
            bench.erasure.expire(30)
    assert [bool(bench.files(f"old{number}")) for number in range(4)] == [True, False, False, False]
    assert bench.erasure.expire(30) == 1


async def test_a_store_that_is_away_is_not_asked_for_every_call(tmp_path, monkeypatch):
    bench = Bench(tmp_path)
    for number in range(5):
        await bench.call(f"old{number}", days_ago=40)
    asked = []

    def away(prefix):
        asked.append(prefix)
        raise EngineError("away", retryable=True)

    monkeypatch.setattr(bench.media, "delete", away)
    with pytest.raises(EngineError, match="0 calls were erased"):
        bench.erasure.expire(30)
    assert len(asked) == 3


async def test_a_server_without_the_rule_erases_nothing_and_one_with_it_begins_at_once(tmp_path):
    bench = Bench(tmp_path)
    await bench.call("old", days_ago=400)
    began = asyncio.Event()

    async def wait(_seconds):
        began.set()
        await asyncio.Event().wait()

    erasure = Erasure(bench.store, bench.media, bench.clock, sleep=wait)
    async with erasure.running(0):
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "retention"]
    assert bench.files("old")
    async with erasure.running(30):
        await began.wait()
        assert bench.files("old") == []
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "retention"]


async def test_the_commands(tmp_path):
    bench = Bench(tmp_path)
    await bench.call("c1", days_ago=0)
    bench.store.close()
    run = CliRunner(env={"PANGTING_STORE__URL": sqlite_url(tmp_path)}).invoke
    base = ["--data-dir", str(tmp_path)]
    erased = await asyncio.to_thread(run, app, [*base, "calls", "erase", "c1", "--json"])
    assert erased.exit_code == 0, erased.output
    assert '"recording_files": ' in erased.output
    assert not any((tmp_path / "media" / ORG).glob("c1/**/*.seg"))
    missing = await asyncio.to_thread(run, app, [*base, "retention", "run"])
    assert "retention.days" in str(missing.exception)
    none = await asyncio.to_thread(run, app, [*base, "retention", "run", "--days", "1", "--json"])
    assert '"erased": 0' in none.output
