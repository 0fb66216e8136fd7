"""How a recording lies in the media store, and how the spool's records look. Pure.

Per leg: ``{org}/{call}/{channel}/{n:06d}.seg`` holds up to ten seconds of samples in the wire codec, encrypted with the call's cipher, and
``{n:06d}.json`` beside it says which samples they are. When the leg is over, ``index.json`` repeats all of them, so that a reader needs one
look. Positions are samples at the wire rate since the call's media start, gaps included.

A call that went on on another node has parts: the first owner's as above, that of a later owner (its epoch is ``part``) in
``{org}/{call}/{channel}/p{part}/``, so that two nodes never write the same blob. Parts may overlap; the later one counts there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, cast

from copilot.domain.audio import ChannelName, LegFormat
from copilot.domain.errors import EngineError
from copilot.domain.ids import CallId, OrgId, is_call_id

GapReason = Literal["lost", "paused", "silence_suppressed", "reconnect"]
INDEX_VERSION = 1


class BlobCipher(Protocol):
    """Encrypts what is written for one call; called from worker threads.

    ``place`` says where the blob belongs: one that was changed, or moved elsewhere, does not open (it raises).
    """

    def seal(self, data: bytes, place: bytes = b"") -> bytes: ...

    def open(self, data: bytes, place: bytes = b"") -> bytes: ...


class ClearCipher:
    """No encryption: for tests and for stores that encrypt by themselves."""

    def seal(self, data: bytes, place: bytes = b"") -> bytes:  # noqa: ARG002 - the interface
        return data

    def open(self, data: bytes, place: bytes = b"") -> bytes:  # noqa: ARG002
        return data


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Samples that are not there: [start_sample, start_sample + samples)."""

    start_sample: int
    samples: int
    reason: GapReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One sealed blob: the samples of [start_sample, end_sample) that are not in ``gaps``, one after the other.

    ``samples`` counts them; ``sha256`` is of the blob as stored, so that a copy can be checked without the key. ``part``: whose it is.
    """

    number: int
    start_sample: int
    end_sample: int
    samples: int
    gaps: tuple[Gap, ...]
    sha256: str
    part: int = 1

    def runs(self) -> Iterator[tuple[int, int]]:
        """(start_sample, samples) of each stretch that is there, in order."""
        position = self.start_sample
        for gap in self.gaps:
            if gap.start_sample > position:
                yield position, gap.start_sample - position
            position = gap.start_sample + gap.samples
        if self.end_sample > position:
            yield position, self.end_sample - position


@dataclass(frozen=True, slots=True, kw_only=True)
class LegRecording:
    """What is recorded of one leg, by part and number. ``complete`` is False while the call runs (and after a crash, until recovery)."""

    leg: LegFormat
    segments: tuple[Segment, ...]
    complete: bool

    @property
    def samples(self) -> int:
        """Length at the wire rate, gaps included."""
        return max((segment.end_sample for segment in self.segments), default=0)

    @property
    def duration_ms(self) -> int:
        return self.leg.samples_to_ms(self.samples)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """In order: what no segment holds. A hole for which none gives a reason (a segment that is lost) counts as ``lost``."""
        named = sorted((gap for segment in self.segments for gap in segment.gaps), key=lambda gap: gap.start_sample)
        gaps: list[Gap] = []
        for start, end in self._holes():
            position = start
            for gap in named:
                low, high = max(gap.start_sample, position), min(gap.start_sample + gap.samples, end)
                if low >= high:
                    continue
                if low > position:
                    gaps.append(Gap(start_sample=position, samples=low - position, reason="lost"))
                gaps.append(Gap(start_sample=low, samples=high - low, reason=gap.reason))
                position = high
            if position < end:
                gaps.append(Gap(start_sample=position, samples=end - position, reason="lost"))
        return tuple(gaps)

    def _holes(self) -> Iterator[tuple[int, int]]:
        """[start, end) without audio in any segment, in order."""
        position = 0
        for start, samples in sorted(run for segment in self.segments for run in segment.runs()):
            if start > position:
                yield position, start
            position = max(position, start + samples)
        if self.samples > position:
            yield position, self.samples


def leg_path(org_id: OrgId, call_id: CallId, channel: ChannelName, part: int = 1) -> str:
    """``org/call/channel``, and ``/p{part}`` of a later owner. Raises ValueError for ids that are not safe in a path."""
    if not is_call_id(org_id) or not is_call_id(call_id):
        raise ValueError("an organisation or call id is not safe in a path")
    return part_path(f"{org_id}/{call_id}/{channel}", part)


def part_path(folder: str, part: int) -> str:
    """The folder of a part within that of its leg."""
    return folder if part == 1 else f"{folder}/p{part}"


def part_of(folder: str) -> int:
    """The inverse: which part lies in this folder."""
    name = folder.rpartition("/")[2]
    return int(name[1:]) if name[:1] == "p" and name[1:].isdigit() else 1


def spool_path(org_id: OrgId, call_id: CallId, channel: ChannelName, part: int) -> str:
    """Where a leg's spool lies below the spool directory: beside those of other parts, not in one of them."""
    return f"{org_id}/{call_id}/{channel}" if part == 1 else f"{org_id}/{call_id}/{channel}.{part}"


def segment_path(folder: str, number: int) -> str:
    return f"{folder}/{number:06d}.seg"


def sidecar_path(folder: str, number: int) -> str:
    return f"{folder}/{number:06d}.json"


def index_path(folder: str) -> str:
    return f"{folder}/index.json"


def spool_place(folder: str) -> bytes:
    """The ``place`` of a leg's spool records."""
    return f"{folder}/spool".encode()


def encode_index(leg: LegFormat, segments: Sequence[Segment], *, complete: bool) -> bytes:
    """The JSON of a sidecar (one segment) or of ``index.json`` (all)."""
    body = {
        "version": INDEX_VERSION,
        "channel": leg.channel,
        "encoding": leg.encoding,
        "sample_rate_hz": leg.sample_rate_hz,
        "complete": complete,
        "segments": [asdict(segment) for segment in segments],
    }
    return json.dumps(body, separators=(",", ":")).encode()


def decode_index(data: bytes) -> LegRecording:
    """The inverse. Raises EngineError for something else."""
    try:
        body = json.loads(data)
        if body["version"] != INDEX_VERSION:
            raise EngineError("A recording was written by another version of this program: read it with that one.")
        return LegRecording(
            leg=LegFormat(channel=body["channel"], encoding=body["encoding"], sample_rate_hz=body["sample_rate_hz"]),
            segments=tuple(_segment(item) for item in body["segments"]),
            complete=body["complete"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError("The index of a recording is damaged: restore it from the media store's backup.") from error


def _segment(item: dict[str, Any]) -> Segment:
    gaps = tuple(Gap(**gap) for gap in item["gaps"])
    return Segment(**(item | {"gaps": gaps}))


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolItem:
    """A stretch of a spool record: audio (``reason`` None; its bytes follow in the record's payload) or a gap."""

    start_sample: int
    samples: int
    reason: GapReason | None = None


def encode_record(items: Sequence[SpoolItem], payload: bytes, cipher: BlobCipher, place: bytes) -> bytes:
    """4 bytes of length (big endian), then encrypted: a JSON line, then the samples of its audio items."""
    head = json.dumps([[item.start_sample, item.samples, item.reason] for item in items], separators=(",", ":")).encode()
    blob = cipher.seal(head + b"\n" + payload, place)
    return len(blob).to_bytes(4, "big") + blob


def decode_records(data: bytes, cipher: BlobCipher, place: bytes) -> Iterator[tuple[list[SpoolItem], bytes]]:
    """The records of a spool file in order. A torn last one (the process died while writing) is left out."""
    position = 0
    while position + 4 <= len(data):
        end = position + 4 + int.from_bytes(data[position : position + 4], "big")
        if end > len(data):
            return
        head, _, payload = cipher.open(data[position + 4 : end], place).partition(b"\n")
        items = [
            SpoolItem(start_sample=start, samples=samples, reason=cast("GapReason | None", reason))
            for start, samples, reason in json.loads(head)
        ]
        yield items, payload
        position = end
