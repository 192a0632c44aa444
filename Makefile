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

# What the console's pages load: npm packages built into static files, and the translations.
ASSETS := src/khien/console/assets
STATIC := src/khien/console/static/khien/app.js
$(ASSETS)/node_modules/.installed: $(ASSETS)/package-lock.json
	@command -v npm >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && apt-get update -qq && apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null; } \
	  || { echo "the console's pages need Node.js 18 or newer with npm: install it (packages nodejs and npm)"; exit 1; }
	cd $(ASSETS) && npm ci --no-audit --no-fund --loglevel=error
	touch $@

$(STATIC): $(ASSETS)/node_modules/.installed $(wildcard $(ASSETS)/src/*) $(ASSETS)/build.mjs $(shell find src/khien/console -name '*.html' -o -name navigation.py)
	cd $(ASSETS) && node build.mjs
	touch $@

MESSAGES := src/khien/console/.messages
$(MESSAGES): $(STAMP) $(shell find src/khien/console -name django.po)
	$(BIN)/python $(ASSETS)/compile_messages.py
	touch $@

.PHONY: assets
assets: $(STATIC) $(MESSAGES)

setup: $(STAMP) assets

run: setup
	@$(BIN)/python samples/run_product.py

# Pictures of the console's pages for the manual, into out/screenshots; see docs/console-tour.md.
.PHONY: screenshots
screenshots: setup packages
	$(BIN)/python samples/take_screenshots.py

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

layers: $(STAMP)
	$(BIN)/lint-imports

# Quick tests two at a time; those that are slow, or that others would disturb, one by one. On SQLite all of them, on
# PostgreSQL all that ask for a database.
BESIDE := not slow and not alone
test: setup packages lint types layers
	$(BIN)/pytest -n 2 -m "$(BESIDE)"
	$(BIN)/pytest -m "not ($(BESIDE))"
	$(BIN)/python tests/postgres.py $(BIN)/pytest -n 2 -m "database and $(BESIDE)"
	$(BIN)/python tests/postgres.py $(BIN)/pytest -m "database and not ($(BESIDE))"

# What tests drive that is no Python: a browser, senders of logs, and what PDF files are set with and looked into by. Debian's packages, installed when root and missing.
DEBIAN := chromium fonts-dejavu-core rsyslog rsyslog-gnutls rsyslog-elasticsearch curl zstd fonts-croscore libpango-1.0-0 libpangoft2-1.0-0 poppler-utils gettext postgresql
.PHONY: packages
packages:
	@command -v dpkg-query >/dev/null && [ "$$(dpkg-query -W -f '$${Status}\n' $(DEBIAN) 2>/dev/null | grep -c '^install ok')" = $(words $(DEBIAN)) ] \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
	  && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(DEBIAN) >/dev/null; } \
	  || echo "not all of $(DEBIAN) here: tests that need one will say so and be skipped"

bench: $(STAMP)
	$(BIN)/python bench/hunt.py --quick

lock: $(STAMP)
	$(BIN)/python -m pip freeze --exclude-editable > requirements.lock

clean:
	rm -rf $(VENV) native/target build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
