# Every target makes what it needs first: a virtual environment in .venv with the versions of constraints.txt.
# Needs make, a shell and Python 3.11 or newer; another Python is chosen with: make PYTHON=python3.12 test

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python -m
INSTALLED := $(VENV)/.installed
PEERS := .venv-peers
PEERS_INSTALLED := $(PEERS)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test check docs bench clean

help:
	@echo 'make demo    caption photos, or your own (make demo IMAGE=photo.jpg), and translate sentences'
	@echo 'make test    run all tests'
	@echo 'make check   check format, lint and types'
	@echo 'make docs    write docs/cli.md and docs/settings.md anew from the commands and settings'
	@echo 'make bench   measure speed and memory beside other projects, and write docs/performance.md'
	@echo 'make clean   remove the virtual environment and what the tools left'

# The path goes through the environment, so that the shell does not read it again.
demo: export REGARD_DEMO_IMAGE = $(IMAGE)
demo: $(INSTALLED)
	@$(RUN) regard demo $${REGARD_DEMO_IMAGE:+"$$REGARD_DEMO_IMAGE"}

test: $(INSTALLED)
	$(RUN) pytest

check: $(INSTALLED)
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy

docs: $(INSTALLED)
	$(RUN) regard.cli.reference > docs/cli.md.new
	mv docs/cli.md.new docs/cli.md
	$(RUN) regard.cli.settings_reference > docs/settings.md.new
	mv docs/settings.md.new docs/settings.md

bench: $(INSTALLED) $(PEERS_INSTALLED)
	$(VENV)/bin/python benchmarks/run.py

clean:
	rm -rf $(VENV) $(PEERS) .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The build backend comes from constraints.txt too, which pip does not apply to isolated builds: hence two steps.
$(INSTALLED): pyproject.toml constraints.txt
	@command -v "$(PYTHON)" >/dev/null || { \
		echo 'error: there is no $(PYTHON); install Python 3.11 or newer, or name one: make PYTHON=... $(MAKECMDGOALS)' >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "error: regard needs Python 3.11 or newer, and $(PYTHON) is $$("$(PYTHON)" --version 2>&1);" \
			'name another: make PYTHON=python3.12 $(MAKECMDGOALS)' >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo 'error: $(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	@echo 'installing into $(VENV), once; this takes some minutes'
	"$(PYTHON)" -m venv $(VENV)
	$(RUN) pip install --quiet --disable-pip-version-check --constraint constraints.txt hatchling
	$(RUN) pip install --disable-pip-version-check --constraint constraints.txt --no-build-isolation --editable '.[dev]'
	@touch $(INSTALLED)

# The other projects that `make bench` measures. One that cannot be installed is missing from the table and stops nothing.
$(PEERS_INSTALLED): benchmarks/peers.txt | $(INSTALLED)
	@echo 'installing the other projects into $(PEERS), once; this takes some minutes'
	"$(PYTHON)" -m venv $(PEERS)
	-$(PEERS)/bin/python -m pip install --disable-pip-version-check --constraint constraints.txt torch numpy
	-$(PEERS)/bin/python -m pip install --disable-pip-version-check --constraint constraints.txt \
		--requirement benchmarks/peers.txt
	-$(PEERS)/bin/python -m pip install --disable-pip-version-check --no-deps joeynmt==2.3.0
	@touch $(PEERS_INSTALLED)
