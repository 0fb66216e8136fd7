"""The composition root: the only place that reads settings to pick engines and that knows every room of the house.

The rest of the program gets what it needs through its constructors. Imports are late, so that a command loads only what it uses.
"""

from __future__ import annotations

from copilot.assembly.call_search import open_call_search
from copilot.assembly.engines import default_models, model_hub
from copilot.assembly.import_process import carry_out_import
from copilot.assembly.insight_command import open_insights
from copilot.assembly.recording_import import open_import, recordings_of
from copilot.assembly.server import build_server
from copilot.assembly.tools import batch_transcriber, open_knowledge, open_people, postcall_desk
from copilot.assembly.worker import build_worker

__all__ = [
    "batch_transcriber",
    "build_server",
    "build_worker",
    "carry_out_import",
    "default_models",
    "model_hub",
    "open_call_search",
    "open_import",
    "open_insights",
    "open_knowledge",
    "open_people",
    "postcall_desk",
    "recordings_of",
]
