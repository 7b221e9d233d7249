# Everything one types here. `make help` lists it.
#
# Long-running recipes are one command with `exec`: make hands SIGTERM to its child, and a shell in
# between would keep it. What another user made (root, on the same clone) is left alone: `.venv` and
# `.demo` then get the user's number appended, or lie in ~/.cache if the clone isn't writable.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:

own = $(shell if [ -O $(1) ]; then echo $(1); \
	elif ! [ -w . ]; then echo "$$HOME/.cache/lockstep-$$(pwd | cksum | cut -d ' ' -f 1)/$(1)"; \
	elif [ -e $(1) ]; then echo $(1)-$$(id -u); else echo $(1); fi)

ifndef VENV
VENV := $(call own,.venv)
endif
ifndef DEMO_DIR
DEMO_DIR := $(call own,.demo)
endif
ifneq ($(words $(VENV)),1)
$(error VENV must not contain a space: make can't handle that. A relative path helps)
endif
export DEMO_DIR

PY := $(VENV)/bin/python
PORT ?= 8000
ARGS ?=
# crontab (of rq-scheduler) is the one dependency without a wheel; it is pure Python.
INSTALL := $(PY) -m pip install --require-hashes --only-binary :all: --no-binary crontab \
	--no-input --disable-pip-version-check --root-user-action ignore
SUPERVISOR := $(PY) -m webapp.supervisor
SETTINGS := $(SUPERVISOR) with $(PY) -m
PYTEST = $(PY) -m pytest -n 2 --dist loadgroup -o cache_dir=$(VENV)/cache/pytest

# In CI a missing browser is a failure, not a reason to skip.
ifeq ($(CI)$(filter check,$(MAKECMDGOALS)),truecheck)
export REQUIRE_BROWSER := 1
endif

# A virtual environment whose Python has gone or can't be reached is made anew.
ifneq ($(shell [ ! -e $(VENV)/made ] || $(PY) -c '' 2>/dev/null || echo broken),)
$(shell rm -f $(VENV)/made)
endif

# Caches lie in the user's own environment, for the same reason.
export MYPY_CACHE_DIR := $(VENV)/cache/mypy
export RUFF_CACHE_DIR := $(VENV)/cache/ruff
export HYPOTHESIS_STORAGE_DIRECTORY := $(VENV)/cache/hypothesis

.PHONY: help
help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: $(VENV)/demo.stamp ## run everything with sample data until Ctrl-C (PORT, SANDBOX_PORT, DEMO_DIR)
	@exec $(SUPERVISOR) demo --follow-make

.PHONY: demo-reset
demo-reset: $(VENV)/demo.stamp ## the same, after throwing the demo's data away
	@exec $(SUPERVISOR) demo --follow-make --fresh

.PHONY: test
test: $(VENV)/dev.stamp ## run the tests on embedded servers (ARGS="-k word")
	@exec $(PYTEST) -m "not long" $(ARGS)

.PHONY: long
long: $(VENV)/dev.stamp ## run what takes its time: chaos, storms, simulated weeks, every page's look
	@exec $(PYTEST) -m long $(ARGS)

LOOKS_FOLDER ?= $(VENV)/looks

.PHONY: looks
looks: $(VENV)/dev.stamp ## photograph every page in every look onto one sheet (LOOKS_FOLDER)
	@rm -rf $(LOOKS_FOLDER)
	@LOOKS_FOLDER=$(LOOKS_FOLDER) $(PYTEST) tests/browser/test_looks.py $(ARGS); \
		$(PY) -m tests.browser.sheet $(LOOKS_FOLDER)

.PHONY: guide-pictures
guide-pictures: $(VENV)/dev.stamp ## take the pictures of docs/guide anew, from a demo of its own
	@GUIDE_FOLDER=docs/guide/images exec $(PY) -m pytest tests/end_to_end/test_guide_pictures.py

.PHONY: bench-verify
bench-verify: $(VENV)/dev.stamp ## a full sweep beside a plain loop, over 2,000 and 20,000 (about a quarter of an hour)
	@exec $(PY) -m benchmarks.verify $(ARGS)

.PHONY: check
check: format-check lint types templates test long ## what CI runs: format, lint, types, templates, all tests

.PHONY: format-check
format-check: $(VENV)/dev.stamp ## say whether `make format` would change anything
	@exec $(PY) -m ruff format --check .

.PHONY: format
format: $(VENV)/dev.stamp ## format the code and sort its imports
	@$(PY) -m ruff check --quiet --select I --fix .
	@exec $(PY) -m ruff format .

.PHONY: lint
lint: $(VENV)/dev.stamp ## look for mistakes in the code
	@exec $(PY) -m ruff check .

.PHONY: types
types: $(VENV)/dev.stamp ## check the types
	@exec $(PY) -m mypy

.PHONY: templates
templates: $(VENV)/dev.stamp ## check the format of the templates and look for mistakes in them
	@exec $(PY) -m djlint --check --lint templates

.PHONY: translations
translations: $(VENV)/dev.stamp ## collect the strings, update the catalogues, compile them
	@$(VENV)/bin/pybabel -q extract -F webapp/translations/babel.cfg -k _l --sort-by-file --no-location \
		--project Lockstep -o $(VENV)/messages.pot .
	@$(VENV)/bin/pybabel -q update -i $(VENV)/messages.pot -d webapp/translations --no-fuzzy-matching
	@exec $(VENV)/bin/pybabel -q compile -d webapp/translations

.PHONY: bench-webhook
bench-webhook: $(VENV)/dev.stamp ## the webhook's rate and latency beside one INSERT and COMMIT
	@exec $(PY) -m benchmarks.webhook $(ARGS)

.PHONY: bench-monitoring
bench-monitoring: $(VENV)/dev.stamp ## the monitoring page over 10,000 and 1,000,000 history rows
	@exec $(PY) -m benchmarks.monitoring $(ARGS)

.PHONY: bench-pages
bench-pages: $(VENV)/dev.stamp ## the day's pages with 1,000,000 appointments, and a small company's beside them
	@exec $(PY) -m benchmarks.pages $(ARGS)

.PHONY: run
run: $(VENV)/demo.stamp ## the web server alone, with your settings or else the demo's
	@exec $(SETTINGS) gunicorn --bind 127.0.0.1:$(PORT) --workers 2 --threads 4 \
		--no-control-socket 'webapp:create_app()'

.PHONY: worker
worker: $(VENV)/demo.stamp ## one worker alone, likewise
	@exec $(SUPERVISOR) with $(PY) worker.py

.PHONY: scheduler
scheduler: $(VENV)/demo.stamp ## the scheduler alone, likewise
	@exec $(SUPERVISOR) with $(PY) worker.py scheduler

.PHONY: flask
flask: $(VENV)/demo.stamp ## a command of the application: make flask ARGS="db current"
	@exec $(SETTINGS) flask --app webapp $(ARGS)

.PHONY: lock
lock: $(VENV)/lock-tool/stamp ## write locks/ anew from pyproject.toml (ARGS="--upgrade")
	@$(COMPILE) --extra embedded --extra dev -o locks/dev.txt
	@$(COMPILE) --extra embedded -c locks/dev.txt -o locks/demo.txt
	@exec $(COMPILE) -c locks/dev.txt -o locks/app.txt

# uv, because other tools write this machine's paths and platform into the lock.
COMPILE = $(VENV)/lock-tool/bin/uv pip compile --quiet --universal --generate-hashes --no-header \
	--python-version 3.11 $(ARGS) pyproject.toml

.PHONY: clean
clean: ## remove virtual environments and caches (the demo's data stays)
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/demo.stamp: locks/demo.txt $(VENV)/made
	@exec $(INSTALL) -r locks/demo.txt >&2
	@touch $@

$(VENV)/dev.stamp: locks/dev.txt $(VENV)/made
	@exec $(INSTALL) -r locks/dev.txt >&2
	@touch $@

$(VENV)/lock-tool/stamp: $(VENV)/made
	@$(PY) -m venv $(VENV)/lock-tool
	@$(VENV)/lock-tool/bin/python -m pip install --disable-pip-version-check uv >&2
	@touch $@

# Only up to 3.12 a Redis comes with the dependencies; who has one may as well have a newer Python.
PYTHONS := $(if $(shell command -v redis-server || command -v valkey-server),\
	python3.13 python3.12 python3.11 python3,python3.12 python3.11 python3.13 python3)

$(VENV)/made:
	@if $(PY) -m pip --version >/dev/null 2>&1; then touch $@; exit 0; fi; \
	found=; for python in $(PYTHONS); do \
		"$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || continue; \
		found=$$python; \
		"$$python" -c 'import venv, ensurepip' 2>/dev/null || continue; \
		echo "Making $(VENV) with $$("$$python" --version)" >&2; \
		if ! mkdir -p $(VENV) || ! [ -w $(VENV) ]; then \
			echo "$$(pwd) is not writable for you. Clone it as yourself, or choose your own" \
				"places: make VENV=<folder> DEMO_DIR=<folder>" >&2; exit 1; \
		fi; \
		"$$python" -m venv --clear $(VENV) || exit 1; \
		echo '*' > $(VENV)/.gitignore; touch $@; exit 0; \
	done; \
	if [ -n "$$found" ]; then \
		echo "$$found can't make virtual environments: on Debian and Ubuntu," \
			"apt-get install python3-venv" >&2; \
	else \
		echo "Lockstep needs Python 3.11, 3.12 or 3.13, and found none on the PATH" >&2; \
	fi; exit 1
