# One environment for everything, in .venv; pip's versions are pinned in constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
MINUTES ?= 3
FULL ?=
# A file's tests in one process as far as they can be: what they share is made once.
WORKERS := --numprocesses 2 --dist worksteal
# Or every process compiles the package, and every worker the tests, anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo check check-tests base minimum dist coverage test test-rooms test-alone lint docs test-slow test-oracle faults attack bench gpu clean

help:
	@echo "make demo         install, then train on the embedded images for $(MINUTES) minutes and write a report"
	@echo "make check        lint, types, floors and the tests that take no half second: in 90 seconds, before every commit"
	@echo "make base         an install without extras, in an environment of its own: it plans, and needs no torch"
	@echo "make dist         a wheel and an sdist in build/dist, checked and each tried in an empty environment"
	@echo "make minimum      the same with the lowest versions of dependencies; those of the extras are resolved"
	@echo "make coverage     the lines that the ordinary tests reach, in build/coverage.txt"
	@echo "make test         lint, types, floors, the ordinary tests and the documentation"
	@echo "make docs         the documentation, in build/site"
	@echo "make test-slow    the tests that take minutes: accuracy in a time budget"
	@echo "make test-oracle  against torchvision, timm, fvcore and real pretrained weights"
	@echo "make faults       kills, damaged checkpoints, full disks, mutated images: what a training survives"
	@echo "make attack       what strangers send, against a server and the verbs, under 10 minutes"
	@echo "make gpu          on a machine with CUDA: its tests, and steps and calls against timm; under 6 minutes, one JSON and a page"
	@echo "make bench        training, loading and latency against other libraries, under 10 minutes; FULL=1 for all"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/ready-train: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet --constraint constraints.txt --editable '.[train]'
	@touch $@

$(VENV)/ready-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/ready-train

$(VENV)/ready-oracles: $(VENV)/ready-dev
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev,oracles]'
	@touch $@

demo: $(VENV)/ready-train
	rm -rf runs/demo
	$(BIN)/compound fit fashion6k --minutes $(MINUTES) --out runs/demo

# Two at a time: the types are checked while the first tests run.
check: $(VENV)/ready-dev
	$(MAKE) --jobs 2 --output-sync lint check-tests

check-tests: export OMP_NUM_THREADS = 1
check-tests: $(VENV)/ready-dev
	$(BIN)/python -m pytest -q $(WORKERS) --timeout 30 -m 'not long and not slow and not gpu and not oracle' \
		--ignore tests/training/test_resume.py --ignore tests/deploy

# Thrown away before and after; what is installed is a wheel's files, so a file that is not packaged is missed here.
base:
	rm -rf build/base
	$(PYTHON) -m venv build/base
	build/base/bin/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt .
	cd build/base && bin/python $(CURDIR)/scripts/base_install.py bin/compound
	rm -rf build/base

# The same with the lowest versions that pyproject.toml allows. Those of the extras are resolved, not installed: torch
# alone is gigabytes. ExecuTorch's own lowest needs newer NumPy and Matplotlib than the others do.
RESOLVED := train shards search deploy serve hub draw coreml
minimum:
	rm -rf build/minimum
	$(PYTHON) -m venv build/minimum
	$(PYTHON) scripts/minimum_versions.py > build/minimum/constraints.txt
	build/minimum/bin/python -m pip --disable-pip-version-check install --quiet --constraint build/minimum/constraints.txt .
	cd build/minimum && bin/python $(CURDIR)/scripts/base_install.py bin/compound
	for extra in $(RESOLVED); do \
		$(PYTHON) scripts/minimum_versions.py train $$extra > build/minimum/$$extra.txt && \
		build/minimum/bin/python -m pip --disable-pip-version-check install --quiet --dry-run --ignore-installed \
			--constraint build/minimum/$$extra.txt ".[$$extra]" || exit 1; \
	done
	rm -rf build/minimum

# What an index would get: both files, their metadata, and an install of each in an environment of its own, with the
# newest versions of what it needs, as a user gets them.
dist:
	rm -rf build/dist
	$(PYTHON) -m venv build/dist/tools
	build/dist/tools/bin/python -m pip --disable-pip-version-check install --quiet build twine
	build/dist/tools/bin/python -m build --outdir build/dist .
	build/dist/tools/bin/python -m twine check --strict build/dist/*.whl build/dist/*.tar.gz
	for file in build/dist/*.whl build/dist/*.tar.gz; do \
		rm -rf build/dist/empty && $(PYTHON) -m venv build/dist/empty && \
		build/dist/empty/bin/python -m pip --disable-pip-version-check install --quiet $$file && \
		(cd build/dist/empty && bin/python $(CURDIR)/scripts/base_install.py bin/compound) || exit 1; \
	done
	rm -rf build/dist/empty build/dist/tools

# How much of the package the ordinary tests reach; the table goes to build/coverage.txt.
coverage: export OMP_NUM_THREADS = 1
coverage: $(VENV)/ready-dev
	$(PIP) install --quiet --constraint constraints.txt coverage
	mkdir -p build
	$(BIN)/python -m coverage run --source compound -m pytest --ignore tests/training/test_resume.py --ignore tests/deploy
	$(BIN)/python -m coverage report --skip-covered > build/coverage.txt
	tail -1 build/coverage.txt

# One thread a process: two processes of two threads each would wait for each other.
test: export OMP_NUM_THREADS = 1
test: $(VENV)/ready-dev lint docs
	$(MAKE) --jobs 2 --output-sync test-rooms test-alone

test-rooms: $(VENV)/ready-dev
	$(BIN)/python -m pytest $(WORKERS) --ignore tests/training/test_resume.py --ignore tests/deploy

# The tests of stopping and resuming send signals to their own process, so they have one to themselves; and the runtimes
# of deployment, all loaded at once, have ended a process that later started another one.
test-alone: $(VENV)/ready-dev
	$(BIN)/python -m pytest tests/training/test_resume.py
	$(BIN)/python -m pytest tests/deploy

lint: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/ready-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# And every property of random networks on ten times as many of them.
test-slow: $(VENV)/ready-dev
	$(BIN)/python -m pytest -m slow
	$(BIN)/python -m pytest --hypothesis-profile nightly -m 'hypothesis and not slow and not gpu and not oracle'

test-oracle: $(VENV)/ready-oracles
	$(BIN)/python -m pytest -m oracle

faults: $(VENV)/ready-dev
	$(BIN)/python -m benchmarks.faults

attack: $(VENV)/ready-dev
	$(BIN)/python -m benchmarks.attack

bench: $(VENV)/ready-oracles
	$(BIN)/python -m benchmarks $(if $(FULL),--full)

# By the Python that has torch for CUDA, which is nobody's business but the machine's: PYTHON=… names another.
gpu:
	$(PYTHON) -m benchmarks.gpu $(if $(REHEARSE),--rehearse)

clean:
	rm -rf $(VENV) build dist *.egg-info
