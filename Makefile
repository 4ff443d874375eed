# lihop: `make demo` and `make test` need nothing prepared; each builds .venv when it is missing or stale.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# pytest's own threads are enough; more only fight over the cores.
export OMP_NUM_THREADS ?= 1
# Processes that share the tests, file by file: each may itself start two. One is enough to look at a failure.
TEST_PROCESSES ?= 2
PYTEST := $(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile

.PHONY: help install demo test test-all test-slow kill-matrix lint format bench constraints clean

help:
	@echo "make demo       screen the reference cathodes, print the ranking, say what to do next"
	@echo "make test       the tests, in minutes"
	@echo "make test-all   all tests, the slow ones and the kill matrix too; make test-slow: the slow ones alone"
	@echo "make kill-matrix  kill screenings, pools, workers, servers and all at once, at many moments"
	@echo "make lint       ruff, mypy, import-linter, numpydoc"
	@echo "make bench      speed, as ratios beside a peer or a limit"

$(STAMP): constraints.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not here; lihop is tested on Python 3.11: install it, or name it by PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $(STAMP)

install: $(STAMP)

demo: $(STAMP)
	$(BIN)/lihop screen --source reference
	@$(BIN)/lihop rank --hints

test: $(STAMP)
	$(PYTEST) -m "not slow and not matrix" $(PYTEST_ARGS)

# Files in their order: one that is a single long test would be begun last otherwise, and be waited for.
test-all: $(STAMP)
	$(PYTEST) --no-loadscope-reorder $(PYTEST_ARGS)

test-slow: $(STAMP)
	$(PYTEST) --no-loadscope-reorder -m slow $(PYTEST_ARGS)

kill-matrix: $(STAMP)
	$(BIN)/python -m pytest -m matrix $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m numpydoc lint $$(git ls-files "flows/*.py" "tasks/*.py" "models/*.py" "storage/*.py")

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)
	$(BIN)/lihop bench

constraints: $(STAMP)
	{ grep '^#' constraints.txt; $(BIN)/python -m pip freeze --exclude-editable | sed 's/^\(torch==[0-9.]*\)+cpu/\1/'; } > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) build dist *.egg-info
