#!/usr/bin/env bash
# Hashed, host-free locks: any mirror that serves the same bytes will do.
set -euo pipefail
cd "$(dirname "$0")/../.."
.venv/bin/python -m pip install -q uv
compile() { .venv/bin/python -m uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header "$@"; }
extras=(--extra elasticsearch --extra redis --extra postgresql --extra voices --extra s3 --extra ocr)
compile pyproject.toml -o deploy/dev/requirements.lock
compile pyproject.toml "${extras[@]}" --group dev -c deploy/dev/requirements.lock -o deploy/dev/requirements-dev.lock
compile --group fuzz -o deploy/dev/requirements-fuzz.lock
echo "deploy/dev/requirements.lock, requirements-dev.lock and requirements-fuzz.lock are up to date"
