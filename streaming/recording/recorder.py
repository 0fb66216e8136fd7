"""The recorder of a call node: one thread writes the spools of all calls, one seals finished segments into the media store."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from filelock import FileLock, Timeout

from copilot.domain.audio import ChannelName, LegFormat, MediaFrame, MediaGap
from copilot.domain.errors import ConfigError, Conflict
from copilot.domain.ids import CallId, OrgId
from copilot.domain.ports.media import MediaStore
from streaming.recording.sealing import RecoveredLeg, finish_leg, recover, seal_spool
from streaming.recording.segment import BlobCipher, Segment, leg_path, spool_path
from streaming.recording.spool import LegSpool

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderConfig:
    """``spool_dir`` belongs to one process (a lock file guards it). ``flush_s``: what a crash may cost at most."""

    spool_dir: Path
    flush_s: float = 0.9
    segment_s: float = 10.0
    queue_items: int = 4096
    """Frames waiting for the writer thread, of all calls; beyond it the senders wait: audio for the recording is never dropped."""
    keep_s: float = 30.0
    """Audio of a leg kept in memory while its spool cannot be written."""
    retry_s: float = 5.0
    """Between attempts to seal a segment that the media store refused."""


@dataclass(slots=True, eq=False)
class _Call:
    key: tuple[OrgId, CallId]
    folder: dict[ChannelName, str]
    spools: dict[ChannelName, LegSpool]
    cipher: BlobCipher
    on_state: Callable[[str, str], None]
    failing: bool = False
    sealed: dict[ChannelName, list[Segment]] = field(default_factory=dict)
    handed: int = 0
    """Spool files given to the sealer; written by the writer thread alone."""
    done: int = 0
    """Those of them that are sealed; written by the sealer thread alone."""
    closing: asyncio.Future[None] | None = None


class CallRecording:
    """The recording of one live call. Its methods wait only when the writer thread is behind."""

    def __init__(self, recorder: Recorder, call: _Call) -> None:
        self._recorder = recorder
        self._call = call

    async def write(self, frame: MediaFrame) -> None:
        await self._recorder.submit(self._call, frame)

    async def gap(self, gap: MediaGap) -> None:
        await self._recorder.submit(self._call, gap)

    async def flush(self) -> None:
        """What was written so far is on the disk when it returns (or the recording is failing)."""
        done = asyncio.get_running_loop().create_future()
        await self._recorder.submit(self._call, _Flush(done))
        await done

    async def close(self) -> None:
        """The last segments are rolled; returns after one attempt to seal each. What the store refused is tried again in the background."""
        done = asyncio.get_running_loop().create_future()
        await self._recorder.submit(self._call, _Close(done))
        await done


@dataclass(frozen=True, slots=True)
class _Flush:
    done: asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class _Close:
    done: asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class _Seal:
    call: _Call
    channel: ChannelName
    path: Path


@dataclass(frozen=True, slots=True)
class _Finish:
    """All spool files of the call were handed over for sealing."""

    call: _Call


_Item = MediaFrame | MediaGap | _Flush | _Close


class Recorder:
    """``start`` before the first call, ``stop`` after the last. ``open`` for each call."""

    def __init__(self, config: RecorderConfig, media: MediaStore, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._media = media
        self._monotonic = monotonic
        self._inbox: queue.SimpleQueue[tuple[_Call, _Item] | None] = queue.SimpleQueue()
        self._sealing: queue.SimpleQueue[_Seal | _Finish | None] = queue.SimpleQueue()
        self._slots = asyncio.Semaphore(config.queue_items)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads: list[threading.Thread] = []
        self._lock = FileLock(config.spool_dir / ".lock")
        self._open: set[tuple[OrgId, CallId]] = set()

    async def start(self) -> None:
        """Takes the spool directory. Raises ConfigError when another process has it or it cannot be written."""
        try:
            self._config.spool_dir.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ConfigError(f"Another process records into {self._config.spool_dir}: give each call node a spool of its own.") from None
        except OSError as error:
            raise ConfigError(
                f"The spool directory {self._config.spool_dir} cannot be written ({error.strerror}): choose another one."
            ) from error
        self._loop = asyncio.get_running_loop()
        self._threads = [
            threading.Thread(target=self._write_forever, name="recording-writer", daemon=True),
            threading.Thread(target=self._seal_forever, name="recording-sealer", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    async def recover(self, cipher_for: Callable[[OrgId, CallId], BlobCipher]) -> list[RecoveredLeg]:
        """Seals what a process that died left here. After ``start``, before the first call; see ``streaming.recording.sealing.recover``."""
        return await asyncio.to_thread(recover, self._config.spool_dir, self._media, cipher_for)

    async def stop(self) -> None:
        """Writes and seals what is waiting; what the store refuses now stays in the spool for ``recover``."""
        if not self._threads:
            return
        writer, sealer = self._threads
        self._threads = []
        self._inbox.put(None)
        await asyncio.to_thread(writer.join)
        self._sealing.put(None)
        await asyncio.to_thread(sealer.join)
        self._lock.release()

    def open(
        self,
        org_id: OrgId,
        call_id: CallId,
        legs: tuple[LegFormat, ...],
        cipher: BlobCipher,
        on_state: Callable[[str, str], None] | None = None,
        *,
        part: int = 1,
        start_ms: int = 0,
    ) -> CallRecording:
        """``part``: the epoch of this owner of the call, whose recording begins at ``start_ms`` of media time.

        ``on_state("down" | "up", reason)`` is called on the event loop when the spool cannot be written and when it can again.

        Raises Conflict when the call is being recorded, ValueError for ids that are not safe in a path.
        """
        folders = {leg.channel: leg_path(org_id, call_id, leg.channel, part) for leg in legs}
        if (org_id, call_id) in self._open:
            raise Conflict("This call is being recorded already.")
        self._open.add((org_id, call_id))
        spools = {
            leg.channel: LegSpool(
                self._config.spool_dir / spool_path(org_id, call_id, leg.channel, part),
                folders[leg.channel],
                leg,
                cipher,
                segment_s=self._config.segment_s,
                keep_s=self._config.keep_s,
                start_sample=start_ms * leg.sample_rate_hz // 1000,
            )
            for leg in legs
        }
        call = _Call(
            key=(org_id, call_id),
            folder=folders,
            spools=spools,
            cipher=cipher,
            on_state=on_state or _ignore,
            sealed={leg.channel: [] for leg in legs},
        )
        return CallRecording(self, call)

    async def submit(self, call: _Call, item: _Item) -> None:
        """Hands an item to the writer thread; waits while its queue is full."""
        await self._slots.acquire()
        self._inbox.put((call, item))

    # ------------------------------------------------------------------ writer thread

    def _write_forever(self) -> None:
        dirty: dict[LegSpool, tuple[_Call, float]] = {}
        while True:
            timeout = None
            if dirty:
                timeout = max(0.0, min(due for _, due in dirty.values()) - self._monotonic())
            batch = self._drain(timeout)
            now = self._monotonic()
            for entry in batch:
                if entry is None:
                    for spool, (call, _) in dirty.items():
                        self._attempt(call, spool.flush)
                    return
                call, item = entry
                try:
                    self._handle(call, item)
                except Exception:
                    log.exception("recording_writer_fault")
                for spool in call.spools.values():
                    if spool.dirty:
                        dirty.setdefault(spool, (call, now + self._config.flush_s))
            self._on_loop(self._free, len(batch))
            for spool, (call, due) in list(dirty.items()):
                if not spool.dirty:
                    del dirty[spool]
                elif due <= self._monotonic():
                    if self._attempt(call, spool.flush):
                        del dirty[spool]
                    else:
                        spool.give_up_oldest()
                        dirty[spool] = (call, self._monotonic() + self._config.flush_s)

    def _drain(self, timeout: float | None) -> list[tuple[_Call, _Item] | None]:
        """What is waiting, at most 256 items, so that one wake-up of the event loop frees many slots."""
        batch: list[tuple[_Call, _Item] | None] = []
        try:
            batch.append(self._inbox.get(timeout=timeout))
            while len(batch) < 256:
                batch.append(self._inbox.get_nowait())
        except queue.Empty:
            pass
        return batch

    def _handle(self, call: _Call, item: _Item) -> None:
        match item:
            case MediaFrame():
                spool = call.spools[item.channel]
                width = spool.leg.bytes_per_sample
                payload, start = item.payload, item.start_sample
                while payload:
                    if spool.room() <= 0 and not self._roll(call, spool):
                        spool.give_up_oldest()
                    # While the disk refuses, the open segment may grow past its ten seconds.
                    size = max(spool.room(), 0) * width or len(payload)
                    spool.add_audio(start, payload[:size])
                    payload, start = payload[size:], start + size // width
            case MediaGap():
                call.spools[item.channel].add_gap(item.start_sample, item.samples, item.reason)
            case _Flush(done):
                for spool in call.spools.values():
                    self._attempt(call, spool.flush)
                self._on_loop(_resolve, done)
            case _Close(done):
                for spool in call.spools.values():
                    self._roll(call, spool)
                    spool.close()
                call.closing = done
                self._sealing.put(_Finish(call))

    def _roll(self, call: _Call, spool: LegSpool) -> bool:
        paths: list[Path | None] = []
        if not self._attempt(call, lambda: paths.append(spool.roll())):
            return False
        if paths[0] is not None:
            call.handed += 1
            self._sealing.put(_Seal(call, spool.leg.channel, paths[0]))
        return True

    def _attempt(self, call: _Call, write: Callable[[], None]) -> bool:
        """Runs a write; says once that it fails, and once that it works again."""
        try:
            write()
        except Exception as error:  # the disk, or the call's key: either way the call goes on and the samples wait
            if not call.failing:
                call.failing = True
                log.warning("recording_not_written", error=type(error).__name__)
                self._on_loop(call.on_state, "down", "The spool directory cannot be written: check its disk.")
            return False
        if call.failing:
            call.failing = False
            self._on_loop(call.on_state, "up", "")
        return True

    # ------------------------------------------------------------------ sealer thread

    def _seal_forever(self) -> None:
        later: list[tuple[float, _Seal | _Finish]] = []
        stopping = False
        while True:
            timeout = max(0.0, later[0][0] - self._monotonic()) if later else None
            try:
                job = self._sealing.get(timeout=0.0 if stopping else timeout)
            except queue.Empty:
                if stopping:
                    return
                job = later.pop(0)[1]
            if job is None:
                # One more attempt for all that waits; then the rest is left to recovery.
                stopping = True
                for _, waiting in later:
                    self._sealing.put(waiting)
                later.clear()
                continue
            if not self._sealed(job) and not stopping:
                later.append((self._monotonic() + self._config.retry_s, job))

    def _sealed(self, job: _Seal | _Finish) -> bool:
        """Does a job; False if it must be tried again."""
        call = job.call
        try:
            if isinstance(job, _Seal):
                segment = seal_spool(job.path, call.folder[job.channel], call.spools[job.channel].leg, call.cipher, self._media)
                if segment is not None:
                    call.sealed[job.channel].append(segment)
                call.done += 1
                return True
            if call.done == call.handed:
                for channel, spool in call.spools.items():
                    finish_leg(spool.directory, call.folder[channel], spool.leg, call.sealed[channel], self._media)
                self._on_loop(self._forget, call)
        except Exception as error:  # the store, the disk or the key: the spool stays until it works
            log.warning("recording_not_sealed_yet", error=type(error).__name__)
            return False
        finally:
            if isinstance(job, _Finish) and call.closing is not None:
                self._on_loop(_resolve, call.closing)
        return call.done == call.handed

    # ------------------------------------------------------------------ event loop

    def _on_loop(self, function: Callable[..., object], *arguments: object) -> None:
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(function, *arguments)

    def _free(self, slots: int) -> None:
        for _ in range(slots):
            self._slots.release()

    def _forget(self, call: _Call) -> None:
        self._open.discard(call.key)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _ignore(_state: str, _reason: str) -> None:
    pass
