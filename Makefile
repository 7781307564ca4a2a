PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help

.PHONY: help
help:  ## Show these targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

.PHONY: setup
setup: .venv/installed  ## Make .venv with everything that development needs

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

.PHONY: dataset
dataset: setup  ## Make the default dataset in outputs/
	$(BIN)/python scripts/generate.py

.PHONY: test
test: setup  ## Run the whole test suite
	@# Of hundreds of processes, none compiles them again, also where Python keeps no bytecode by itself.
	$(BIN)/python -m compileall -q mlir_datagen tests/support
	$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal

.PHONY: lint
lint: setup  ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: setup  ## Check types
	$(BIN)/mypy

.PHONY: docs
docs: setup  ## Build the documentation in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

.PHONY: suites
suites: setup  ## Make all suites, and hold them to their digests
	$(BIN)/python benchmarks/suites.py

.PHONY: benchmark
benchmark: setup  ## Measure how fast datasets are made
	$(BIN)/python benchmarks/throughput.py

.PHONY: clean
clean:  ## Remove .venv and caches, but no datasets
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
