# What a person and CI run. `make demo` and `make test` need Python >= 3.10 and make, nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# Hundreds of processes read the same files; who keeps them from writing what they have compiled pays for it each time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test quick lint types check unit coverage docs test-docs test-costs test-profiles test-oldest test-newest test-installed matrix before-release locks test-oap test-tools test-page pictures vendor test-suites test-release test-processes test-agents test-hostile test-accuracy bench collector-load outages accuracy accuracy-short retention soak protocol settings release clean

help:
	@echo "make demo      profile the three example apps through the embedded collector"
	@echo "make test      lint, types, the code's figures and tests"
	@echo "make quick     lint, types and the tests of what has changed, in less than a minute"
	@echo "make check     the figures that the code is held to: lengths, docstrings, what stands twice, ..."
	@echo "make test-profiles  what is shown of real servers' requests is what they did (two minutes)"
	@echo "make test-costs  what requests, samples, a process and the collector take at the most, and leave behind (two minutes)"
	@echo "make test-docs  what the docs say and show is so (a minute)"
	@echo "make test-oldest  the adapters with the oldest supported libraries, on the oldest Python; test-newest likewise"
	@echo "make test-installed  the wheel and the sdist, used in environments of their own (a minute; needs node)"
	@echo "make coverage  which lines and branches the unit tests reach; less than 95 % is a failure (some minutes)"
	@echo "make before-release  all that CI has no time for (some hours)"
	@echo "make matrix    every Python, with the oldest and the newest libraries, and what an app may lack (an hour or two)"
	@echo "make accuracy  are profiles true? every server, app and Python that is here (takes long)"
	@echo "make test-accuracy  a profile shows the request and only the request, on each of them (ten minutes)"
	@echo "make bench     what requests, sampling and processes cost, beside the peers (an hour)"
	@echo "make collector-load  2,000 snapshots a second for a minute, and a million in the store (some minutes)"
	@echo "make retention  does anything stay behind of requests sampled at 1 ms? each kind of server (half an hour)"
	@echo "make soak      does anything grow or get lost while tasks and the backend come and go? (ten minutes)"
	@echo "make test-processes  hundreds of forks, and every server in each of its ways (some minutes)"
	@echo "make test-release  what CI has seen on one server or Python, on the others (some minutes)"
	@echo "make test-agents  beside Datadog, New Relic, Elastic, OpenTelemetry, Sentry and others (downloads them; some minutes)"
	@echo "make test-hostile  over 20,000 generated requests, answers and tasks: nobody sees a difference (ten minutes)"
	@echo "make outages   what an outage of the backend costs requests, and whether anything is lost (some minutes)"
	@echo "make test-oap  the example apps and the page over a real SkyWalking OAP (needs Java 11+, Maven and Chromium)"
	@echo "make test-tools  exports open in speedscope and pprof, pyright knows our types (needs node, npm and go)"
	@echo "make test-page  the collector's page in a real browser (needs npm; downloads Chromium if there is none)"
	@echo "make pictures  write docs/pictures anew"
	@echo "make vendor    write what the page has from npm anew"
	@echo "make test-suites  Flask's and Starlette's own tests with our middleware in every app"
	@echo "make protocol  rebuild the descriptor set from proto/"
	@echo "make docs      the documentation as a site, in site/; a warning fails"
	@echo "make settings  rewrite docs/settings.md"
	@echo "make release   VERSION=1.2.0: check, test, build and tag it (hours); uploads nothing"
	@echo "make locks     rewrite requirements/*.txt, as new as there is now, and docs/versions.md"

setup: $(VENV)/.done

$(VENV)/.done: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

demo: setup
	PYTHONPATH=. $(BIN)/python examples/demo.py

test: lint types check unit

# For a small change, in less than a minute: the tests of what it touches, the nearest first.
quick: lint types
	$(BIN)/python -m scripts.quick

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: setup
	$(BIN)/mypy

# The figures that the code is held to, and which of them are missed.
check: setup
	$(BIN)/python -m scripts.figures

# Tests that wait for servers more than they compute run side by side; those that measure times or shares run alone.
WORKERS ?= 3
SIDE_BY_SIDE := -q -n $(WORKERS) --dist worksteal
UNIT := not (oap or tools or accuracy or processes or page or installed or agents or release or docs or profiles or costs)

# Where few files have tests of a kind, only these are collected: to collect all of them takes each worker ten seconds.
marked = $(sort $(shell grep -rlw --include='test_*.py' 'mark\.$(1)' tests))

unit: setup
	$(BIN)/python -m pytest -m "$(UNIT) and not alone" $(SIDE_BY_SIDE)
	$(BIN)/python -m pytest -m "$(UNIT) and alone" -q $(call marked,alone)

# Its theme would tell of a product of its makers'.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

test-docs: setup
	$(BIN)/python -m pytest -m "docs and not (oap or release)" $(SIDE_BY_SIDE) $(call marked,docs)

test-costs: setup
	$(BIN)/python -m pytest -m "costs and not (alone or release)" $(SIDE_BY_SIDE) $(call marked,costs)
	$(BIN)/python -m pytest -m "costs and alone and not (oap or release)" -q $(call marked,costs)

test-profiles: setup
	$(BIN)/python -m pytest -m "profiles and not (alone or release)" $(SIDE_BY_SIDE) $(call marked,profiles)
	$(BIN)/python -m pytest -m "profiles and alone and not (oap or release)" -q $(call marked,profiles)

coverage: setup
	$(BIN)/nox -s coverage

# The suites that meet the libraries, with the oldest and the newest of them, on the oldest and the newest Python.
test-oldest: setup
	$(BIN)/nox -s 'adapters-3.10(oldest)'

test-newest: setup
	$(BIN)/nox -s 'adapters-3.13(newest)'

test-installed: setup
	$(BIN)/python -m pytest -m installed -q -n 2 --dist worksteal $(call marked,installed)

# Every Python, with the oldest and the newest libraries, and what an app may lack (an hour or two).
matrix: setup
	$(BIN)/nox

# What CI has no time for: a release needs it as well (some hours).
before-release: coverage test-release test-processes test-agents test-hostile test-accuracy test-suites soak matrix

locks: setup
	PYTHONPATH=. $(BIN)/python scripts/locks.py

test-oap: browser
	$(BIN)/python -m pytest -m "oap and not alone" $(SIDE_BY_SIDE) $(call marked,oap)
	$(BIN)/python -m pytest -m "oap and alone" -q $(call marked,oap)

# Flask's and Starlette's own tests with our middleware in every app (downloads them; some minutes). On other Pythons:
# make test-suites PYTHONS="3.11 3.12 3.13"
test-suites: setup
	$(BIN)/python -m tests.suites $(PYTHONS)

test-tools: setup
	$(BIN)/python -m pytest -m tools -q $(call marked,tools)

test-page: browser
	$(BIN)/python -m pytest -m "page and not alone and not oap" -q -n 3 --maxschedchunk 1 tests/page
	$(BIN)/python -m pytest -m "page and alone" -q -s tests/page

pictures: browser
	$(BIN)/python -m tests.page.pictures

.PHONY: browser
browser: setup
	scripts/browser $(BIN)/python

vendor: setup
	PYTHONPATH=. $(BIN)/python scripts/vendor.py

test-processes: setup
	$(BIN)/python -m pytest -m processes -q $(call marked,processes)

test-agents: setup
	$(BIN)/python -m pytest -m agents -q $(call marked,agents)

test-release: setup
	$(BIN)/python -m pytest -m release -q -n 2 --dist worksteal $(call marked,release)

# Twelve times as many generated cases as in `make test`, and other ones each time.
CASES ?= 12

test-hostile: setup
	SWPROF_CASES=$(CASES) $(BIN)/python -m pytest -q --timeout=1200 -p tests.generated.count --least=20000 \
		$(wildcard tests/test_hostile_*.py tests/test_differential_*.py)

test-accuracy: setup
	$(BIN)/python -m pytest -m accuracy -q $(call marked,accuracy)

accuracy: setup
	PYTHONPATH=. $(BIN)/python bench/accuracy.py

accuracy-short: setup
	PYTHONPATH=. $(BIN)/python bench/accuracy.py --short --bursts 3 --repeat 3

# Each prints its tables and what is not kept of the promises; all run, whatever one of them says.
BENCHES := request_cost growth sample_cost sampled_load process_cost

bench: setup
	status=0; for each in $(BENCHES); do $(BIN)/python -m bench.$$each || status=1; done; exit $$status

collector-load: browser
	status=0; for each in collector_load collector_page; do $(BIN)/python -m bench.$$each || status=1; done; exit $$status

retention: setup
	PYTHONPATH=. $(BIN)/python bench/retention.py

outages: setup
	PYTHONPATH=. $(BIN)/python bench/outages.py

soak: setup
	PYTHONPATH=. $(BIN)/python bench/soak.py

protocol: setup
	$(BIN)/python scripts/protocol.py

settings: setup
	$(BIN)/python scripts/settings.py

# All of a release but its upload: make release VERSION=1.2.0 (hours, for it runs every suite).
release: setup
	$(BIN)/python -m scripts.release $(VERSION)

clean:
	rm -rf $(VENV) .nox .mypy_cache .pytest_cache .ruff_cache
