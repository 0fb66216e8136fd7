"""Models whose bytes nobody has pinned yet: taken once on the operator's word, then held to what came.

The pins are an ordinary manifest, ``pins.toml`` in the models directory. Copied to where ``models.manifest`` points, it holds every
other machine to the same bytes.
"""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import httpx
from filelock import FileLock

from copilot.domain.errors import ConfigError, EngineError
from copilot.modelhub.blobs import BlobStore, sha256_of, write_atomically
from copilot.modelhub.manifest import HubRepo, Model, ModelFile, read_manifest
from copilot.modelhub.sources import HttpSource, Unavailable

PINS = "pins.toml"
_COMMIT_HEADER = "X-Repo-Commit"
"""The hub names the commit that a branch stood at when it answered."""

Note = Callable[[str, int, int], None]
"""Told (file, bytes so far, bytes in all)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """A model by its repository on the public hub, without hashes."""

    name: str
    role: str
    licence: str
    repo: str
    files: tuple[str, ...]


def known_models() -> dict[str, KnownModel]:
    """The models of known.toml by name."""
    data = tomllib.loads(resources.files("copilot.modelhub").joinpath("known.toml").read_text(encoding="utf-8"))
    return {entry["name"]: KnownModel(**{**entry, "files": tuple(entry["files"])}) for entry in data["known"]}


def read_pins(root: Path) -> tuple[Model, ...]:
    """What was pinned on this machine. Raises ConfigError when the file is damaged."""
    path = root / PINS
    return read_manifest(path) if path.is_file() else ()


def write_pin(root: Path, model: Model) -> Path:
    """Adds a model to the pins of this machine."""
    path = root / PINS
    with FileLock(f"{path}.lock"):
        before = path.read_text(encoding="utf-8") if path.is_file() else "# Written by `pangting models pin`; a manifest like any other.\n"
        write_atomically(path, f"{before}\n{manifest_entry(model)}".encode())
    return path


def manifest_entry(model: Model) -> str:
    """The model as TOML for a manifest."""
    lines = ["[[model]]", *(f"{key} = {_quoted(getattr(model, key))}" for key in ("name", "role", "licence", "origin"))]
    if model.hub is not None:
        lines += ["", "[model.hub]", f"repo = {_quoted(model.hub.repo)}", f"revision = {_quoted(model.hub.revision)}"]
    for file in model.files:
        lines += ["", "[[model.files]]", f"path = {_quoted(file.path)}", f"bytes = {file.bytes}", f"sha256 = {_quoted(file.sha256)}"]
    return "\n".join(lines) + "\n"


def from_directory(name: str, directory: Path, blobs: BlobStore, staging: Path, *, role: str, licence: str, note: Note) -> Model:
    """A model from the files of a directory, copied into the blobs. Raises ConfigError when there are none."""
    paths = list(_files(directory))
    if not paths:
        raise ConfigError(f"{directory} holds no files: give the directory of the model with --from.")
    files: list[ModelFile] = []
    for path in paths:
        relative, size = path.relative_to(directory).as_posix(), path.stat().st_size
        note(relative, 0, size)
        shutil.copyfile(path, staging)
        files.append(_adopted(relative, staging, blobs))
        note(relative, size, size)
    return Model(name=name, role=role, licence=licence, origin=f"pinned from the directory {directory.name}", files=tuple(files))


def from_hub(known: KnownModel, base: str, client: httpx.Client, blobs: BlobStore, staging: Path, note: Note) -> Model:
    """A model from the public hub as it is now; broken downloads are resumed. Raises EngineError saying what the hub answered."""
    revision, files = "main", []
    for path in known.files:
        url = f"{base.rstrip('/')}/{known.repo}/resolve/{revision}/{path}"
        size, commit = _look(client, url)
        if revision == "main" and commit:
            revision = commit  # the further files are of the same commit, even if the branch moves meanwhile
            url = f"{base.rstrip('/')}/{known.repo}/resolve/{revision}/{path}"
        file = ModelFile(path=path, sha256="", bytes=size)
        model = Model(name=known.name, role=known.role, licence=known.licence, origin="", files=(file,))
        source = HttpSource("hub", lambda _model, _file, url=url: [url], client)  # type: ignore[misc]
        try:
            source.stage(model, file, staging, lambda have, path=path, size=size: note(path, have, size))  # type: ignore[misc]
        except Unavailable as error:
            raise EngineError(f"{path} of {known.name} could not be had ({error}): run the pin again.", retryable=True) from error
        files.append(_adopted(path, staging, blobs))
    return Model(
        name=known.name,
        role=known.role,
        licence=known.licence,
        origin=f"https://huggingface.co/{known.repo}",
        files=tuple(files),
        hub=HubRepo(repo=known.repo, revision=revision),
    )


def _look(client: httpx.Client, url: str) -> tuple[int, str]:
    """(bytes, commit or "") of a file of the hub, without fetching it."""
    try:
        answer = client.head(url, headers={"Accept-Encoding": "identity"})
    except httpx.HTTPError as error:
        raise EngineError(f"{url} cannot be reached ({error}): check the network, or pin from a directory with --from.") from error
    length = answer.headers.get("Content-Length", "")
    if not answer.is_success or not length.isdigit():
        raise EngineError(f"{url} answered {answer.status_code}, not a file: pin from a directory with --from.")
    commits = [step.headers[_COMMIT_HEADER] for step in (*answer.history, answer) if _COMMIT_HEADER in step.headers]
    return int(length), commits[0] if commits else ""


def _adopted(path: str, staging: Path, blobs: BlobStore) -> ModelFile:
    size, sha256 = staging.stat().st_size, sha256_of(staging)
    blobs.adopt(staging, sha256)
    return ModelFile(path=path, sha256=sha256, bytes=size)


def _files(directory: Path) -> Iterator[Path]:
    """Regular files below a directory, hidden ones left out, in order."""
    for path in sorted(directory.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(directory).parts):
            yield path


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # a JSON string is a TOML basic string
