"""Native libraries that cannot live together in every order: whichever room is entered first, the process must survive."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "imports",
    [
        "import kb.embedded; import onnxruntime",
        "import onnxruntime; import kb.embedded",
        "import kb.embedded; import faster_whisper",
        "import ctranslate2; import kb.embedded; import streaming.vad.silero as s; s.SileroVad()",
        "import kb.embedded; import streaming.vad.silero as s; s.SileroVad()",
    ],
)
def test_any_order_of_imports_survives(imports: str):
    done = subprocess.run([sys.executable, "-c", imports], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"status {done.returncode}: {done.stderr[-500:]}"
