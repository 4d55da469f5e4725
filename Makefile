# `make` alone prints what there is. The only thing a machine needs beforehand is Python 3.11 or newer.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help
# Without their byte code, processes take seconds to start, and to come back after a kill.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.installed
PIP := $(PY) -m pip install --quiet --disable-pip-version-check

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z][a-z-]*:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\nCARILLON_HOME moves the data (default .carillon) and CARILLON_PORT the gateway (default 8080).\n'

##@ Run it

.PHONY: up down reset status demo account
up: $(READY) ## Start the whole stack in the background and wait until it is ready
	@$(PY) -m deploy.local up

down: $(READY) ## Stop it; the data stays
	@$(PY) -m deploy.local down

reset: $(READY) ## Stop it and drop its data
	@$(PY) -m deploy.local reset

status: $(READY) ## What runs, where, since when
	@$(PY) -m deploy.local status

demo: $(READY) ## The main job from nothing: import, segment, campaign, receipts, checked figures
	@$(PY) -m deploy.local.demo

account: $(READY) ## Make an account and print its API key: make account NAME=x
	@$(PY) -m deploy.local account "$(if $(NAME),$${NAME},$(error say whose: make account NAME=x))"

##@ Check it

.PHONY: test lint helm image verify fuzz bench chaos
test: $(READY) ## What CI runs: lint, types, guards, chart, unit, service, e2e, short fault runs; a part with T=path
	@$(PY) -m tests.layers $(T)

lint: $(READY) ## Style, types, import contracts, proto lint, drift and compatibility
	@$(PY) -m tests.layers --only lint --only types

helm: $(READY) ## The chart: lint, render, Kubernetes' schemas, what the objects say, the servers of dev
	@$(PY) -m tests.layers --only helm

image: $(READY) ## Build the image, and run every process of a stack from it; needs buildah and podman
	@deploy/docker/image.sh build
	@deploy/docker/image.sh check
	@$(PY) -m tests.image

verify: $(READY) ## The long forms: full fuzzing, fault runs, thousands of differential examples
	@$(PY) -m tests.layers --long

fuzz: $(READY) ## schemathesis over the whole OpenAPI, without a bound but its own: make fuzz T='--max-time 600'
	@$(PY) -m tests.fuzz $(T)

bench: $(READY) ## Measure; prints tables, writes bench/results
	@$(PY) -m tests.bench

chaos: $(READY) ## Break things while they run, and audit; writes chaos/results
	@$(PY) -m tests.chaos
	@$(PY) -m tests.chaos segments
	@$(PY) -m tests.chaos rolling

##@ Change it

.PHONY: fmt proto openapi dashboards
fmt: $(READY) ## Format the code and fix what can be fixed
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .

proto: $(READY) ## Generate libs/protos from proto/
	@$(PY) proto/generate.py

openapi: $(READY) ## Export the OpenAPI document
	@$(VENV)/bin/carillon gateway openapi

dashboards: $(READY) ## Write the Grafana dashboards of deploy/dashboards into the chart
	@$(PY) -m deploy.dashboards

# The environment: pinned and hashed. uv installs it in seconds where pip takes minutes, so uv comes first, pinned and
# hashed itself; where it cannot be had, pip does the same. Made anew when the pins change.
# The system's Python 3.11 comes before one found on PATH: it is built with profile guidance, as the image's is, where
# pyenv builds without it unless told, which costs every service a tenth. One that cannot make a venv is passed over.

$(READY): requirements-dev.txt requirements-uv.txt pyproject.toml
	@python=; for name in "$${PYTHON:-}" /usr/bin/python3.11 python3.11 python3.12 python3.13 python3 python; do \
	  if [ -n "$$name" ] && "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    python=$$name; \
	    if [ "$$name" = "$${PYTHON:-}" ] || "$$name" -c 'import ensurepip' 2>/dev/null; then break; fi; fi; done; \
	if [ -z "$$python" ]; then \
	  echo "Carillon needs Python 3.11 or newer, and none was found on PATH (PYTHON=/path/to/python names one)." >&2; \
	  exit 1; fi; \
	if ! $(PY) -m pip --version >/dev/null 2>&1; then \
	  echo "Making $(VENV) with $$("$$python" --version)"; rm -rf $(VENV); \
	  if ! "$$python" -m venv $(VENV); then \
	    echo "$$python could not make $(VENV); on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; fi; fi
	@echo "Installing the pinned dependencies"
	@uv=$$(command -v uv || true); \
	if [ -z "$$uv" ] && $(PIP) --require-hashes -r requirements-uv.txt; then uv=$(VENV)/bin/uv; fi; \
	if [ -n "$$uv" ]; then install="$$uv pip install --quiet --compile-bytecode --python $(PY)"; else install="$(PIP)"; fi; \
	$$install --require-hashes -r requirements-dev.txt; \
	$$install --no-build-isolation --no-deps -e .
	@touch $@
