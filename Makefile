# What a person and CI run. `make demo` and `make test` need Python >= 3.10 and make, nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help setup test lint types unit protocol clean

help:
	@echo "make demo      profile the three example apps through the embedded collector"
	@echo "make test      lint, types and tests"
	@echo "make test-oap  the example apps against a real SkyWalking OAP (needs Java 11+ and Maven)"
	@echo "make protocol  rebuild the descriptor set from proto/"

setup: $(VENV)/.done

$(VENV)/.done: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

test: lint types unit

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

unit: setup
	$(BIN)/python -m pytest -m "not oap" -q

protocol: setup
	$(BIN)/python scripts/protocol.py

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
