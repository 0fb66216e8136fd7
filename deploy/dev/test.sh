#!/usr/bin/env bash
# Every test that can run on this machine. What cannot (a GPU, the internet) has its own mark and is reported as not run.
set -uo pipefail
cd "$(dirname "$0")/../.."
all=""; [ "${1:-}" = "--all" ] && all=1
started=$SECONDS; failed=()
step() { # name, command…
  local name=$1; shift; local t=$SECONDS
  printf '\n━━ %s\n' "$name"
  if "$@"; then printf '   %s: ok (%d s)\n' "$name" $((SECONDS - t)); else printf '   %s: FAILED (%d s)\n' "$name" $((SECONDS - t)); failed+=("$name"); fi
}
py=.venv/bin/python
step "checks" deploy/dev/check.sh
step "web unit tests" npm --prefix web run -s test
here="not slow and not gpu and not online and not llm and not diarization"
step "unit, property, contract and end-to-end tests" $py -m pytest -q -n 2 --dist loadfile --durations 8 \
  -m "not models and not browser and $here"
step "calls by every protocol, with nothing else running" $py -m pytest -q --timeout 600 -m "alone and $here"
# Most of these wait for calls that are played at the speed of speech, so two at a time are nearly twice as fast. None asserts a time.
step "real models, real speech and a real browser" $py -m pytest -q -n 2 --dist loadfile --timeout 600 --durations 12 \
  -m "(models or browser) and not alone and $here"
slow() { $py -m pytest -q -m "slow and not gpu and not online and not llm and not diarization" --timeout 3600; local status=$?; [ $status -eq 5 ] || return $status; }  # 5: none marked
[ -n "$all" ] && step "slow suites" slow
printf '\nNot run here by design: tests marked gpu (need a GPU), online (need the internet: edge-tts, model hub), llm (make test-llm: half a gigabyte)\nand diarization (make test-diarization: an environment of 2 to 7 GB).\n'
if [ ${#failed[@]} -gt 0 ]; then printf 'FAILED after %d s: %s\n' $((SECONDS - started)) "$(IFS=,; echo "${failed[*]}")"; exit 1; fi
printf 'All steps passed in %d s.\n' $((SECONDS - started))
