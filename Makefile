# Two commands matter: `make demo` and `make test`; each does all its set-up. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ENGINE := $(VENV)/.engine
ENGINE_SOURCES := $(wildcard engine/src/*.rs engine/src/*/*.rs) engine/Cargo.toml engine/Cargo.lock engine/pyproject.toml
# wheel: as it is shipped; quick: built in less than half the time, for checks.
export ENGINE_PROFILE ?= wheel
# Each test starts processes of the tool: without bytecode on disk every one of them would compile it anew.
unexport PYTHONDONTWRITEBYTECODE
CARRIER ?= loopback
JOBS ?= auto
COVERAGE := 85
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install engine engine-lint engine-test demo test test-hosts lint format soak bench docs lock clean

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

# Without cargo there is no engine: everything but the mosaik carrier works, and what is left out says so.
$(ENGINE): $(STAMP) $(ENGINE_SOURCES)
	@if command -v cargo >/dev/null; then \
		echo "building the engine (mosaik and its QUIC stack: some minutes the first time) ..."; \
		$(BIN)/maturin develop --quiet --manifest-path engine/Cargo.toml --profile $(ENGINE_PROFILE) --locked && touch $(ENGINE); \
	else \
		echo "no cargo here, so the engine is not built: no mosaik carrier, and its tests are left out"; \
	fi

engine: $(ENGINE) ## Build the Rust engine (real mosaik) into .venv, when cargo is there

# ENGINE_LINT=build: clippy compiles the crate instead of rustc, so its dependencies are built once and not twice.
ENGINE_LINT ?= check
ifeq ($(ENGINE_LINT),build)
export RUSTC_WORKSPACE_WRAPPER := clippy-driver
export CLIPPY_ARGS := -Dwarnings__CLIPPY_HACKERY__
engine-lint: $(ENGINE)
	@cargo fmt --check --manifest-path engine/Cargo.toml
	@cargo test --quiet --no-run --locked --profile $(ENGINE_PROFILE) --manifest-path engine/Cargo.toml
else
engine-lint: $(STAMP)
	@if command -v cargo >/dev/null; then \
		cargo fmt --check --manifest-path engine/Cargo.toml && \
		cargo clippy --quiet --locked --all-targets --features python --profile $(ENGINE_PROFILE) --manifest-path engine/Cargo.toml -- -D warnings; \
	else echo "no cargo here: the engine is not linted"; fi
endif

# The consumer in Rust too, here and not within the tests: a compiler beside them takes both cores.
engine-test: $(ENGINE)
	@if command -v cargo >/dev/null; then \
		cargo test --quiet --locked --profile $(ENGINE_PROFILE) --manifest-path engine/Cargo.toml && \
		CARGO_TARGET_DIR=$(CURDIR)/engine/target cargo build --quiet --locked --profile $(ENGINE_PROFILE) \
			--manifest-path examples/rust-integrator/Cargo.toml; \
	else echo "no cargo here: the engine's own tests are left out"; fi

ifeq ($(CARRIER),mosaik)
demo: $(ENGINE)
endif
demo: $(STAMP) ## Run the main job on real processes of this host (about a minute); CARRIER=mosaik: on real mosaik
	@$(BIN)/python examples/demo/demo.py --carrier $(CARRIER)

test: $(ENGINE) engine-test ## Run the tests; ARGS="tests/cli -k init": only these
ifeq ($(ARGS),)
	$(BIN)/pytest -n $(JOBS) --dist worksteal --cov --cov-report=term:skip-covered --cov-fail-under=$(COVERAGE) --ignore=tests/hosts
else
	$(BIN)/pytest -n $(JOBS) --dist worksteal $(ARGS)
endif

# Their clocks are those of real elections, so they run by themselves, two at a time.
test-hosts: $(ENGINE) ## Run the tests across network namespaces (as root, some minutes)
	$(BIN)/pytest -n 2 --dist worksteal tests/hosts

lint: $(STAMP) engine-lint ## ruff, mypy, import arrows, docstrings, clippy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/interrogate --quiet organismctl

format: $(STAMP) ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

soak: $(ENGINE) ## 100,000 seeds of the ledger simulation, 20 rounds across hosts (as root); hours
	$(BIN)/python -m tests.committee.ledger.simulation --seeds 100000
	$(BIN)/python -m tests.hosts.soak

bench: $(ENGINE) ## Print the table of ratios
	$(BIN)/python -m benchmarks

lock: ## Resolve every dependency anew into requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --all-extras --group dev pyproject.toml -o requirements.lock

docs: $(STAMP) ## Renew completions, command pages, schemas and the reference from the code
	$(BIN)/python -m organismctl.cli.generate completions completions
	$(BIN)/python -m organismctl.cli.generate docs docs/commands
	$(BIN)/python -m organismctl.files.jsonschemas docs/schemas
	$(BIN)/python -m organismctl.report.schema docs/schemas
	$(BIN)/python -m organismctl.cli.reference docs/reference

clean: ## Remove what the other targets made
	rm -rf $(VENV) engine/target .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* htmlcov
