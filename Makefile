# Every target makes what it needs first: a virtual environment in .venv with the versions of constraints.txt.
# Needs make, a shell and Python 3.11 or newer; another Python is chosen with: make PYTHON=python3.12 test

PYTHON ?= python3
comma := ,
VENV := .venv
RUN := $(VENV)/bin/python -m
INSTALLED := $(VENV)/.installed
DEMO_INSTALLED := $(VENV)/.installed-demo
# what is needed to use regard; the tools to develop it hold that, too
USABLE := $(if $(wildcard $(INSTALLED)),$(INSTALLED),$(DEMO_INSTALLED))
# the compiler for GPU kernels, only where there is a GPU
EXTRAS := dev$(if $(shell command -v nvidia-smi),$(comma)triton)
PEERS := .venv-peers
PEERS_INSTALLED := $(PEERS)/.installed
AXE := .axe

.DEFAULT_GOAL := help
.PHONY: help demo serve test test-browser test-hostile check docs bench bench-serve sbom clean

help:
	@echo 'make demo    caption photos, or your own (make demo IMAGE=photo.jpg), and translate sentences'
	@echo 'make serve   open the page: photos described and sentences translated in the browser'
	@echo 'make test    run all tests'
	@echo 'make test-browser   try the page in Chromium; installs what it needs, or says what is missing'
	@echo 'make test-hostile   attack it with odd files, lines, models and recipes, and with kills; takes hours, writes docs/attacks.md'
	@echo 'make check   check format, lint and types'
	@echo 'make docs    write docs/cli.md and docs/settings.md anew from the commands and settings'
	@echo 'make bench   measure speed and memory beside other projects, and write docs/performance.md'
	@echo 'make bench-serve   measure the service under load, and write docs/service-load.md'
	@echo 'make sbom    write sbom.json: what regard needs, in which versions and under which licences'
	@echo 'make clean   remove the virtual environment and what the tools left'

# The path goes through the environment, so that the shell does not read it again.
demo: export REGARD_DEMO_IMAGE = $(IMAGE)
demo: $(USABLE)
	@$(RUN) regard demo $${REGARD_DEMO_IMAGE:+"$$REGARD_DEMO_IMAGE"}

serve: $(USABLE)
	@$(RUN) regard serve --open $(SERVE)

test: $(INSTALLED)
	$(RUN) pytest

# What was tried is kept in .attacks.jsonl: stopped, the same command goes on; removed, it begins anew.
test-hostile: $(INSTALLED)
	$(VENV)/bin/python tests/hostile/attack.py --journal .attacks.jsonl --report docs/attacks.md
	$(VENV)/bin/python tests/hostile/attack_service.py
	REGARD_KILLS=100 $(RUN) pytest tests/unit/test_kills.py

# Chromium comes from the system, axe-core from npm; what cannot be installed is said, and the tests that need it are
# skipped. SCREENSHOTS=docs/images takes the pictures of the README anew.
test-browser: export REGARD_SCREENSHOTS = $(SCREENSHOTS)
test-browser: $(INSTALLED)
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || [ -n "$$REGARD_CHROMIUM" ] || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
		&& DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium >/dev/null; } || \
		echo 'there is no chromium, and it cannot be installed here; on Debian and Ubuntu: apt install chromium' >&2
	@[ -f $(AXE)/node_modules/axe-core/axe.min.js ] || \
		npm install --silent --no-save --no-audit --no-fund --prefix $(AXE) axe-core@4.14.1 || \
		echo 'axe-core cannot be installed, which needs npm: accessibility is not checked' >&2
	$(RUN) pytest tests/browser

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

bench-serve: $(INSTALLED)
	$(RUN) pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(PEERS)-serve litserve==0.2.19 pyzmq
	$(VENV)/bin/python benchmarks/serve_load.py --peer $(PEERS)-serve --output docs/service-load.md

sbom: $(INSTALLED)
	$(VENV)/bin/python tools/sbom.py > sbom.json

clean:
	rm -rf $(VENV) $(PEERS) $(PEERS)-serve $(AXE) .attacks.jsonl .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The build backend comes from constraints.txt too, which pip does not apply to isolated builds: hence two steps.
# Python compiles what is imported when it first is; compiling all of torch beforehand takes longer than to install it.
define install
	@command -v "$(PYTHON)" >/dev/null || { \
		echo 'error: there is no $(PYTHON); install Python 3.11 or newer, or name one: make PYTHON=... $(MAKECMDGOALS)' >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "error: regard needs Python 3.11 or newer, and $(PYTHON) is $$("$(PYTHON)" --version 2>&1);" \
			'name another: make PYTHON=python3.12 $(MAKECMDGOALS)' >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo 'error: $(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	@echo 'installing into $(VENV), once; this takes some minutes'
	"$(PYTHON)" -m venv $(VENV)
	$(RUN) pip install --quiet --no-compile --disable-pip-version-check --constraint constraints.txt hatchling
	$(RUN) pip install --no-compile --disable-pip-version-check --constraint constraints.txt --no-build-isolation \
		--editable '.[$(1)]'
	@touch $@
endef

$(INSTALLED): pyproject.toml constraints.txt
	$(call install,$(EXTRAS))

$(DEMO_INSTALLED): pyproject.toml constraints.txt
	$(call install,demo$(comma)serve)

# The other projects that `make bench` measures. One that cannot be installed is missing from the table and stops nothing.
$(PEERS_INSTALLED): benchmarks/peers.txt | $(INSTALLED)
	@echo 'installing the other projects into $(PEERS), once; this takes some minutes'
	"$(PYTHON)" -m venv $(PEERS)
	-$(PEERS)/bin/python -m pip install --disable-pip-version-check --constraint constraints.txt torch numpy
	-$(PEERS)/bin/python -m pip install --disable-pip-version-check --constraint constraints.txt \
		--requirement benchmarks/peers.txt
	-$(PEERS)/bin/python -m pip install --disable-pip-version-check --no-deps joeynmt==2.3.0
	@touch $(PEERS_INSTALLED)
