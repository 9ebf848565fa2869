# Everything a newcomer needs: `make demo` and `make test`. Both make the environment first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

.PHONY: help setup demo test test-fast long slow slurm lowest lint docs clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    simulate, train, evaluate and report: a few minutes on 2 cores"
	@echo "make test    the tests: a few minutes on 2 cores"
	@echo "make test-fast  the quick ones among them: a minute"
	@echo "make long    commands and trainings from beginning to end"
	@echo "make slow    the statistical and long physics tests"
	@echo "make slurm   a campaign on a SLURM that is started here, if it is installed"
	@echo "make lowest  the quick tests with the lowest versions of all packages but torch"
	@echo "make lint    ruff, mypy and the layer contracts"
	@echo "make docs    the documentation, as a site in site/"
	@echo "make setup   the environment alone, in $(VENV)"
	@echo "make clean   remove the environment and the demo"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "glassformer needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)."; \
	  echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@echo "installing glassformer into $(VENV) (about 1.5 min with a fast connection)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP)
	@$(BIN)/glassformer demo --out demo

test: $(STAMP)
	@$(PYTEST)

test-fast: $(STAMP)
	@$(PYTEST) --fast

long: $(STAMP)
	@$(PYTEST) -m long

slow: $(STAMP)
	@$(BIN)/python -m pytest -m slow --timeout 1800

slurm: $(STAMP)
	@$(BIN)/python -m pytest -m slurm tests/slurm --timeout 1800

lowest: $(STAMP)
	@$(PYTHON) -m venv $(VENV)-lowest
	@$(PYTHON) tests/lowest_versions.py > $(VENV)-lowest/constraints.txt
	@$(VENV)-lowest/bin/python -m pip install --quiet --disable-pip-version-check -c $(VENV)-lowest/constraints.txt -e '.[dev]'
	@$(VENV)-lowest/bin/python -m pytest -n auto --maxprocesses 4 --dist loadfile --fast

lint: $(STAMP)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

docs: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) $(VENV)-lowest demo site
