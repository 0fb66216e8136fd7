"""What every MediaStore promises, on each engine. S3: set PANGTING_TEST_MEDIA_URL to a scratch bucket, e.g. s3://scratch/pangting-test."""

from __future__ import annotations

import os
import uuid

import pytest

from copilot.domain.errors import ConfigError, EngineError, InvalidInput, NotFound
from copilot.store.media import DirectoryMedia, open_media


@pytest.fixture(params=["path", "file", "memory", "remote"])
def media(request, tmp_path):
    if request.param == "path":
        yield open_media(str(tmp_path / "new" / "media"))
    elif request.param == "file":
        yield open_media(f"file://{tmp_path}/media")
    elif request.param == "memory":
        yield open_media(f"memory://{uuid.uuid4().hex}")
    else:
        url = os.environ.get("PANGTING_TEST_MEDIA_URL")
        if not url:
            pytest.skip("not run: PANGTING_TEST_MEDIA_URL names no object store")
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
