# `make quickstart` and `make test` need a Python 3.10 to 3.12, pip and make; they create .venv themselves.

SHELL := /bin/bash
BIN := .venv/bin
ENVIRONMENT := .venv/.installed
PRESET ?= default
QUICKSTART := runs/quickstart
MOVIES := runs/movies
TESTS ?=
# For the whole suite. A file's tests stay in one process: they share what its fixtures build.
PARALLEL := $(if $(TESTS),,--numprocesses=auto --maxprocesses=4 --dist=loadfile)
EXTRAS := training tests reports baselines tuning benchmarks

.DEFAULT_GOAL := help
.PHONY: help quickstart movies test test-slow lint constraints clean

help:  ## show the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | awk -F'|' '{printf "  make %-12s %s\n", $$1, $$2}'

$(ENVIRONMENT): setup.py constraints.txt
	@launch/environment.sh

quickstart: $(ENVIRONMENT)  ## simulate logs and run the whole chain on a local cluster, into runs/quickstart
	@rm -rf $(QUICKSTART)
	$(BIN)/kdcn simulate --preset=quick --output=$(QUICKSTART)/raw
	@launch/run_chain.sh $(QUICKSTART)/raw $(QUICKSTART) --preset=quick

movies: $(ENVIRONMENT)  ## DATA=DIR: the whole chain on ReDial and MovieLens in DIR, into runs/movies; a rerun resumes
	@if [[ -z "$(DATA)" ]]; then echo "make movies: DATA=DIR is needed; DIR holds redial/ and ml-latest-small/" >&2; exit 2; fi
	@if [[ ! -e $(MOVIES)/raw/manifest.json ]]; then rm -rf $(MOVIES)/raw; \
	  $(BIN)/kdcn import movies --redial="$(DATA)/redial" --movielens="$(DATA)/ml-latest-small" --output=$(MOVIES)/raw; fi
	@launch/run_chain.sh $(MOVIES)/raw $(MOVIES) --preset=$(PRESET)

test: $(ENVIRONMENT)  ## run the tests; TESTS="tests/kdcn_tf -k cross" picks some
	$(BIN)/python -m pytest -m "not slow" $(PARALLEL) $(TESTS)

test-slow: $(ENVIRONMENT)  ## run the tests that take minutes each
	$(BIN)/python -m pytest -m slow $(TESTS)

lint: $(ENVIRONMENT)  ## check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

constraints: $(ENVIRONMENT)  ## resolve constraints.txt anew from setup.py, for Python 3.10 to 3.12 at once
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && \
	$(BIN)/python -m venv "$$scratch" && "$$scratch/bin/python" -m pip install --quiet uv && \
	compile() { "$$scratch/bin/uv" pip compile --quiet --upgrade --universal --python-version 3.10 \
	  --no-annotate --custom-compile-command "make constraints" setup.py "$$@"; } && \
	compile $(EXTRAS:%=--extra=%) --output-file constraints.txt && \
	compile --extra=dataflow --output-file launch/dataflow_constraints.txt

clean:  ## remove build products, caches and the output of quickstart and movies; .venv stays
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis $(QUICKSTART) $(MOVIES)
