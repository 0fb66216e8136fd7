"""Native libraries that cannot live together in every order: whichever room is entered first, the process must survive."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "imports",
    [
        "import kb.embedded; import onnxruntime",
        "import onnxruntime; import kb.embedded",
        "import kb.embedded; import faster_whisper",
        "import ctranslate2; import kb.embedded; import streaming.vad.silero as s; s.SileroVad()",
        "import kb.embedded; import streaming.vad.silero as s; s.SileroVad()",
        "import sherpa_onnx; import onnxruntime; import ctranslate2; import kb.embedded",
        "import kb.embedded; import ctranslate2; import sherpa_onnx",
        "import usearch.index; import sherpa_onnx",
    ],
)
def test_any_order_of_imports_survives(imports: str):
    done = subprocess.run([sys.executable, "-c", imports], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"status {done.returncode}: {done.stderr[-500:]}"


SHERPA = """
def sherpa():
    from streaming.asr.sherpa import SherpaRecognizer
    from tests.contracts.test_recognizer import ask
    from tests.fakes.tiny_sherpa import sense_voice, sung
    engine = SherpaRecognizer(sense_voice(Path(sys.argv[1])), "cpu")
    for _ in range(3):
        assert engine.recognize([ask(sung(["信", "用", "卡"]))])[0].text == "信用卡"
"""
VAD = """
def vad():
    from streaming.vad.silero import SileroVad
    stream = SileroVad().stream()
    assert 0 <= stream(np.zeros(512, dtype=np.float32)) < 0.5
"""
INDEX = """
def index():
    import kb.embedded
    from usearch.index import Index
    index = Index(ndim=8)
    index.add(1, np.ones(8, dtype=np.float32))
    assert index.search(np.ones(8, dtype=np.float32), 1).keys[0] == 1
    import ctranslate2
    assert ctranslate2.StorageView.from_array(np.ones(4, dtype=np.float32)).shape == [4]
"""


@pytest.mark.parametrize("order", ["sherpa(); vad(); index()", "vad(); index(); sherpa()", "index(); sherpa(); vad(); sherpa()"])
def test_two_onnxruntimes_work_side_by_side(order: str, tmp_path: Path):
    """sherpa-onnx brings an onnxruntime of its own beside the one of the VAD: both decode, whichever came first."""
    code = f"import sys\nfrom pathlib import Path\nimport numpy as np\n{SHERPA}{VAD}{INDEX}\n{order}\nprint('alive')"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, f"status {done.returncode}: {done.stderr[-800:]}"
    assert done.stdout.strip() == "alive"
