# Every target does its own set-up on a fresh machine: virtual environment, dependencies, then the job.
# Needs Python 3.11 or later with venv, make, and the package index that pip is set up for. Nothing else is fetched.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test lint simulate bench clean browser

# The first Python that runs, is new enough and can make virtual environments (a name alone may be an empty shim).
CHECK := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
  $$name -c '$(CHECK)' >/dev/null 2>&1 && { command -v $$name; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
BENCHMARKS = $(patsubst benchmarks/%.py,benchmarks.%,$(filter-out benchmarks/simulate_%,\
  $(shell grep -l '__name__ == "__main__"' benchmarks/*.py 2>/dev/null)))

help:
	@echo "make demo      everything on made-up workshop traffic; Ctrl-C stops it"
	@echo "make test      lint, types, room rules, tests with coverage"
	@echo "make lint      the same without the tests"
	@echo "make simulate  the simulated figures of docs/methods (minutes)"
	@echo "make bench     overhead and throughput"
	@echo "make clean     remove the virtual environment, caches and the demo's data"

$(VENV)/made:
	@test -n "$(PYTHON)" \
	  || { echo "no usable Python: install Python 3.11 or later with venv (python3-venv), or name one: make PYTHON=…" >&2; exit 2; }
	@$(PYTHON) -c '$(CHECK)' || { echo "$(PYTHON) is older than 3.11 or has no venv: make PYTHON=…" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 2; }
	@touch $@

# The stamps depend on pyproject.toml: a changed dependency is installed, an unchanged one costs nothing.
$(VENV)/base: $(VENV)/made pyproject.toml
	@echo "installing dependencies …"
	@$(PIP) install -e .
	@touch $@

$(VENV)/dev: $(VENV)/made pyproject.toml
	@echo "installing dependencies and test tools …"
	@$(PIP) install -e '.[dev]'
	@touch $@ $(VENV)/base

demo: $(VENV)/base
	@exec $(BIN)/python -m equipoise demo $(ARGS)

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# Browser tests need Chromium. Where it can't be installed they are skipped, and say so.
browser:
	@if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing chromium for the browser tests …"; \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } \
	      || echo "WARNING: chromium could not be installed: BROWSER TESTS WILL BE SKIPPED" >&2; \
	  else \
	    echo "WARNING: no chromium here: BROWSER TESTS WILL BE SKIPPED (install it to run them)" >&2; \
	  fi; \
	fi

test: lint browser
	$(BIN)/pytest --cov --cov-report=term-missing:skip-covered --cov-fail-under=95 $(ARGS)

simulate: $(VENV)/base
	$(BIN)/python -m benchmarks.simulate_guard $(ARGS)
	$(BIN)/python -m benchmarks.simulate_arms $(ARGS)

bench: $(VENV)/base
	@for module in $(BENCHMARKS); do echo "== $$module"; $(BIN)/python -m $$module $(ARGS); done

clean:
	rm -rf $(VENV) build dist *.egg-info .coverage .coverage.* htmlcov
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@if [ -f demo-data/.equipoise-demo ]; then rm -rf demo-data; fi
