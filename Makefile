# Two commands do everything on a fresh machine with Python >= 3.11, git and make:
#   make demo    the main job on the embedded sandbox: no AWS account, no API key
#   make test    every test
PYTHON ?= python3
UV_VERSION := 0.13.9
MINISTACK_VERSION := 1.5.33
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
BIN := .venv/bin
MEMBERS := core servers/aws_devops servers/cicd servers/metrics servers/security servers/cost servers/knowledge orchestrator
CODE := core servers orchestrator tests benchmarks
DEMO := OPSWRIGHT_STATE_DIR=$(CURDIR)/.opswright $(BIN)/opswright

export UV_PYTHON_DOWNLOADS := never
export UV_COMPILE_BYTECODE := 1
export PYTHONDONTWRITEBYTECODE :=# or each of the many processes compiles all of it again

.PHONY: install demo test lint format bench lock ministack clean

install: .venv/.installed ## install the pins and the workspace members, editable

.venv/.installed: requirements.lock pyproject.toml $(MEMBERS:%=%/pyproject.toml) | $(if $(filter .tools/%,$(UV)),.tools/bin/uv)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv
	$(UV) pip install --quiet --require-hashes -r requirements.lock
	$(UV) pip install --quiet --no-deps $(MEMBERS:%=-e ./%)
	@touch $@

.tools/bin/uv:
	$(PYTHON) -m venv .tools
	.tools/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

demo: install ## deploy the three-tier application in the sandbox, then undo it
	@$(DEMO) sandbox down >/dev/null
	$(DEMO) run "Deploy a three-tier web application with high availability and monitoring" --sandbox
	$(DEMO) undo last
	@$(DEMO) sandbox down

test: install ## every test; those that need a service which is not here say so and are skipped
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder $(TESTFLAGS)

lint: install ## format, rules and types
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy $(MEMBERS:%=%) tests benchmarks

format: install ## what lint would ask for, as far as it can be done by itself
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

bench: install ## ratios measured side by side; see benchmarks/README.md
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

lock: ## pin again after a dependency changed
	$(UV) lock --quiet
	$(UV) export --quiet --all-packages --all-extras --all-groups --no-emit-workspace -o requirements.lock

ministack: .tools/ministack/bin/ministack ## a second AWS emulator, for the tests of stacks; apart, since it pins another botocore

.tools/ministack/bin/ministack:
	$(PYTHON) -m venv .tools/ministack
	.tools/ministack/bin/pip install --quiet --disable-pip-version-check ministack==$(MINISTACK_VERSION)

clean: ## remove what install and the tests made
	rm -rf .venv .tools .opswright .pytest_cache .mypy_cache .ruff_cache .hypothesis uv.lock
