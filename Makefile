# make install | demo | check | test: each installs what it needs, apt packages too.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
STEPS ?= 2000000

# pcscd with a virtual reader, in namespaces that the tests make.
CARDS := pcscd vsmartcard-vpcd iproute2

.PHONY: install apt demo check lint unit test real late e2e suite-fido2 fuzz figures wheel matrix peer-vein pam clean

install: $(VENV)/.installed

# authd, its drivers and simulators: wheels only, so that a demo needs no compiler.
$(VENV)/.runs: pyproject.toml simulators/pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet -e . -e simulators
	$(BIN)/python -m compileall -q authd drivers simulators  # children write no bytecode of their own
	touch $@

# What the tests need besides. pyscard has no wheel for Linux: these packages build it.
$(VENV)/.installed: $(VENV)/.runs
	tests/tools/apt-install gcc libc6-dev libpcsclite-dev python3-dev swig
	$(BIN)/python -m pip install --quiet -e . -e simulators --group test
	touch $@

# libseccomp2 for the sandbox; the browser, fonts and PostgreSQL for the tests.
apt:
	tests/tools/apt-install libseccomp2 $(APT)

demo: $(VENV)/.runs
	@$(MAKE) --no-print-directory apt
	$(BIN)/authd demo

# Seconds to a few minutes; no service, no network.
check: install lint unit

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

# A file that fails beside all the others is run once more, alone, and named at the end: docs/decisions/0020.
AGAIN := python -m tests.tools.again

unit: install
	$(BIN)/$(AGAIN) -- -m 'not real' -n auto

# Everything that CI runs.
test: install
	@rm -f build/passed-only-alone.txt
	@$(MAKE) --no-print-directory apt APT="chromium chromium-driver cups-client cups-daemon dbus fonts-noto-cjk fprintd poppler-utils postgresql systemd udev $(CARDS)"
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory matrix
	@$(MAKE) --no-print-directory real
	@$(MAKE) --no-print-directory e2e
	@$(MAKE) --no-print-directory suite-fido2
	@$(MAKE) --no-print-directory fuzz
	@$(MAKE) --no-print-directory figures
	@$(BIN)/$(AGAIN) --told
	@echo "make test: all of it passed"

# Real processes, sockets and services, on every core: what waits is patient, and who measures is in tests/bench.
real: install
	$(BIN)/$(AGAIN) -- -m real -n auto --dist loadfile --ignore=tests/e2e

# The wiring against its real counterparts: proxies, browser, X server, logind, PAM, PostgreSQL, a terminal host.
E2E := apache2 chromium chromium-driver dbus fonts-noto-cjk libapache2-mod-auth-openidc libpam-wrapper libpam0g-dev nginx \
	pamtester pgbouncer postgresql python3-dbusmock s3270 sudo libpangocairo-1.0-0 libxss1 x11-xserver-utils xdotool xsecurelock xss-lock xvfb
MOCKER := build/mainframe-mocker
e2e: install
	@$(MAKE) --no-print-directory apt APT="$(E2E)"
	@$(MAKE) --no-print-directory $(MOCKER)
	$(BIN)/$(AGAIN) -- -m real -n auto --dist loadfile tests/e2e

# The same against an authd whose rows and events come late, which finds tests that do not wait: docs/decisions/0020.
# Without those that cut the power thousands of times: each row would take its third of a second.
LATE ?= --ignore=tests/e2e --ignore=tests/service/test_ledger_power.py
late: install
	test -e .venv-late || $(PYTHON) -m venv .venv-late
	.venv-late/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	.venv-late/bin/python -m pip install --quiet -e . -e simulators --group test
	.venv-late/bin/python -m tests.tools.late -- -m real -n auto --dist loadfile $(LATE)

# The terminal host. Beside the venv: it is a plug-in of pytest's too; its wheel asks for 3.12 and runs under 3.11.
$(MOCKER):
	$(BIN)/python -m pip install --quiet --ignore-requires-python --target $(MOCKER) mainframe-mocker==0.1.8

# Yubico's device tests, out of python-fido2's sdist, against the simulated key over pcscd and a pty: about a minute.
suite-fido2: install
	@$(MAKE) --no-print-directory apt APT="$(CARDS)"
	$(BIN)/python -m tests.tools.suite_fido2

# Every parser of another's bytes, a minute each.
fuzz: install
	$(BIN)/python -m tests.fuzz all --seconds 60 --jobs 2

# Each figure against its bar; a measured one that misses is tried again, at most twice (tests/tools/steady.py).
STEADY := $(BIN)/python -m tests.tools.steady --
figures: install peer-vein
	$(STEADY) $(BIN)/python -m tests.bench.simulation --steps $(STEPS) --jobs 2
	$(STEADY) $(BIN)/python -m tests.bench.policy
	-$(BIN)/python -m tests.bench.ledger  # its bar against raw writes is missed: docs/decisions/0008
	$(STEADY) $(BIN)/python -m tests.bench.host
	$(STEADY) $(BIN)/python -m tests.bench.web
	$(STEADY) $(BIN)/python -m tests.bench.bus
	$(STEADY) $(BIN)/python -m tests.bench.devices
	$(STEADY) $(BIN)/python -m tests.bench.devices removal
	$(STEADY) $(BIN)/python -m tests.bench.evidence
	$(STEADY) $(BIN)/python -m tests.bench.wiring
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

# dist/pam/pam_authd_seat.so, for /lib/*/security: docs/how-to/pam.md.
pam: $(VENV)/.runs
	tests/tools/apt-install gcc libc6-dev libpam0g-dev
	$(BIN)/python -m authd.pam.build dist/pam

# dist/*.whl: what a counter terminal gets. The simulators are a wheel of their own, and are not built here.
wheel: $(VENV)/.runs
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) .venv-* dist build
