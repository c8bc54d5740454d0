# Everything runs in .venv, which `make setup` builds from uv.lock.
# Needed beforehand: Python >= 3.11 with venv, and make. uv need not be installed: the locked version is put into .venv.

.DEFAULT_GOAL := help
.PHONY: help setup demo reproduce test coverage bench deep docs lint format clean

BIN := .venv/bin
STAMP := .venv/.in-step-with-lock
WORKERS ?= 2

# Test workers share the cores. Threads of a small matrix's factorisation that spin for each other would cost them tenfold.
test coverage deep: export OPENBLAS_NUM_THREADS = 1
deep: export XLA_FLAGS = --xla_cpu_multi_thread_eigen=false
# The quick tests wait for the compiler more than for anything else; the deep ones optimise as users' programs do.
test coverage: export XLA_FLAGS = --xla_cpu_multi_thread_eigen=false --xla_backend_optimization_level=0
# What one worker has compiled the other need not, nor the next run.
test coverage deep: export JAX_COMPILATION_CACHE_DIR = $(CURDIR)/.pytest_cache/jax
test coverage deep: export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS = 0.2
test coverage deep: export JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES = -1

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(STAMP) ## Build or refresh .venv from uv.lock (nothing to do when up to date)

$(STAMP): pyproject.toml uv.lock
	@set -eu; \
	version=$$(sed -n '/^name = "uv"$$/{n;s/^version = "\(.*\)"$$/\1/p;}' uv.lock); \
	if ! $(BIN)/uv --version 2>/dev/null | grep -qF "uv $$version "; then \
		for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 none; do \
			if [ $$python = none ]; then \
				echo "make setup: found no Python >= 3.11; install one, or name it: make setup PYTHON=/path/to/python3" >&2; exit 1; \
			fi; \
			if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then break; fi; \
		done; \
		echo "Setting up .venv with $$($$python --version) and uv $$version"; \
		$$python -m venv --clear .venv; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$$version"; \
	fi
	env -u VIRTUAL_ENV UV_PROJECT_ENVIRONMENT=.venv UV_PYTHON=$(BIN)/python UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 \
		$(BIN)/uv sync --frozen --all-groups --all-extras
	@touch $@

demo: setup ## Set up, then run the main job
	$(BIN)/quantal demo

reproduce: setup ## Set up, then do the paper's experiments again: out/reproduce/report.html
	$(BIN)/quantal reproduce

test: lint ## Set up, lint, then run the tests
	$(BIN)/python -m pytest -n $(WORKERS)

coverage: setup ## Run the tests and say which lines they miss (tracing takes three times as long)
	$(BIN)/python -m pytest -n $(WORKERS) --cov --cov-report=term

deep: setup ## Run the slow tests only
	$(BIN)/python -m pytest -n $(WORKERS) -m deep

bench: setup ## Run the benchmarks
	$(BIN)/python -m benchmarks

docs: setup ## Build the documentation's site into out/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

lint: setup ## Check style, types and import layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright
	$(BIN)/lint-imports

format: setup ## Rewrite the code in the house style
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

clean: ## Remove .venv, caches and outputs
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.* htmlcov build dist out
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
