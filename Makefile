# Two commands do all on a fresh machine with Python 3.11 and make: `make quickstart` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS := 1

.PHONY: quickstart test test-all lint bench bench-train clean

quickstart: .venv/installed
	$(BIN)/nas run studies/quickstart.toml

test: .venv/installed-dev
	$(BIN)/pytest -q -n 2 --dist worksteal -m "not slow"

test-all: .venv/installed-dev
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -q -n 2 --dist worksteal --hypothesis-profile=long
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --fail-under=90

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/installed-dev
	$(BIN)/python benchmarks/proposals.py
	$(BIN)/python benchmarks/workers.py

# Hours on an idle machine; with Keras beside torch it is measured too.
bench-train: .venv/installed-dev
	$(BIN)/python benchmarks/train.py
	$(BIN)/python benchmarks/train.py --workers
	$(BIN)/python benchmarks/train.py --precision
	$(BIN)/python benchmarks/time_to_accuracy.py
	$(BIN)/python benchmarks/starts.py

clean:
	rm -rf .venv build dist *.egg-info nas.egg-info .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache \
		.import_linter_cache .hypothesis exported
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/installed-dev: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@ .venv/installed
