# Two commands do everything: `make run` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: run test setup lint types layers check-fast bench lock clean

NATIVE := hatch_build.py native/Cargo.toml native/Cargo.lock $(wildcard native/src/*.rs)

$(STAMP): pyproject.toml requirements.lock $(NATIVE)
	@command -v cargo >/dev/null || [ -x "$$HOME/.cargo/bin/cargo" ] || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && apt-get update -qq && apt-get install -y -qq cargo >/dev/null; } \
	  || { echo "khien's scanning core needs Rust 1.63 or newer: install it (package cargo, or rustup)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[dev]'
	touch $@

setup: $(STAMP)

run: $(STAMP)
	@$(BIN)/python samples/run_sample.py

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

layers: $(STAMP)
	$(BIN)/lint-imports

test: $(STAMP) browser lint types layers
	$(BIN)/pytest -m "not slow"
	$(BIN)/pytest -m slow

# A browser for the report's tests: Debian's, installed when root and missing.
.PHONY: browser
browser:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && apt-get update -qq && apt-get install -y -qq chromium fonts-dejavu-core >/dev/null; } \
	  || echo "no chromium here: the browser tests will say so and be skipped"

bench: $(STAMP)
	$(BIN)/python bench/hunt.py --quick

lock: $(STAMP)
	$(BIN)/python -m pip freeze --exclude-editable > requirements.lock

clean:
	rm -rf $(VENV) native/target build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
