# Two commands on a fresh machine: `make demo` and `make test`. Needed: Python 3.11 or later, make, a package index.
# Another Python:       make test PYTHON=python3.13 VENV=.venv-3.13
# Some of the tests:    make test TESTS=tests/contract
# One after the other:  make test JOBS=0

PYTHON ?= python3
VENV ?= .venv
TESTS ?= tests
DEMO ?= .demo
ROUNDS ?= 1
# Processes that run tests at once. Most tests wait most of the time, so there are more of them than a small machine has cores.
JOBS ?= 4

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
SEARCH := examples/stdlib_search
# What takes a few minutes of `make test-ray`.
RAY_QUICK := tests/cluster/test_actors.py tests/cluster/test_nodes.py::test_a_node_is_lost \
	tests/cluster/test_creations.py::test_a_resource_whose_class_cannot_be_imported \
	tests/cluster/test_creations.py::test_a_node_without_the_library \
	$(patsubst %,tests/contract/test_%.py,share traces point_13_no_lost_results point_15_callbacks point_16_hooks)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-ray test-ray-quick test-free-threaded test-uvloop check format stress soak bench bench-free-threaded bench-long bench-ray scaling coverage coverage-gate clean

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# A stamp for each set of extras, so that what is installed is installed once.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(f"tasker needs Python 3.11 or later; $(PYTHON) is {v}. Try: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "no virtual environment could be made; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --editable '.[$*]'
	@touch $@

demo: $(VENV)/.installed-cli ## index and search the standard library's own sources with `tasker run`
	@rm -rf $(DEMO) && mkdir -p $(DEMO)
	$(BIN)/python $(SEARCH)/sources.py > $(DEMO)/sources.txt
	$(BIN)/tasker run $(SEARCH)/index.py $(DEMO)/sources.txt --workers 4 --set database=$(DEMO)/stdlib.db --output $(DEMO)/indexed.jsonl
	$(BIN)/tasker run $(SEARCH)/search.py $(SEARCH)/queries.txt --workers 4 --set database=$(DEMO)/stdlib.db --output $(DEMO)/found.jsonl
	@$(BIN)/python $(SEARCH)/show.py $(DEMO)/found.jsonl

test: $(VENV)/.installed-test ## all tests (TESTS=tests/contract: some of them)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m 'not soak' $(TESTS)

check: $(VENV)/.installed-dev ## everything else that a machine can check
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) coverage-gate
	PATH="$(abspath $(BIN)):$$PATH" pyright --verifytypes tasker --ignoreexternal # it looks for the first python on PATH
	$(BIN)/python -m pytest tests/docs
	$(BIN)/python tools/check_wheel.py

format: $(VENV)/.installed-dev ## put the code into the house format
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

stress: $(VENV)/.installed-test ## the stress tests alone
	$(BIN)/python -m pytest -m stress tests

test-free-threaded: ## the suites of threads with the GIL off (PYTHON=python3.13t), the stress tests ROUNDS times
	$(MAKE) .venv-free-threaded/.installed-test-free-threaded PYTHON=$(PYTHON) VENV=.venv-free-threaded
	PYTHON_GIL=0 .venv-free-threaded/bin/python -c 'import sys; sys.exit(sys._is_gil_enabled() and "this interpreter has a GIL")'
	PYTHON_GIL=0 .venv-free-threaded/bin/python -m pytest -n $(JOBS) --dist worksteal -m 'not soak' tests/unit tests/contract tests/stateful
	for round in $$(seq $(ROUNDS)); do PYTHON_GIL=0 .venv-free-threaded/bin/python -m pytest -q -m 'not soak' tests/stress || exit 1; done

test-uvloop: $(VENV)/.installed-test ## the suites of asyncio on uvloop
	TASKER_TEST_LOOP=uvloop $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m 'not soak' -k 'not (contract and (threads or processes or toys))' tests/aio tests/contract

test-ray: $(VENV)/.installed-test $(VENV)/.installed-ray ## the actors, and the contract over them (TESTS=tests/cluster: some of it), in an hour
	TASKER_TEST_RAY=1 $(BIN)/python -m pytest $(if $(filter-out tests,$(TESTS)),$(TESTS),tests/cluster tests/contract)

test-ray-quick: ## some of that, in minutes
	$(MAKE) test-ray TESTS="$(RAY_QUICK)"

soak: $(VENV)/.installed-test ## minutes of load
	$(BIN)/python -m pytest -m soak tests

bench: $(VENV)/.installed-bench ## against the peers: benchmarks/RESULTS.md and plots, in under ten minutes
	$(BIN)/python -m benchmarks

bench-long: $(VENV)/.installed-bench ## ten million tasks and what else takes long, for a table of their own
	$(BIN)/python -m benchmarks --size long

bench-ray: $(VENV)/.installed-bench-ray ## tasks over Ray, against Ray's own ways, and where one driver ends: a table of its own
	$(BIN)/python -m benchmarks --size ray

bench-free-threaded: ## what is different without the GIL (PYTHON=python3.13t), for a table of its own
	$(MAKE) $(VENV)/.installed-bench PYTHON=python3 # draws the plots
	$(MAKE) .venv-free-threaded/.installed-test-free-threaded PYTHON=$(PYTHON) VENV=.venv-free-threaded
	PYTHON_GIL=0 .venv-free-threaded/bin/python -m benchmarks --size free-threaded
	$(BIN)/python -m benchmarks --report

scaling: $(VENV)/.installed-test ## scaling rules compared in simulation, and the simulation with reality: benchmarks/SCALING.md
	$(BIN)/python -m benchmarks.scaling

coverage: $(VENV)/.installed-test ## all tests, with a report of what they do not reach
	$(BIN)/python -m pytest -m 'not soak' --cov --cov-report=term-missing --ignore-glob='tests/unit/test_interrupted_*' $(TESTS) # those count calls and byte codes, which a tracer changes

coverage-gate: $(VENV)/.installed-test ## the pure planes are covered completely, by their own tests alone
	$(BIN)/python -m pytest -q tests/unit/core tests/unit/control tests/stateful --cov=tasker.control --cov=tasker.core --cov-report=term-missing --cov-fail-under=100

clean: ## remove what these commands made
	rm -rf .venv .venv-* $(DEMO) build dist .coverage .coverage.* htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find src tests benchmarks examples tools -name __pycache__ -type d -prune -exec rm -rf {} +
