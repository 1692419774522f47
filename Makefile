# Two commands to begin with: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What is installed is named by the lock files: as long as they do not change, nothing is installed.
RUN_STAMP := $(VENV)/.run-stamp
DEV_STAMP := $(VENV)/.dev-stamp
# The tests run in two processes, each with servers of its own: they wait more than they compute.
TESTS := -n 2 --dist loadfile

.PHONY: demo test test-containers check drills setup setup-dev format lint types lock up clean

demo: setup
	@$(BIN)/durable-agents demo

test: setup-dev
	@$(BIN)/python -m pytest $(TESTS) $(PYTEST_ARGS)

# Every fault at every step of every flow; LONG=1 goes on until 11,000 scenarios are seen.
drills: setup-dev
	@$(BIN)/python -m tests.drills $(if $(LONG),--long) $(DRILLS_ARGS)

# The images and containers, for real; needs Docker.
test-containers: setup-dev
	@$(BIN)/python -m tests.containers $(PYTEST_ARGS)

check: setup-dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/pyright
	@$(BIN)/python -m pytest $(TESTS) $(PYTEST_ARGS)

setup: $(RUN_STAMP)
setup-dev: $(DEV_STAMP)

up: setup
	@$(BIN)/durable-agents up

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Durable Agents needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Set PYTHON=python3.X and run make again."; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): requirements-embedded.lock pyproject.toml | $(BIN)/python
	@echo "Installing (once) into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-embedded.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(DEV_STAMP): requirements-dev.lock $(RUN_STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

format: setup-dev
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

# Names packages, versions and hashes only. Needs uv (`pip install uv`).
LOCK := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet
lock:
	$(LOCK) --extra embedded --group dev -o requirements-dev.lock
	$(LOCK) -c requirements-dev.lock --extra embedded --group build -o requirements-embedded.lock
	$(LOCK) -c requirements-dev.lock --extra stripe --extra s3 --group build -o requirements.lock

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
