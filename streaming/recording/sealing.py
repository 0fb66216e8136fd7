"""From a spool file to a sealed segment: the same path while a call runs and after a crash."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from copilot.domain.audio import ChannelName, LegFormat
from copilot.domain.errors import NotFound
from copilot.domain.ids import CallId, OrgId
from copilot.domain.ports.media import MediaStore
from streaming.recording.segment import (
    BlobCipher,
    Gap,
    Segment,
    SpoolItem,
    decode_index,
    decode_records,
    encode_index,
    index_path,
    leg_path,
    part_of,
    segment_path,
    sidecar_path,
    spool_place,
)

log = structlog.get_logger(__name__)

LEG_FILE = "leg.json"
SPOOL_SUFFIX = ".spool"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveredLeg:
    """A leg whose spool was left by a process that died. ``duration_ms`` of media time, gaps included."""

    org_id: OrgId
    call_id: CallId
    channel: ChannelName
    segments: int
    duration_ms: int


def write_leg_file(directory: Path, leg: LegFormat) -> None:
    """Names the codec of a leg's spool for recovery."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / LEG_FILE).write_text(json.dumps(asdict(leg)), encoding="ascii")


def seal_spool(spool: Path, folder: str, leg: LegFormat, cipher: BlobCipher, media: MediaStore) -> Segment | None:
    """Puts one spool file into the media store and removes it; None if it held nothing. May be repeated after a crash at any point.

    Raises EngineError when the store refuses (the spool stays), and what the cipher raises.
    """
    number = int(spool.stem)
    items: list[SpoolItem] = []
    parts: list[bytes] = []
    for record_items, payload in decode_records(spool.read_bytes(), cipher, spool_place(folder)):
        items += record_items
        parts.append(payload)
    if not items:
        spool.unlink()
        return None
    path = segment_path(folder, number)
    sealed = cipher.seal(b"".join(parts), path.encode())
    last = items[-1]
    segment = Segment(
        number=number,
        start_sample=items[0].start_sample,
        end_sample=last.start_sample + last.samples,
        samples=sum(item.samples for item in items if item.reason is None),
        gaps=tuple(
            Gap(start_sample=item.start_sample, samples=item.samples, reason=item.reason) for item in items if item.reason is not None
        ),
        sha256=hashlib.sha256(sealed).hexdigest(),
        part=part_of(folder),
    )
    # The sidecar comes last: a segment counts from then on.
    media.put(path, sealed)
    media.put(sidecar_path(folder, number), encode_index(leg, [segment], complete=False))
    spool.unlink()
    return segment


def finish_leg(directory: Path, folder: str, leg: LegFormat, segments: Sequence[Segment], media: MediaStore) -> None:
    """Writes ``index.json`` of a leg whose spool files are all sealed, and removes its spool directory."""
    media.put(index_path(folder), encode_index(leg, sorted(segments, key=lambda segment: segment.number), complete=True))
    _remove(directory)


def stored_segments(media: MediaStore, folder: str) -> list[Segment]:
    """The segments of a leg's part as their sidecars tell, by number."""
    segments: list[Segment] = []
    for path in media.list(folder):
        parent, _, name = path.rpartition("/")
        if parent == folder and name.endswith(".json") and name.removesuffix(".json").isdigit():
            with contextlib.suppress(NotFound):
                segments += decode_index(media.get(path)).segments
    return sorted(segments, key=lambda segment: segment.number)


def recover(spool_dir: Path, media: MediaStore, cipher_for: Callable[[OrgId, CallId], BlobCipher]) -> list[RecoveredLeg]:
    """Seals what a process that died left in ``spool_dir``. Call it before a recorder opens calls there; it may be repeated.

    What cannot be sealed (the store is away, a file is damaged) is logged and stays for the next time, so that one bad leg does not stop
    the rest. A call whose key is gone was erased: its spool is removed.
    """
    recovered: list[RecoveredLeg] = []
    for leg_file in sorted(spool_dir.glob(f"*/*/*/{LEG_FILE}")):
        org_id, call_id = OrgId(leg_file.parent.parent.parent.name), CallId(leg_file.parent.parent.name)
        try:
            recovered.append(_recover_leg(leg_file, org_id, call_id, media, cipher_for(org_id, call_id)))
        except NotFound:
            _remove(leg_file.parent)
        except Exception as error:  # whatever is wrong with this leg, the next one may be well
            log.warning("recording_not_recovered", call_id=call_id, error=type(error).__name__)
    return recovered


def _recover_leg(leg_file: Path, org_id: OrgId, call_id: CallId, media: MediaStore, cipher: BlobCipher) -> RecoveredLeg:
    directory = leg_file.parent
    leg = LegFormat(**json.loads(leg_file.read_text(encoding="ascii")))
    part = directory.name.partition(".")[2]
    folder = leg_path(org_id, call_id, leg.channel, int(part) if part else 1)
    for spool in sorted(directory.glob(f"*{SPOOL_SUFFIX}")):
        seal_spool(spool, folder, leg, cipher, media)
    segments = stored_segments(media, folder)
    finish_leg(directory, folder, leg, segments, media)
    samples = segments[-1].end_sample if segments else 0
    return RecoveredLeg(org_id=org_id, call_id=call_id, channel=leg.channel, segments=len(segments), duration_ms=leg.samples_to_ms(samples))


def _remove(directory: Path) -> None:
    if directory.is_dir():  # a leg of which nothing came has none
        for leftover in directory.iterdir():
            leftover.unlink()
        directory.rmdir()
        with contextlib.suppress(OSError):  # the other legs of the call may still be there
            directory.parent.rmdir()
