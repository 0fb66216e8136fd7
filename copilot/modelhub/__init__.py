"""Content-addressed model files: pinned by sha256, from a local directory, a mirror, the public hub or registry packages."""

from copilot.modelhub.hub import FileCheck, ModelHub, ModelStatus, PullProgress
from copilot.modelhub.manifest import Model, ModelFile
from copilot.modelhub.sources import SourceConfig

__all__ = ["FileCheck", "Model", "ModelFile", "ModelHub", "ModelStatus", "PullProgress", "SourceConfig"]
