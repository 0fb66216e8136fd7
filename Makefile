# Two commands matter: `make demo` and `make test`. Both do all set-up by themselves; `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python
export PYTHONUNBUFFERED := 1
export PYANNOTE_METRICS_ENABLED := 0
export HF_HUB_OFFLINE := 1

.PHONY: screenshot help setup setup-dev demo test test-llm test-all test-fast check fuzz bench capacity overload kb-scale soak web lock hooks clean test-diarization

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: ## Virtual environment, packages, web UI and models (nothing is done twice)
	@deploy/dev/setup.sh run

setup-dev: ## The same with what the tests need (Chromium, Redis; Debian packages)
	@deploy/dev/setup.sh test

demo: setup ## A real two-channel Mandarin call through the whole product (ONCE=1 ends by itself and checks the result; LLM=local)
	@$(PY) -m loadtest.demo $(if $(ONCE),--once) $(if $(CALL),--call $(CALL)) $(if $(LLM),--llm $(LLM)) $(DEMO_ARGS)

test: setup-dev ## Every test that can run here, and the checks
	@deploy/dev/test.sh

test-fast: setup-dev ## Only what needs neither models nor browser
	@$(PY) -m pytest -q -n 2 -m "not models and not browser and not slow and not gpu and not online and not llm"

test-all: ## make test, then the slow suites (RabbitMQ too)
	@deploy/dev/setup.sh all
	@deploy/dev/test.sh --all

test-gpu: setup-dev ## What needs an NVIDIA GPU: the recogniser contract on cuda (PANGTING_TEST_WHISPER=DIR for another model than whisper-base)
	@$(PY) -m pytest -q -m gpu

test-llm: setup-dev ## Replies and summaries by a real language model on this machine: streamed, killed, frozen (fetches 0.5 GB once)
	@$(PY) -m pytest -q -m llm --timeout 1800

test-diarization: ## Who spoke when, on a real recording, in an environment of its own (2 to 7 GB, built once)
	@deploy/dev/diarization.sh

fuzz: setup-dev ## Coverage-guided fuzzing of every telephony parser, a minute each (FUZZ_SECONDS=; PARSERS="raw twilio")
	@deploy/dev/fuzz.sh $(PARSERS)

check: setup-dev ## Lint, types, import rules
	@deploy/dev/check.sh

bench: setup-dev ## Latency, CER, CPU and memory at 1 to 32 live channels, as the README's table (12 min; CHANNELS="1 2 4")
	@$(PY) -m loadtest.bench $(if $(CHANNELS),--channels $(CHANNELS)) $(BENCH_ARGS)

capacity: setup-dev ## The highest number of live channels that this machine keeps up with
	@$(PY) -m loadtest.bench --capacity $(BENCH_ARGS)

overload: setup-dev ## More calls than fit: are they refused, are the running ones spared, is it over when it is over?
	@$(PY) -m loadtest.overload $(BENCH_ARGS)

kb-scale: setup-dev ## The knowledge base with 100,000 passages: search, edit, build, memory, disk (PASSAGES=)
	@$(PY) -m loadtest.kb_scale $(if $(PASSAGES),--passages $(PASSAGES)) --embedding 64

soak: setup-dev ## Half load for two hours (SOAK_MINUTES=): memory, latency and losses
	@$(PY) -m loadtest.soak $(if $(SOAK_MINUTES),--minutes $(SOAK_MINUTES)) $(BENCH_ARGS)

screenshot: setup-dev ## Take the pictures of the README again
	@$(PY) -m loadtest.screenshot

web: ## Build the web UI into the package
	@deploy/dev/setup.sh web

hooks: ## Install the local git hook (runs `make check` on what is staged)
	@install -m 755 deploy/dev/pre-commit.sh "$$(git rev-parse --git-path hooks)/pre-commit" && echo "pre-commit hook installed"

lock: ## Compile the hashed requirement locks from pyproject.toml
	@deploy/dev/lock.sh

clean: ## Remove what was built (not the models and data in var/)
	@rm -rf .venv web/node_modules copilot/api/_web .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache reports dist
