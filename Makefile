# Run emqtwist, test it, look after it. `make` alone lists the targets.
VENV := .venv
COMPILED := .venv-compiled
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq -c tools/constraints.txt
PYTEST := $(BIN)/python -m pytest
PARALLEL := -n auto --dist worksteal  # a worker a core; who is done takes from the others
MQTTJS := tests/integration/mqttjs/node_modules/.package-lock.json
METADATA := setup.py tools/constraints.txt emqtwist/_version.py
SOURCES := setup.py $(shell find emqtwist -name '*.py')
CAN_COMPILE := $(filter true,$(CI))$(shell command -v cc 2>/dev/null)

.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help run test test-full lint types pytest stock compiled crash-test simulate sweep fuzz mutate test-pythons packages docs bench clean

pytest stock compiled sweep test-pythons: export PYTHONHASHSEED := 0

help:
	@sed -n 's/^## /make /p' Makefile

## run           a broker on loopback, port 1883; ARGS="--config broker.ini" for another
run: $(VENV)/.run
	@$(BIN)/twistd -n --pidfile= emqtt $(ARGS)

## test          all that is deterministic: lint, types, the compiled core, every test but the long ones
test: packages $(VENV)/.dev $(MQTTJS)
	@$(MAKE) --no-print-directory --keep-going lint types compiled pytest

## test-full     the same, on every Python that is here, and the long sweeps
test-full: packages $(VENV)/.dev $(MQTTJS)
	@$(MAKE) --no-print-directory --keep-going lint types compiled pytest stock test-pythons sweep

## lint          ruff
lint: $(VENV)/.dev
	@$(BIN)/ruff check --quiet --output-format concise

## types         mypy --strict
types: $(VENV)/.dev
	@$(BIN)/mypy

## pytest        the tests but the long ones; ARGS="tests/unit -x" for some
pytest: $(VENV)/.dev $(MQTTJS)
	@$(PYTEST) -q $(PARALLEL) $(ARGS)

## stock         the tests with sockets on Twisted's own transports
stock: $(VENV)/.dev $(MQTTJS)
	@EMQTWIST_IO=stock $(PYTEST) -q $(PARALLEL) tests/integration $(ARGS)

## compiled      the core's tests on a wheel compiled by mypyc
compiled: $(if $(CAN_COMPILE),$(COMPILED)/.built)
	@$(if $(CAN_COMPILE),tools/test_compiled $(COMPILED) $(PARALLEL),echo "No C compiler: the compiled form is not tested")

## crash-test    kill brokers under load, hundreds of times; ARGS="--seed 7 --runs 1" for one run again
crash-test: $(VENV)/.dev
	@$(BIN)/python -m tests.harness.crash $(ARGS)

# A failing seed is printed as a timeline; SEED is the first.
simulate: SEED := $(or $(SEED),0)
SEEDS ?= 100
## simulate      clusters on a virtual time, with faults; SEEDS=10000 for many, SEED=7 SEEDS=1 for one, ARGS="--shared --wills" for more
simulate: $(VENV)/.dev
	@PYTHONHASHSEED=0 $(BIN)/python -m tests.harness.simulate --seed $(SEED) --seeds $(SEEDS) $(ARGS)

## sweep         the long tests: many seeds, many examples
sweep: $(VENV)/.dev
	@EMQTWIST_SWEEP=1 $(PYTEST) -q -m sweep $(PARALLEL) -o faulthandler_timeout=7200 $(ARGS)

# At length, some ten minutes for each version. SEED is drawn unless given.
SESSIONS ?= 200000
SEED ?= $(shell od -An -N4 -tu4 /dev/urandom)
## fuzz          lying clients by the hundred thousand; SESSIONS=1000 SEED=7 for some
fuzz: $(VENV)/.dev
	@$(BIN)/python -m tests.harness.fuzz --seed $(SEED) --sessions $(SESSIONS) $(ARGS)

COUNT ?= 40
## mutate        breaks lines that obey the standard, every test that is marked with them must fail; SEED=7 COUNT=4
mutate: $(VENV)/.dev
	@$(BIN)/python -m tests.conformance.breaking $(SEED) $(COUNT)

## test-pythons  the core's tests on every Python that is here
test-pythons:
	@tools/test_pythons $(PARALLEL)

## docs          the generated pages of docs/
docs: $(VENV)/.dev
	@$(BIN)/python -m emqtwist.config.reference > $(VENV)/configuration.md
	@mv $(VENV)/configuration.md docs/configuration.md
	@$(BIN)/python -m emqtwist.ctl.reference > $(VENV)/ctl.md
	@mv $(VENV)/ctl.md docs/ctl.md
	@$(BIN)/python -m tests.states.page > $(VENV)/states.md
	@mv $(VENV)/states.md docs/states.md
	@$(BIN)/python -m tests.hookpage > $(VENV)/hooks.md
	@mv $(VENV)/hooks.md docs/hooks.md
	@$(BIN)/python -m tests.conformance.page > $(VENV)/conformance.md
	@mv $(VENV)/conformance.md docs/conformance.md

# Needs mosquitto, a C compiler, two idle cores, and the folder of compare.py and mqload.c in BENCH.
BENCH ?= ../shared/bench
SUITE ?= quick
MOSQUITTO := listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n
MOSQUITTO := $(MOSQUITTO)max_queued_messages 0\nmax_inflight_messages 0\n
DURABILITY ?= always
EMQTWIST := [node]\ndata_dir = {dir}/data\n[store]\ndurability = $(DURABILITY)\n
ifdef TLS
PEM := $(CURDIR)/$(VENV)/bench.pem
MOSQUITTO := $(MOSQUITTO)certfile $(PEM)\nkeyfile $(PEM)\n
EMQTWIST := $(EMQTWIST)[listener.ssl.bench]\nbind = 127.0.0.1:{port}\ncertfile = $(PEM)\nkeyfile = $(PEM)\n
LOAD := -DTLS
LIBRARIES := -lssl -lcrypto
else
PORT := --port {port}
endif
ifneq ($(filter compiled,$(FORM)),)
WHEEL := $(COMPILED)/.built
endif
## bench         beside Mosquitto; ARGS="--only stream" for some, SUITE=full for more, TLS=1 over TLS, FORM=compiled beside it
bench: $(VENV)/.run $(PEM) $(WHEEL)
	@$(CC) -O2 $(LOAD) -o $(VENV)/mqload $(BENCH)/mqload.c $(LIBRARIES)
	@$(BIN)/python $(BENCH)/compare.py --mqload $(VENV)/mqload --suite $(SUITE) --baseline mosquitto \
	  --file 'mosquitto:m.conf=$(MOSQUITTO)' \
	  --start 'mosquitto=mosquitto -c {dir}/m.conf' \
	  --file 'emqtwist:b.ini=$(EMQTWIST)' \
	  --start 'emqtwist=$(CURDIR)/$(BIN)/twistd -n --pidfile= emqtt --config {dir}/b.ini $(PORT)' \
	  $(if $(WHEEL),--file 'compiled:b.ini=$(EMQTWIST)' \
	    --start 'compiled=$(CURDIR)/$(COMPILED)/bin/twistd -n --pidfile= emqtt --config {dir}/b.ini $(PORT)') \
	  $(if $(filter bare,$(FORM)),--start 'bare=$(CURDIR)/$(BIN)/python $(CURDIR)/tools/bare_engine.py {port}') \
	  $(if $(TLS),--extra=--tls) $(ARGS)

$(CURDIR)/$(VENV)/bench.pem: | $(BIN)/python
	@openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost -keyout $@ -out $@.cert 2>/dev/null
	@cat $@.cert >> $@ && chmod 644 $@ && rm $@.cert

## clean         remove what make has made, the environments included
clean:
	@rm -rf .venv .venv-* build dist *.egg-info .mypy_cache .ruff_cache .hypothesis tests/integration/mqttjs/node_modules
	@rm -f twisted/plugins/dropin.cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The Debian packages that tests need: installed when root and CI=true or APT=1, else named.
packages:
	@tools/debian_packages

$(BIN)/python:
	@python=$$(tools/find_python) && $$python -m venv --clear $(VENV)

$(VENV)/.run: $(METADATA) | $(BIN)/python
	@echo "Installing emqtwist into $(VENV)"
	@$(PIP) -e .
	@touch $@

$(VENV)/.dev: $(METADATA) | $(BIN)/python
	@echo "Installing emqtwist with what its tests need into $(VENV)"
	@$(PIP) -e '.[test,dev]'
	@touch $@ $(VENV)/.run

$(COMPILED)/.built: $(SOURCES) $(VENV)/.dev
	@echo "Compiling emqtwist into $(COMPILED)"
	@tools/install_compiled $(BIN)/python $(COMPILED)
	@touch $@

$(MQTTJS): tests/integration/mqttjs/package-lock.json tests/integration/mqttjs/package.json
	@command -v npm >/dev/null && npm --prefix tests/integration/mqttjs ci --silent && touch $@ \
	  || echo "MQTT.js is not installed: its tests skip"
