"""Models whose bytes nobody knows yet: taken once, then held to what came."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from copilot.domain.errors import ConfigError, EngineError, NotFound
from copilot.modelhub.hub import ModelHub
from copilot.modelhub.manifest import parse_manifest
from copilot.modelhub.pinning import PINS, known_models, manifest_entry
from copilot.modelhub.sources import SourceConfig
from copilot.modelhub.sources import SourceConfig as Sources

REPO = "/Systran/faster-whisper-small/resolve"
FILES = {"config.json": b"{}", "model.bin": bytes(range(256)) * 999, "tokenizer.json": b"[]", "vocabulary.txt": b"a\nb\n"}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """The public hub over httpx's mock transport: /resolve/main answers with its commit through a redirect, as the real one does."""

    def __init__(self) -> None:
        self.files = dict(FILES)
        self.asked: list[tuple[str, str]] = []
        self.cut = 0
        self.commit = COMMIT

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.method, request.url.path))
        if request.url.path.startswith("/cdn/"):
            data = self.files.get(request.url.path.removeprefix("/cdn/"))
            if data is None:
                return httpx.Response(404)
            start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
            headers = {"Content-Length": str(len(data) - start)} | (
                {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
            )
            if request.method == "HEAD":
                return httpx.Response(200, headers=headers)
            if self.cut and len(data) > self.cut and not start:
                return httpx.Response(200, headers=headers, stream=Body(data[: self.cut], broken=True))
            return httpx.Response(206 if start else 200, headers=headers, stream=Body(data[start:]))
        revision, _, path = request.url.path.removeprefix(f"{REPO}/").partition("/")
        assert revision in ("main", self.commit)
        return httpx.Response(302, headers={"Location": f"/cdn/{path}"} | ({"X-Repo-Commit": self.commit} if self.commit else {}))


class Body(httpx.SyncByteStream):
    """A body; ``broken``: that breaks off before its end."""

    def __init__(self, data: bytes, *, broken: bool = False) -> None:
        self._data = data
        self._broken = broken

    def __iter__(self) -> Iterator[bytes]:
        yield self._data
        if self._broken:
            raise httpx.ReadError("the line is dead")


def pinned_from(hub: Hub, root: Path, *, allowed: bool = True) -> ModelHub:
    client = httpx.Client(transport=httpx.MockTransport(hub), base_url="http://hub", follow_redirects=True)
    return ModelHub(root, SourceConfig(hub=allowed, hub_url="http://hub", packages=False), client=client)


def test_the_hub_is_taken_at_one_commit_and_held_to_it(tmp_path):
    served = Hub()
    hub = pinned_from(served, tmp_path)
    with pytest.raises(NotFound, match="pangting models pin whisper-small"):
        hub.path("whisper-small")
    pins = hub.pin("whisper-small")
    assert pins == tmp_path / PINS
    assert {path.name: path.read_bytes() for path in hub.path("whisper-small").iterdir()} == FILES
    (model,) = parse_manifest(pins.read_text(encoding="utf-8"), "pins")
    assert model.hub is not None
    assert model.hub.revision == COMMIT
    assert {file.path: file.sha256 for file in model.files} == {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}
    branches = [path for _, path in served.asked if "/main/" in path]
    assert len(branches) == 1, "after the first answer the commit is asked for, not the branch"

    # A new process on this machine knows it, and so does one that was given the pins; neither takes other bytes.
    assert ModelHub(tmp_path, Sources(packages=False)).path("whisper-small")
    served.files["model.bin"] = b"?" * len(FILES["model.bin"])
    other = ModelHub(
        tmp_path / "other",
        SourceConfig(hub=True, hub_url="http://hub", packages=False),
        manifest=pins,
        client=httpx.Client(transport=httpx.MockTransport(served), follow_redirects=True),
    )
    with pytest.raises(EngineError, match="bytes are not the pinned ones"):
        other.pull("whisper-small")


def test_a_hub_that_names_no_commit_is_pinned_by_its_bytes_alone(tmp_path):
    served = Hub()
    served.commit = ""
    pins = pinned_from(served, tmp_path).pin("whisper-small")
    (model,) = parse_manifest(pins.read_text(encoding="utf-8"), "pins")
    assert model.hub is not None
    assert model.hub.revision == "main"


def test_a_broken_line_is_taken_up_again(tmp_path):
    served = Hub()
    served.cut = 100_000
    hub = pinned_from(served, tmp_path)
    hub.pin("whisper-small")
    assert (hub.path("whisper-small") / "model.bin").read_bytes() == FILES["model.bin"]


def test_what_the_hub_lacks_is_said_and_nothing_is_pinned(tmp_path):
    served = Hub()
    del served.files["tokenizer.json"]
    hub = pinned_from(served, tmp_path)
    with pytest.raises(EngineError, match=r"tokenizer\.json.*--from"):
        hub.pin("whisper-small")
    assert not (tmp_path / PINS).exists()


def test_the_hub_is_asked_only_when_allowed(tmp_path):
    served = Hub()
    with pytest.raises(ConfigError, match=r"models\.hub is false"):
        pinned_from(served, tmp_path, allowed=False).pin("whisper-small")
    assert served.asked == []


def test_a_directory_becomes_a_model_of_the_operator(tmp_path):
    source = tmp_path / "converted"
    (source / "assets").mkdir(parents=True)
    (source / ".cache").mkdir()
    (source / ".cache" / "x").write_bytes(b"no")
    (source / "model.bin").write_bytes(b"weights")
    (source / "assets" / "a b.json").write_bytes(b"{}")
    hub = ModelHub(tmp_path / "models", SourceConfig(packages=False))
    hub.pin("our-whisper", source, licence="Apache-2.0")
    hub.pin("second", source)
    (source / "model.bin").write_bytes(b"changed afterwards")
    again = ModelHub(tmp_path / "models", SourceConfig(packages=False))
    folder = again.path("our-whisper")
    assert (folder / "model.bin").read_bytes() == b"weights"
    assert (folder / "assets" / "a b.json").read_bytes() == b"{}"
    assert not (folder / ".cache").exists()
    assert (again.model("our-whisper").licence, again.model("second").licence) == ("Apache-2.0", "the operator's")
    assert all(not check.problem for check in again.verify("our-whisper"))
    with pytest.raises(ConfigError, match="pinned already"):
        again.pin("our-whisper", source)


def test_names_that_cannot_be_pinned(tmp_path):
    hub = ModelHub(tmp_path, SourceConfig(packages=False, hub=True))
    with pytest.raises(ConfigError, match="whisper-base is pinned already"):
        hub.pin("whisper-base")
    with pytest.raises(ConfigError, match="Nothing is known about 'whisper-huge'; known are whisper-small"):
        hub.pin("whisper-huge")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="holds no files"):
        hub.pin("nothing", tmp_path / "empty")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_bytes(b"a")
    with pytest.raises(ConfigError, match="lower-case"):
        hub.pin("../Escape", tmp_path / "full")


def test_known_models_carry_no_hashes_and_what_an_engine_needs():
    for known in known_models().values():
        assert {"config.json", "model.bin", "tokenizer.json"} <= set(known.files)
        assert "/" in known.repo


def test_an_entry_reads_back_as_it_was(tmp_path):
    hub = pinned_from(Hub(), tmp_path)
    hub.pin("whisper-small")
    model = hub.model("whisper-small")
    assert parse_manifest(manifest_entry(model), "entry") == (model,)
