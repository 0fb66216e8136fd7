"""What every MediaStore promises, on each engine, S3 over HTTP among them; and a recording through its whole life on S3.

For a store of your own set PANGTING_TEST_MEDIA_URL to a scratch bucket, e.g. s3://scratch/pangting-test.
"""

from __future__ import annotations

import os
import uuid

import numpy as np
import pytest

from copilot.assembly.erasure import Erasure
from copilot.domain.errors import ConfigError, EngineError, InvalidInput, NotFound
from copilot.store.media import DirectoryMedia, open_media
from streaming.recording.reader import RecordingReader
from tests.fakes.recorded_call import AGENT, CUSTOMER, RecordedCall, card_number, frame, record, speech
from tests.fakes.s3_server import s3_server
from tests.fakes.stores import CALL, ORG


@pytest.fixture(scope="module")
def s3():
    with s3_server() as url:
        yield url


@pytest.fixture(params=["path", "file", "memory", "s3", "remote"])
def media(request, tmp_path):
    if request.param == "path":
        yield open_media(str(tmp_path / "new" / "media"))
    elif request.param == "file":
        yield open_media(f"file://{tmp_path}/media")
    elif request.param == "memory":
        yield open_media(f"memory://{uuid.uuid4().hex}")
    elif request.param == "s3":
        yield open_media(f"{request.getfixturevalue('s3')}/{uuid.uuid4().hex}")
    else:
        url = os.environ.get("PANGTING_TEST_MEDIA_URL")
        if not url:
            pytest.skip("by design: PANGTING_TEST_MEDIA_URL names no object store")
        store = open_media(f"{url}/{uuid.uuid4().hex}")
        yield store
        store.delete("org")


def test_what_is_put_can_be_read_replaced_and_listed(media):
    media.put("org/call-1/customer/000001.seg", b"one")
    media.put("org/call-1/customer/000000.seg", b"zero" * 1000)
    media.put("org/call-1/customer/000001.seg", b"")
    media.put("org/call-10/agent/000000.seg", b"x")
    assert media.get("org/call-1/customer/000000.seg") == b"zero" * 1000
    assert media.get("org/call-1/customer/000001.seg") == b""
    assert list(media.list("org/call-1")) == ["org/call-1/customer/000000.seg", "org/call-1/customer/000001.seg"]
    assert list(media.list("org/call-1/")) == list(media.list("org/call-1"))
    assert len(list(media.list("org"))) == 3


def test_missing_is_missing(media):
    media.put("org/call-1/customer/000001.seg", b"one")
    for path in ("org/call-2/customer/000001.seg", "org/call-1/customer", "org/call-1/customer/000001.seg/x"):
        with pytest.raises(NotFound):
            media.get(path)
    assert list(media.list("org/other")) == []
    assert media.delete("org/other") == 0


def test_delete_takes_a_folder_and_leaves_its_neighbour(media):
    for path in ("org/call-1/customer/000000.seg", "org/call-1/agent/000000.seg", "org/call-10/agent/000000.seg"):
        media.put(path, b"x")
    assert media.delete("org/call-1") == 2
    assert list(media.list("org")) == ["org/call-10/agent/000000.seg"]
    assert media.delete("org/call-10/agent/000000.seg") == 1


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/.hidden", "a/\x00", "a\\b", "a/b c"])
def test_a_path_cannot_leave_the_root(media, path):
    with pytest.raises(InvalidInput):
        media.put(path, b"x")
    with pytest.raises(InvalidInput):
        media.get(path)


def test_a_failed_put_leaves_the_old_blob_and_no_litter(tmp_path, monkeypatch):
    media = open_media(str(tmp_path))
    media.put("org/a.seg", b"old")

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EngineError) as caught:
        media.put("org/a.seg", b"new")
    assert caught.value.retryable
    assert media.get("org/a.seg") == b"old"
    assert [path.name for path in (tmp_path / "org").iterdir()] == ["a.seg"]


def test_urls_that_cannot_be_opened_are_said_so(tmp_path):
    (tmp_path / "file").write_text("x")
    for url in ("", "nosuchscheme://bucket/x", str(tmp_path / "file" / "below")):
        with pytest.raises(ConfigError):
            open_media(url)
    assert isinstance(open_media(str(tmp_path)), DirectoryMedia)


@pytest.mark.anyio
async def test_a_recording_lives_and_goes_on_s3(s3, tmp_path):
    call = RecordedCall(tmp_path, open_media(f"{s3}/{uuid.uuid4().hex}"))
    opened = await call.begin()
    customer, agent = speech(8 * 25_000), speech(8 * 25_000, 2)
    await record(call.node("a"), call.cipher(), (CUSTOMER, AGENT), [frame(CUSTOMER, 0, customer), frame(AGENT, 0, agent)])
    sealed = list(call.media.list(f"{ORG}/{CALL}"))
    assert len([path for path in sealed if path.endswith(".seg")]) == 50
    await call.end(opened, card_number(9000, 11_000))
    assert call.work() == ["done"]
    original, masked = call.heard("original"), call.heard("masked")
    reader = RecordingReader(call.media, ORG, CALL, call.cipher())
    for side, channel in enumerate(("customer", "agent")):
        assert np.array_equal(original[:, side], reader.pcm16(channel))
    assert np.abs(masked[8 * 9000 : 8 * 11_000]).max() < 1000 < np.abs(original[8 * 9000 : 8 * 11_000]).max()
    blobs = list(call.media.list(f"{ORG}/{CALL}"))
    assert set(blobs) > set(sealed)
    assert not any(b"fLaC" in call.media.get(path) for path in blobs)
    assert Erasure(call.store, call.media, call.clock).erase(ORG, CALL, "admin") == len(blobs)
    assert list(call.media.list("")) == []
    with pytest.raises(NotFound):
        call.cipher()


def test_a_bucket_that_is_not_there_is_said_so(s3):
    media = open_media(f"{s3}-elsewhere/x")
    with pytest.raises(EngineError, match=r"check the storage behind media\.url"):
        media.put("org/a.seg", b"x")
    with pytest.raises(NotFound):
        media.get("org/a.seg")


def test_a_server_that_is_gone_may_be_asked_again(monkeypatch):
    import s3fs

    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()  # one that knows another endpoint
    try:
        with s3_server() as url:
            media = open_media(f"{url}/x")
            media.put("org/a.seg", b"x")
        for ask in (lambda: media.put("org/a.seg", b"y"), lambda: media.get("org/a.seg"), lambda: list(media.list("org"))):
            with pytest.raises(EngineError) as caught:
                ask()
            assert caught.value.retryable
    finally:
        s3fs.S3FileSystem.clear_instance_cache()
