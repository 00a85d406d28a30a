# Everything runs in a .venv of this folder, made with uv where it is there, else with venv and pip.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
# Compiling the tests takes a process seconds, with pytest's rewriting: it is done once, and kept.
export PYTHONDONTWRITEBYTECODE :=

PYTHON ?= python3
VENV ?= .venv
# how much faster than the real models the demo's sandbox is
SPEED ?= 1
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
PYTEST := $(BIN)/python -m pytest
# A file stays in one process: what it starts once, and what one test writes for the next, is there.
# Fast tests wait a third of their time; a browser has use for more than a core.
SPREAD := --dist loadfile --no-loadscope-reorder --numprocesses

# Older versions of our dependencies use what is deprecated since, and leave loops unclosed; there is no
# browser for them.
PINNED = $(PYTEST) $(SPREAD) $(WORKERS) --ignore tests/browser -W default::DeprecationWarning \
	-W default::pytest.PytestUnraisableExceptionWarning
WORKERS ?= 3
FRONT_ENDS = tests/kernel tests/magic tests/widgets
STAGES ?= 'not kernel and not slow' kernel

# a Python of this version, also where pyenv has it and has not made it the one in use
PYENV_ROOT ?= $(HOME)/.pyenv
python = $(or $(shell for each in python$(1) $(PYENV_ROOT)/versions/$(1).*/bin/python$(1); do \
	"$$each" -c 'import sys; print(sys.executable)' 2>/dev/null && break; done),$(error No Python $(1) is here))

.PHONY: help demo lab test fast chaos bench check format notebooks screenshots
.PHONY: test-colab test-front-ends test-lowest test-newest test-kernel build clean
.PHONY: install-colab install-newest install-pinned test-pinned

help: ## list these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; say which: make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
ifdef UV
	@$(UV) venv --quiet --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV)
else
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip
endif

INSTALL = $(if $(UV),$(UV) pip install --quiet --python $(BIN)/python,$(BIN)/python -m pip install --quiet)

# $(VENV)/.GROUPS stands for this package with all extras and those dependency groups
$(VENV)/.%: pyproject.toml | $(BIN)/python
	@echo "Setting up $(VENV) for $(subst +, and ,$*) ..."
	@$(INSTALL) --editable '.[all]' $(foreach g,$(subst +, ,$*),--group $(g))
	@touch $@

demo: $(VENV)/.demo ## run the notebooks on the sandbox, with pages and tables in demo/
	@$(BIN)/python notebooks/run.py --speed $(SPEED)

lab: $(VENV)/.lab ## open the quickstart in JupyterLab
	@$(BIN)/jupyter lab notebooks/quickstart.ipynb

test: $(VENV)/.test+check ## run everything: the checks, then the tests, fast ones first
	@$(MAKE) --no-print-directory check
	@compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || echo "PostgreSQL is not there, so its tests are skipped: apt-get install postgresql"
	@$(PYTEST) $(SPREAD) 3 -m "not kernel and not browser and not slow"
	@$(PYTEST) $(SPREAD) 2 -m "slow and not kernel and not browser"
	@$(PYTEST) $(SPREAD) 2 -m kernel
	@$(PYTEST) $(SPREAD) 2 -m browser

fast: $(VENV)/.test+check ## run the tests that take no kernel, no browser and no long time
	@$(PYTEST) $(SPREAD) 3 -m "not kernel and not browser and not slow"

chaos: $(VENV)/.test+check ## run the reliability tests at full length and print the figures of docs/reliability.md
	@MODELLIX_CHAOS=full $(PYTEST) tests/chaos

bench: $(VENV)/.test+check ## measure how fast it is, in under ten minutes, into docs/performance.md
	@$(BIN)/python -m benchmarks.run --write

check: $(VENV)/.test+check ## check format, lint, types and layers, in seconds
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/ruff check --quiet
	@$(BIN)/mypy --no-error-summary
	@said=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$said"; exit 1; }

format: $(VENV)/.test+check ## format the code and apply the safe fixes
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

notebooks: $(VENV)/.lab ## run the notebooks in place and save them with their outputs
	@$(BIN)/python notebooks/run.py --save

screenshots: $(VENV)/.test+check ## take the screenshots of the README and the docs again
	@MODELLIX_SCREENSHOTS=docs/images $(PYTEST) -m browser -k screenshot

test-colab: ## run the fast and the kernel tests on the versions that Colab runs, with Python 3.13
	@$(MAKE) --no-print-directory install-colab
	@$(MAKE) --no-print-directory test-pinned VENV=.venv-colab

test-front-ends: ## run tests/kernel, tests/magic and tests/widgets on Colab's versions, but for slow tests
	@$(MAKE) --no-print-directory install-colab
	@$(MAKE) --no-print-directory test-pinned VENV=.venv-colab WORKERS=2 STAGES="'not slow'" PATHS='$(FRONT_ENDS)'

install-colab: # what the two above run on
	@$(MAKE) --no-print-directory install-pinned VENV=.venv-colab PYTHON='$(call python,3.13)' \
		PINS='--constraint tests/colab-constraints.txt'

# each requirement of pyproject.toml at its lowest version; the lowest of those that stand there twice
LOWEST = grep -oE '"[a-z0-9-]+(\[[a-z]+\])?>=[0-9.]+' pyproject.toml | sed -E 's/"|\[[a-z]+\]//g; s/>=/==/' \
	| sort --version-sort | awk -F= '!seen[$$1]++'

test-lowest: ## run the fast and the kernel tests on the lowest versions that pyproject.toml allows
	@mkdir -p build && $(LOWEST) >build/lowest.txt
	@$(MAKE) --no-print-directory install-pinned VENV=.venv-lowest PYTHON='$(call python,3.11)' \
		PINS='--constraint build/lowest.txt'
	@$(MAKE) --no-print-directory test-pinned VENV=.venv-lowest

test-newest: ## run the fast and the kernel tests on the newest versions and another Python, as in ON=3.12
	@$(MAKE) --no-print-directory install-newest
	@$(MAKE) --no-print-directory test-pinned VENV=.venv-$(ON)

install-newest: # what that runs on
	@$(MAKE) --no-print-directory install-pinned VENV=.venv-$(ON) PYTHON='$(call python,$(ON))'

test-kernel: ## run the kernel tests on another ipykernel, as in KERNEL=6.29.5
	@$(MAKE) --no-print-directory install-pinned VENV=.venv-kernel PINS='ipykernel==$(KERNEL)'
	@$(MAKE) --no-print-directory test-pinned VENV=.venv-kernel STAGES=kernel PATHS=tests/kernel

install-pinned: $(BIN)/python
	@$(INSTALL) --editable '.[all]' --group kernel $(PINS)

test-pinned:
	@for stage in $(STAGES); do $(PINNED) -m "$$stage" $(PATHS); done

build: $(VENV)/.test+check ## build the wheel and the sdist in dist/
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(UV) pip install --quiet --python $(BIN)/python pip
	@$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean: ## remove everything that was made here
	rm -rf .venv .venv-* demo dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
