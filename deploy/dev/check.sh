#!/usr/bin/env bash
# Lint, format, types and import rules; stops at the first that fails.
set -euo pipefail
cd "$(dirname "$0")/../.."
say() { printf '\n== %s\n' "$*"; }
say "ruff"
.venv/bin/ruff check .
.venv/bin/ruff format --check .
say "mypy (strict)"; .venv/bin/mypy
say "import rules"; .venv/bin/lint-imports
say "web: types and lint"
npm --prefix web run -s typecheck
npm --prefix web run -s lint
