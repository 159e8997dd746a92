# Two commands matter: `make demo` and `make test`; each does all its set-up. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
JOBS ?= auto
COVERAGE := 85
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install demo test lint format soak bench docs lock clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | awk -F ':.*?## ' '{printf "  %-10s %s\n", $$1, $$2}'

$(STAMP): requirements.lock pyproject.toml organismctl/__init__.py
	@$(PYTHON) -c 'import sys; sys.exit("organismctl needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked dependencies into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

install: $(STAMP) ## Make .venv with the locked dependencies and the tool itself

demo: $(STAMP) ## Run the main job on real processes on this host (about a minute)
	@$(BIN)/python examples/demo/demo.py

test: $(STAMP) ## Run the tests
	$(BIN)/pytest -n $(JOBS) --dist worksteal --cov --cov-report=term:skip-covered --cov-fail-under=$(COVERAGE) $(ARGS)

lint: $(STAMP) ## ruff, mypy, import arrows, docstrings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/interrogate --quiet organismctl

format: $(STAMP) ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

soak: $(STAMP) ## 100,000 seeds of the ledger simulation (about an hour)
	$(BIN)/python -m tests.committee.ledger.simulation --seeds 100000

bench: $(STAMP) ## Print the table of ratios
	$(BIN)/python -m benchmarks

lock: ## Resolve every dependency anew into requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --all-extras --group dev pyproject.toml -o requirements.lock

docs: $(STAMP) ## Renew completions, command pages and schemas from the code
	$(BIN)/python -m organismctl.cli.generate completions completions
	$(BIN)/python -m organismctl.cli.generate docs docs/commands
	$(BIN)/python -m organismctl.files.jsonschemas docs/schemas
	$(BIN)/python -m organismctl.report.schema docs/schemas

clean: ## Remove what the other targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* htmlcov
