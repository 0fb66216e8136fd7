#!/usr/bin/env bash
# Coverage-guided fuzzing of every telephony parser, one after the other: FUZZ_SECONDS each (60). Names as arguments pick some.
set -uo pipefail
cd "$(dirname "$0")/../.."
py=.venv/bin/python
$py -c 'import atheris' 2>/dev/null || $py -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r deploy/dev/requirements-fuzz.lock \
  || echo "atheris cannot be installed here (it has binaries for Linux): fuzzing by plain mutation instead."
names=("$@"); [ $# -gt 0 ] || mapfile -t names < <($py -m tests.fuzz.target)
mkdir -p var/log
failed=()
for name in "${names[@]}"; do
  log=var/log/fuzz-$name.log
  if $py -m tests.fuzz.target "$name" --seconds "${FUZZ_SECONDS:-60}" >"$log" 2>&1; then
    printf '  %-12s ok: %s\n' "$name" "$(grep -E '^Done|inputs,' "$log" | tail -1)"
  else
    printf '  %-12s FAILED: see %s\n' "$name" "$log"; failed+=("$name")
  fi
done
[ ${#failed[@]} -eq 0 ]
