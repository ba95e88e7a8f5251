# make run: everything from a bare checkout to a report. make test: the three checks.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# one thread a process: many workers beat many threads
export OMP_NUM_THREADS := 1

# the Python of make gpu: another one that has torch and pytest will do, where nothing can be installed
GPU_PYTHON ?= $(BIN)/python
GPU_TESTS := tests/test_gpu.py tests/trials/test_step.py tests/networks/test_latency.py

.PHONY: run test long chaos docs reference results data browser bench gpu fuzz clean

run: $(VENV)/installed data
	$(BIN)/scalesearch run --budget 2x

test: $(VENV)/installed-dev data browser
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

# the tests that take longest, which make test leaves out: clusters, hangs, the commands of all pages
long: $(VENV)/installed-dev data browser
	$(BIN)/pytest -m long

# a static site in build/site; the theme prints its authors' notice of a successor, which is no fault
docs: $(VENV)/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

# the pages of commands and of space files, and the schema, written again from the code
reference: $(VENV)/installed-dev
	$(BIN)/python docs/write_reference.py

# the committed selections and reports, written again from the trials of their studies
results: $(VENV)/installed
	$(BIN)/python -m benchmarks.results

# the long form of what the suite does with a few hundred inputs: 224,000, 5.6 for each of FUZZ
fuzz: $(VENV)/installed-dev
	FUZZ=40000 $(BIN)/pytest --timeout 0 tests/test_fuzz.py

# the long form of the suite's faults: more than two hundred kills, half an hour;
# CHAOS_SEED repeats one
chaos: $(VENV)/installed-dev data
	CHAOS=$${CHAOS:-130} $(BIN)/pytest -m '' -n 0 -s --timeout 0 tests/studies/test_study.py \
	  tests/studies/test_mirror.py tests/test_killed.py tests/test_chaos.py

# on a machine with a GPU: the tests that need one, then what results/benchmarks/gpu.md holds, in calls
# of at most ten minutes; fails where there is no GPU, a test is skipped for another reason or fails,
# or a target is missed. Where Ray is not installed the tests use the inline runner
gpu: $(if $(filter $(BIN)/python,$(GPU_PYTHON)),$(VENV)/installed-dev)
	$(GPU_PYTHON) -m benchmarks.gpu card
	timeout 600 $(GPU_PYTHON) -m pytest -p no:xdist -o addopts= --strict-markers -m gpu -rs $(GPU_TESTS)
	@for part in steps trials sharing; do \
	  timeout 600 $(GPU_PYTHON) -m benchmarks.gpu $$part --write || missed="$$missed $$part"; \
	done; test -z "$$missed" || { echo "missed in:$$missed"; exit 1; }

# on an idle machine: the scripts run one at a time
bench: $(VENV)/installed $(VENV)/peers/installed data
	$(BIN)/python benchmarks/cpu.py --write
	$(BIN)/python -m benchmarks.peers_cpu --peers $(VENV)/peers/bin/python --write
	$(BIN)/python benchmarks/plan.py --write
	$(BIN)/scalesearch run --budget 2x --results $(VENV)/bench --name pace
	$(BIN)/python benchmarks/pace.py $(VENV)/bench/pace --write
	$(BIN)/python -m benchmarks.replay --write
	$(BIN)/python -m benchmarks.calibration --write
	$(BIN)/python -m benchmarks.driver --write
	$(BIN)/python -m benchmarks.overhead --write
	$(BIN)/python -m benchmarks.data --write

# the reference implementations want a torch of their own
$(VENV)/peers/installed: benchmarks/peers/requirements.txt
	$(PYTHON) -m venv $(VENV)/peers
	PIP_CONSTRAINT= $(VENV)/peers/bin/pip install --quiet -r benchmarks/peers/requirements.txt
	touch $@

# torch first and by its pinned version: a CPU build is found for it, and nothing then asks for more
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet "$$(grep '^torch==' constraints.txt)"
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

# Debian's package has the images; without it, or without root, they are downloaded
data:
	@test -d /usr/share/datasets/fashion-mnist \
	  || { command -v apt-get >/dev/null && test "$$(id -u)" = 0 \
	       && { apt-get install -y -qq dataset-fashion-mnist >/dev/null 2>&1 \
	            || { apt-get update -qq && apt-get install -y -qq dataset-fashion-mnist; } >/dev/null; }; } \
	  || echo "dataset-fashion-mnist is not installed: the images will be downloaded"

# the report's test opens it in a real browser, another turns the clock back; without the programs
# these tests are skipped and say so
browser:
	@{ command -v chromedriver && command -v faketime; } >/dev/null \
	  || { command -v apt-get >/dev/null && test "$$(id -u)" = 0 \
	       && { apt-get install -y -qq chromium chromium-driver faketime >/dev/null 2>&1 \
	            || { apt-get update -qq && apt-get install -y -qq chromium chromium-driver faketime; } >/dev/null; }; } \
	  || echo "chromium and chromium-driver are not installed: some tests are skipped"

clean:
	rm -rf $(VENV) build dist *.egg-info
