# `make` lists the targets. `make up` runs Tagify here and is the first command to try.
# The targets set up what they need in .venv.

PYTHON ?= python3
LIBRARY ?=
PORT ?= 8000
DATA ?= .data
TESTS ?=
# Tests wait for servers most of their time, so three workers keep two cores busy. Each worker starts its own
# mongod and S3 servers, about 600 MB together.
WORKERS ?= 3
MINIO = github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c

BIN = .venv/bin
LOCKS = $(wildcard locks/*.txt)
INSTALL_LOCKED = -I tools/install_locked.py

EXTRAS ?=
# Where the servers are installed that edge_variants compares with; see bench/peers/variant_servers.py.
PEERS ?= .bench/peers
INSTALL ?=
# `make release RELEASE_DRY_RUN=1` does everything but the tag.
RELEASE_DRY_RUN ?=
# More Pythons that the wheel is installed with: RELEASE_PYTHONS="python3.12 python3.13".
RELEASE_PYTHONS ?=

UV ?= uv
LOCK ?=
# The lowest Python that is supported: markers choose what newer ones need.
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header $(LOCK)
# The same as `requires` of build-system in pyproject.toml.
BUILD_TOOL = setuptools==84.2.1

.DEFAULT_GOAL := help
.PHONY: help up install test test-slow coverage lint lock minio bench bench-check screenshot release clean

help: ## list the targets
	@echo "make TARGET [NAME=VALUE ...]; start with: make up"
	@sed -nE 's/^([a-z-]+):.* ## (.*)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

up: .venv/up.stamp ## run everything here and print the page's address: LIBRARY=folder PORT=8000 DATA=.data
	@exec $(BIN)/tagify up --data-dir "$(DATA)" --port "$(PORT)" $(if $(LIBRARY),--library "$(LIBRARY)")

test: .venv/dev.stamp ## run the tests that are not slow: TESTS=path or pytest options, WORKERS=3
	$(BIN)/python -m pytest -m "not slow" -n $(WORKERS) --dist worksteal $(TESTS)

test-slow: .venv/dev.stamp ## run the slow tests: TESTS=path or pytest options
	$(BIN)/python -m pytest -m slow $(TESTS)

coverage: .venv/dev.stamp ## run tests and report line and branch coverage: TESTS=tests/unit
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -m "not slow" $(or $(TESTS),tests/unit)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: .venv/dev.stamp ## check style, types, imports between packages, and spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

bench: .venv/dev.stamp ## run all benchmarks (hours); each writes bench/results/SUITE.json: PEERS=.bench/peers
	$(BIN)/python -m bench.suites.first_import
	$(BIN)/python -m bench.suites.ingest
	$(BIN)/python -m bench.suites.live_latency
	$(BIN)/python -m bench.suites.reconcile
	$(BIN)/python -m bench.suites.edge_ranges
	$(BIN)/python -m bench.suites.edge_cache
	$(BIN)/python -m bench.suites.edge_variants $(PEERS)
	$(BIN)/python -m bench.suites.nginx_x_accel
	$(BIN)/python -m bench.suites.api_pages --folder .bench
	$(BIN)/python -m bench.suites.api_filters --folder .bench
	$(BIN)/python -m bench.suites.event_clients
	$(BIN)/python -m bench.suites.presigned_urls
	$(BIN)/python -m bench.suites.tag_changes
	$(BIN)/python -m bench.suites.tag_prefix
	$(BIN)/python -m bench.suites.nginx_cache
	$(BIN)/python -m bench.suites.rolling_restart

bench-check: .venv/dev.stamp ## compare the newest results with the bounds in bench/thresholds.toml
	$(BIN)/python -m bench.lib.thresholds

screenshot: .venv/dev.stamp ## take the README's picture of the page (needs Chromium)
	$(BIN)/python -m tools.screenshot

# Each release is installed into a new directory, so running services keep their files until a restart.
install: ## install a release for systemd under /opt/tagify (as root): EXTRAS=[embedded] INSTALL="options"
	@release="/opt/tagify/releases/$$(date -u +%Y%m%dT%H%M%SZ)" \
		&& $(PYTHON) -I -m venv "$$release" \
		&& "$$release/bin/python" $(INSTALL_LOCKED) locks/$(if $(findstring embedded,$(EXTRAS)),up,host).txt \
		&& "$$release/bin/tagify" install $(INSTALL)

# Without --upgrade uv keeps the versions that the files have: `make lock UV="uv ..."`, or LOCK=--upgrade.
lock: ## lock the dependencies of pyproject.toml with their hashes in locks/ (needs uv): LOCK=--upgrade
	$(COMPILE) pyproject.toml -o locks/host.txt
	$(COMPILE) --extra embedded pyproject.toml -o locks/up.txt
	$(COMPILE) --extra embedded --extra dev --extra bench pyproject.toml -o locks/dev.txt
	echo "$(BUILD_TOOL)" | $(COMPILE) - -o locks/build.txt

release: .venv/dev.stamp ## build and check the sdist and the wheel in dist/, then tag: RELEASE_DRY_RUN=1 for no tag
	$(BIN)/python -m tools.release $(if $(RELEASE_DRY_RUN),--no-tag) $(addprefix --with-python ,$(RELEASE_PYTHONS))

minio: .tools/bin/minio ## build MinIO into .tools/bin (needs Go 1.24 or later)

.tools/bin/minio:
	@command -v go >/dev/null || { echo "make minio needs Go 1.24 or later: https://go.dev/doc/install"; exit 1; }
	@mkdir -p .tools/bin
	@echo "building MinIO (about two minutes)"
	CGO_ENABLED=0 GOBIN="$(CURDIR)/.tools/bin" go install -trimpath -ldflags "-s -w" $(MINIO)

# A missing prerequisite is reported before anything is installed, with the command that installs it.
.venv/bin/python:
	@$(PYTHON) -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Tagify needs Python 3.11 or later: sudo apt-get install python3, or make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -I -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "Python's venv is missing: sudo apt-get install python3-venv"; exit 1; }
	$(PYTHON) -I -m venv .venv

.venv/up.stamp: pyproject.toml $(LOCKS) | .venv/bin/python
	@echo "installing Tagify and its servers into .venv (the first time about 150 MB)"
	@$(BIN)/python $(INSTALL_LOCKED) locks/up.txt --editable
	@touch $@

.venv/dev.stamp: pyproject.toml $(LOCKS) | .venv/bin/python
	@echo "installing Tagify, its servers and the tools of its tests into .venv"
	@$(BIN)/python $(INSTALL_LOCKED) locks/dev.txt --editable
	@touch $@ .venv/up.stamp

clean: ## remove .venv, caches and builds; .data and .tools stay
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.* build dist *.egg-info
