# Two commands do everything on a fresh machine (Python 3.11 or newer, git, make): `make demo` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export OMP_NUM_THREADS ?= 1

.PHONY: setup demo test lint check bench lock clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	command -v $(PYTHON) >/dev/null && $(PYTHON) -m venv $(VENV) || python3 -m venv $(VENV)
	$(BIN)/python -c 'import sys; assert sys.version_info >= (3, 11), "Fourscore wants Python 3.11 or newer; say make PYTHON=python3.x"'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $(STAMP)

demo: setup
	$(BIN)/fourscore run examples/flights/problem.yaml

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest -n 2

bench: setup
	for each in benchmarks/*.py; do $(BIN)/python $$each || exit 1; done

lock: setup  # after changing dependencies in pyproject.toml: install them anew and write down what came
	$(BIN)/python -m pip install --quiet --upgrade --editable '.[aws,excel,examples,dev]' torch==2.13.0
	$(BIN)/python -m pip freeze --exclude-editable --exclude fourscore | sed 's/+cpu$$//' > requirements.lock

clean:
	rm -rf $(VENV) .fourscore build dist
