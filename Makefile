# Every job of this repository; `make help` lists them. Needs Python 3.11 or newer and nothing else.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The console is built by the machine's Node.js if it is 20.19 or newer and has npm, else by one from PyPI.
NODE := $(shell npm --version >/dev/null 2>&1 && node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' >/dev/null 2>&1 && echo found)
EXTRAS ?= embedded,dev$(if $(NODE),,,node)
# Each worker has a Postgres of its own, unless TEST_DATABASE_URL names one; a file's tests share a database.
WORKERS ?= auto
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder
FUZZ_SECONDS ?= 300
FUZZ_SEED ?= $(shell date +%s)

.DEFAULT_GOAL := help
.PHONY: help run page test fuzz check fmt docs migrate bench lock clean

help: ## list the jobs
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml scripts/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "pgrouter needs Python 3.11 or newer; $(PYTHON) is `$(PYTHON) --version`. Name another: make PYTHON=python3.12 …"; exit 1; }
	@echo "Installing packages into $(VENV) (once; a minute or two) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint scripts/constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@

run: page ## set everything up and serve: Postgres, demo memory, proxy (PORT, HOST, PGROUTER_HOME, DATABASE_URL)
	@exec $(BIN)/pgrouter serve

test: page ## set everything up and run the tests on a real Postgres (WORKERS)
	$(PYTEST)

fuzz: $(STAMP) ## run the property tests with fresh random examples (FUZZ_SECONDS, FUZZ_SEED)
	FUZZ_SEED=$(FUZZ_SEED) FUZZ_SECONDS=$(FUZZ_SECONDS) $(PYTEST) -m property --hypothesis-seed=$(FUZZ_SEED)

page: $(STAMP) ## build the console's page if its sources have changed; the proxy runs without it
	-@$(BIN)/python -m scripts.console build

check: $(STAMP) ## lint, types, SQL lint, page, tests: what CI runs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint --processes 2 sql
	$(BIN)/python -m scripts.console check
	$(PYTEST)

fmt: $(STAMP) ## format Python and SQL
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMP) ## write the documents' reference tables from the code
	$(BIN)/python -m scripts.docs.generate
	$(BIN)/python -m scripts.docs.sql_functions

migrate: $(STAMP) ## bring the database of DATABASE_URL to this version's schema
	$(BIN)/pgrouter migrate

bench: $(STAMP) ## run the benchmarks (QUICK=1 for under a minute each)
	@for script in scripts/bench_*.py; do $(BIN)/python $$script $(if $(QUICK),--quick) || exit 1; done

lock: ## refresh scripts/constraints.txt to the newest versions that pass
	@rm -rf $(VENV)-lock && $(PYTHON) -m venv $(VENV)-lock
	@$(VENV)-lock/bin/python -m pip install --quiet --disable-pip-version-check '.[embedded,minilm,tiktoken,plot,otel,dev]'
	@$(VENV)-lock/bin/python -m pip freeze --exclude pgrouter > scripts/constraints.txt
	@rm -rf $(VENV)-lock

clean: ## remove the environment, the caches and the local state folder
	@# As root the database may lie outside of the folder; erase knows where.
	@[ ! -d .pgrouter ] || [ ! -x $(BIN)/python ] || $(BIN)/python -c \
		"from pathlib import Path; from app.embedded import erase; erase(Path('.pgrouter').absolute())"
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist .pgrouter
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
