"""What a model is: named files with their sha256, and the places the bytes can come from. Read from TOML."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any

from copilot.domain.errors import ConfigError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One file of a model. ``members``: wheel members that, put one after another, are this file."""

    path: str
    sha256: str
    bytes: int
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HubRepo:
    """A repository of the public model hub, pinned to a revision."""

    repo: str
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagePart:
    """A registry package with model files inside, pinned by version and, if given, by the sha256 of its wheel."""

    requirement: str
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """Files that an installed dependency brings along: ``<package directory of module>/<folder>``."""

    module: str
    folder: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model by name."""

    name: str
    role: str
    licence: str
    origin: str
    files: tuple[ModelFile, ...]
    installed: Installed | None = None
    hub: HubRepo | None = None
    packages: tuple[PackagePart, ...] = ()

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


def builtin_models() -> tuple[Model, ...]:
    """The models of the manifest in this package."""
    text = resources.files("copilot.modelhub").joinpath("models.toml").read_text(encoding="utf-8")
    return parse_manifest(text, "models.toml")


def read_manifest(path: Path) -> tuple[Model, ...]:
    """An operator's manifest. Raises ConfigError naming the entry and the fault."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The model manifest {path} cannot be read ({error}); correct models.manifest.") from error
    return parse_manifest(text, str(path))


def parse_manifest(text: str, name: str) -> tuple[Model, ...]:
    """Models of a manifest in TOML; ``name`` is used in messages. Raises ConfigError."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The model manifest {name} is not valid TOML: {error}.") from error
    entries = data.get("model")
    if not isinstance(entries, list) or set(data) != {"model"}:
        raise ConfigError(f"The model manifest {name} must hold [[model]] tables and nothing else.")
    models = tuple(_model(entry, f"{name}, model {number}") for number, entry in enumerate(entries, 1))
    seen: set[str] = set()
    for model in models:
        if model.name in seen:
            raise ConfigError(f"The model manifest {name} names {model.name} twice; keep one.")
        seen.add(model.name)
    return models


def checked_name(name: str, where: str = "") -> str:
    """``name`` if it can be a model's: it is also a directory. Raises ConfigError."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{where}name {name!r} must be lower-case letters, digits, '.', '_' or '-'.")
    return name


def _model(entry: Mapping[str, Any], where: str) -> Model:
    name = checked_name(_text(entry, "name", where), f"{where}: ")
    where = f"{where} ({name})"
    _only(entry, {"name", "role", "licence", "origin", "files", "installed", "hub", "packages"}, where)
    files = tuple(_file(file, where) for file in _tables(entry, "files", where))
    if not files:
        raise ConfigError(f"{where}: give at least one [[model.files]].")
    hub = entry.get("hub")
    installed = entry.get("installed")
    if hub is not None:
        _only(hub, {"repo", "revision"}, where)
    if installed is not None:
        _only(installed, {"module", "folder"}, where)
    return Model(
        name=name,
        role=_text(entry, "role", where),
        licence=_text(entry, "licence", where),
        origin=str(entry.get("origin", "")),
        files=files,
        hub=HubRepo(repo=_text(hub, "repo", where), revision=_text(hub, "revision", where)) if hub is not None else None,
        installed=Installed(module=_text(installed, "module", where), folder=str(installed.get("folder", "")))
        if installed is not None
        else None,
        packages=tuple(_package(package, where) for package in _tables(entry, "packages", where)),
    )


def _file(entry: Mapping[str, Any], where: str) -> ModelFile:
    path = _text(entry, "path", where)
    _only(entry, {"path", "sha256", "bytes", "members"}, f"{where}, file {path}")
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or "\\" in path or path.startswith("."):
        raise ConfigError(f"{where}: file path {path!r} must be relative and stay inside the model.")
    sha256 = _text(entry, "sha256", where)
    if not _SHA256.fullmatch(sha256):
        raise ConfigError(f"{where}: sha256 of {path} must be 64 lower-case hex digits.")
    size = entry.get("bytes")
    if not isinstance(size, int) or size < 0:
        raise ConfigError(f"{where}: bytes of {path} must be the file's size.")
    members = entry.get("members", [])
    if not isinstance(members, list) or not all(isinstance(member, str) for member in members):
        raise ConfigError(f"{where}: members of {path} must be a list of names inside the wheels.")
    return ModelFile(path=path, sha256=sha256, bytes=size, members=tuple(members))


def _package(entry: Mapping[str, Any], where: str) -> PackagePart:
    _only(entry, {"requirement", "sha256"}, where)
    requirement = _text(entry, "requirement", where)
    if not _REQUIREMENT.fullmatch(requirement):
        raise ConfigError(f"{where}: requirement {requirement!r} must be pinned, as name==version.")
    sha256 = str(entry.get("sha256", ""))
    if sha256 and not _SHA256.fullmatch(sha256):
        raise ConfigError(f"{where}: sha256 of {requirement} must be 64 lower-case hex digits.")
    return PackagePart(requirement=requirement, sha256=sha256)


def _text(entry: Mapping[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{where}: {key} is missing or empty.")
    return value


def _tables(entry: Mapping[str, Any], key: str, where: str) -> Sequence[Mapping[str, Any]]:
    value = entry.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ConfigError(f"{where}: {key} must be [[model.{key}]] tables.")
    return value


def _only(entry: Mapping[str, Any], allowed: set[str], where: str) -> None:
    unknown = sorted(set(entry) - allowed)
    if unknown:
        raise ConfigError(f"{where}: unknown key {', '.join(unknown)}; known are {', '.join(sorted(allowed))}.")
