# `make help` lists the targets. Settings: PYTHON (3.11 or newer), VENV (where packages go), ARGS
# (passed on to the command), e.g.  make demo ARGS="seed=3"   make test ARGS="-k split"
#
# On Linux the package index gives the CUDA build of torch, several GB. For the CPU build, before the
# first make:  export PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

# A worker of pytest-xdist for each core, up to four; each has one thread of torch (tests/conftest.py).
# To run without, e.g. for a debugger:  make test ARGS="-n 0 -k split"
PARALLEL := -n auto --maxprocesses=4 --dist worksteal

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DOCS_INSTALLED := $(VENV)/.installed-docs
# Beside the environment, not in it: it must outlive an environment that is being replaced.
INSTALLING := $(VENV).installing

# Container images often set this. Without compiled files, every start of a command would compile
# torch and Lightning anew, which takes longer than importing them.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo benchmark test test-all coverage lint types format docs wheel clean FORCE

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

setup: $(INSTALLED) ## make .venv and install the pinned packages (again only if they change)

demo: $(INSTALLED) ## train on the embedded demo data, print the result table, write the figures
	$(BIN)/python -m cyclegan_ad.train $(ARGS)

benchmark: $(INSTALLED) ## measure how fast this machine trains and scores (ARGS=--quick: 3 minutes)
	$(BIN)/python -m experiments.benchmark $(ARGS)

test: $(INSTALLED) ## run the quick tests and the docstring examples, in a process for each core
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow" $(ARGS)

test-all: $(INSTALLED) ## run all tests, those marked slow as well
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

coverage: $(INSTALLED) ## run all tests and tell which lines of the package they do not reach
	$(BIN)/python -m pytest $(PARALLEL) --cov=cyclegan_ad --cov-report=term-missing:skip-covered $(ARGS)

lint: $(INSTALLED) ## check style and formatting
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

types: $(INSTALLED) ## check the types
	$(BIN)/python -m mypy

format: $(INSTALLED) ## mend what can be mended of style and formatting
	$(BIN)/python -m ruff check --fix-only .
	$(BIN)/python -m ruff format .

docs: $(DOCS_INSTALLED) ## write the reference of all settings and build the documentation, into site/
	$(BIN)/python docs/build_settings.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

wheel: $(INSTALLED) ## build the source archive and, from it, the wheel, into dist/
	rm -rf dist
	$(BIN)/python -m build

clean: ## remove builds and caches (not .venv, data/ or runs/)
	rm -rf build dist site .pytest_cache .mypy_cache .ruff_cache .coverage .coverage.*
	find $(wildcard cyclegan_ad docs hydra_plugins tests experiments) -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment whose interpreter does not run, or whose installation broke off, is made anew.
ifneq ($(shell $(BIN)/python -c 'import pip; print("ok")' 2>/dev/null),ok)
$(INSTALLED): FORCE
endif
ifneq ($(wildcard $(INSTALLING)),)
$(INSTALLED): FORCE
endif

# --no-compile: compiling every file of every package takes far longer than compiling what is imported.
# The import at the end does that for the commands, also for one that may not write compiled files.
$(INSTALLED): pyproject.toml constraints.txt
	@found=$$($(PYTHON) -c 'import sys; print("Python %d.%d" % sys.version_info[:2]); sys.exit(sys.version_info < (3, 11))' 2>/dev/null) || { \
	  echo "error: Python 3.11 or newer is needed, but $(PYTHON) is $${found:-not there}: name another, e.g. make setup PYTHON=python3.12" >&2; exit 1; }
	@set -e; \
	if [ -e "$(INSTALLING)" ] || ! "$(BIN)/python" -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  if [ -n "$$(ls -A "$(VENV)" 2>/dev/null)" ] && [ ! -e "$(INSTALLING)" ] && [ ! -e "$(VENV)/pyvenv.cfg" ]; then \
	    echo "error: $(VENV) is there and is no virtual environment: name another folder with VENV=..." >&2; exit 1; fi; \
	  touch "$(INSTALLING)"; \
	  echo "Making the virtual environment $(VENV)"; \
	  $(PYTHON) -m venv --clear "$(VENV)"; \
	fi; \
	rm -f "$(INSTALLED)"; touch "$(INSTALLING)"; \
	echo "Installing the packages of constraints.txt into $(VENV); the first time this takes some minutes"; \
	"$(BIN)/python" -m pip install --disable-pip-version-check --no-compile -c constraints.txt -e '.[dev,efficientnet,tensorboard,baselines,launchers,dashboard,medical,heif,export,elpv,inspector]'; \
	echo "Compiling what the commands import"; \
	"$(BIN)/python" -c 'import cyclegan_ad.train, pytorch_lightning'; \
	touch "$(INSTALLED)"; rm -f "$(INSTALLING)"

# Beside the other packages, and only for those who build the documentation.
$(DOCS_INSTALLED): $(INSTALLED) pyproject.toml constraints.txt
	"$(BIN)/python" -m pip install --disable-pip-version-check --no-compile -c constraints.txt -e '.[docs]'
	touch "$@"
