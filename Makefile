# Everything is set up in .venv; nothing outside this directory is touched.
# `make` alone lists what there is.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.installed
# One file for every platform and Python of the extras, with the hash of each package's files.
LOCK = .venv/lock/bin/uv pip compile --quiet $(if $(UPGRADE),--upgrade) --universal \
	--python-version 3.11 --generate-hashes --no-annotate --custom-compile-command 'make lock'
# Tests mostly wait for other processes: more workers than cores. WORKERS=2 where others work too.
WORKERS ?= 4
PYTEST = $(BIN)/pytest --numprocesses $(WORKERS) --dist loadgroup
IMAGE_EXTRAS := --extra exporter --extra webhook

.DEFAULT_GOAL := help
.PHONY: help demo unit test test-all e2e kind-e2e compat differential hostile-hook chaos receivers docs boards lock manifests lint format bench soak clean

help: ## list these commands
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):[^#]*## /  make \1\t/' | expand -t 18

demo: $(STAMP) ## train on four ranks and watch the series in Prometheus (SERVE=1 keeps it up)
	@$(BIN)/primus-lens demo $(if $(SERVE),--serve) examples/train.py

unit: $(STAMP) ## run the unit tests, in a minute; they need no wandb
	$(PYTEST) -m 'not exhaustive' tests/unit

test: $(STAMP) ## run what most changes need, in minutes: unit tests, and each main path once
	$(PYTEST) -m 'not exhaustive' tests/unit tests/integration

test-all: $(STAMP) ## run every test that needs no cluster (PROGRAMS=5 random ones on each wandb)
	$(PYTEST) --hypothesis-profile=thorough $(if $(PROGRAMS),--programs $(PROGRAMS)) tests/unit tests/integration

e2e: $(STAMP) ## run the tests on the cluster of KUBECONFIG (see tests/support/cluster_world.py)
	$(BIN)/pytest --verbose tests/cluster

kind-e2e: $(STAMP) ## the same on a kind cluster made for it (NODE_IMAGE=kindest/node:TAG, KEEP=1)
	@tests/cluster/kind.sh

compat: $(STAMP) ## train on every Python and wandb, and with torch frameworks (ONLY=frameworks)
	@PYTHONPATH=tests $(BIN)/python tools/compat.py $(if $(ONLY),--only '$(ONLY)')

differential: $(STAMP) ## train N=300 random programs with and without the hook (SEED=1, HELP=1)
	@cd tests && ../$(BIN)/python -m support.differential $(if $(HELP),--help,$(or $(N),300) $(if $(SEED),--seed $(SEED)))

hostile-hook: $(STAMP) ## live N=10000 random process lives with and without the hook (SEED=1, HELP=1)
	@cd tests && ../$(BIN)/python -m support.hostile_hook $(if $(HELP),--help,$(or $(N),10000) $(if $(SEED),--seed $(SEED)))

chaos: $(STAMP) ## an hour of a node's life in MINUTES=3, then check every promise (SEED=1, HELP=1)
	@cd tests && ../$(BIN)/python -m support.chaos $(if $(HELP),--help,--minutes $(or $(MINUTES),3) $(if $(SEED),--seed $(SEED)))

receivers: ## bring Prometheus 3 and VictoriaMetrics for the tests of remote write and OTLP
	@tools/receivers.sh

docs: $(STAMP) ## draw the pictures of the documentation again
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --group docs
	@PYTHONPATH=tests $(BIN)/python tools/draw_step_fix.py
	@PYTHONPATH=tests $(BIN)/python tools/draw_page.py
	@PYTHONPATH=tests $(BIN)/python tools/draw_architecture.py

boards: $(STAMP) ## make Grafana's boards and their page in docs/
	@cd boards && ../$(BIN)/python -m primus_lens_boards

lock: ## pin in requirements/ what pyproject.toml asks for (UPGRADE=1: everything to the newest)
	@test -x .venv/lock/bin/uv || { $(PYTHON) -m venv .venv/lock && .venv/lock/bin/pip install --quiet uv; }
	@$(LOCK) --group build --output-file requirements/build.txt
	@$(LOCK) pyproject.toml $(IMAGE_EXTRAS) --output-file requirements/image.txt
	@$(LOCK) pyproject.toml $(IMAGE_EXTRAS) --extra demo --group dev \
		--constraint requirements/build.txt --constraint requirements/image.txt \
		--output-file requirements/dev.txt

manifests: $(STAMP) ## render manifests/ and the chart's table of values
	@cd tests && ../$(BIN)/python -m support.chart.manifests

lint: $(STAMP) ## check style, types and which package may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## put the code into the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

soak: $(STAMP) ## ten minutes of 512 files, rotations, deletions and API outages; then fuzzing
	$(BIN)/python benchmarks/soak.py
	$(BIN)/python benchmarks/fuzz_reading.py 20

bench: $(STAMP) ## measure against the peers
	for each in benchmarks/bench_*.py; do $(BIN)/python $$each || exit 1; done

clean: ## remove what these commands made
	rm -rf .venv dist wandb .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(STAMP): pyproject.toml requirements/dev.txt hook/primus_lens_hook.pth
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || \
		{ rm -rf .venv; echo "python3-venv is missing: apt-get install python3-venv" >&2; exit 1; }
	@echo "Setting up .venv (a minute or two, once)"
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
