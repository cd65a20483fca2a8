# Two commands: `make demo` and `make test`. Each makes .venv first, with pinned versions.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-all test-slurm gpu lint format clean

demo: $(INSTALLED)
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/snakemake --cores all
	@echo "Open results/demo/report/index.html"

test: $(INSTALLED)
	PATH="$(abspath $(BIN)):$$PATH" OMP_NUM_THREADS=1 $(BIN)/pytest -m "not slow" --numprocesses auto

test-all: $(INSTALLED)
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/pytest

# Installs SLURM from Debian's packages and starts it: as root, on a machine made for it. Interrupted after the time, Snakemake cancels its jobs.
test-slurm: $(INSTALLED)
	PATH="$(abspath $(BIN)):$$PATH" OMP_NUM_THREADS=1 MUTDET_TEST_SLURM=1 timeout -k 5 -s INT 1200 $(BIN)/pytest -m slurm -rs --durations=5 || \
		{ tests/support/start_slurm.sh stop; exit 1; }

# On a machine with an NVIDIA card.
gpu: $(INSTALLED)
	PATH="$(abspath $(BIN)):$$PATH" benchmarks/gpu.sh results/gpu

lint: $(INSTALLED)
	$(BIN)/ruff check mutdet tests benchmarks
	$(BIN)/ruff format --check mutdet tests benchmarks
	$(BIN)/mypy
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/snakemake --lint
	$(BIN)/snakefmt --check Snakefile workflow

$(INSTALLED): pyproject.toml envs/constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; name it: make PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint envs/constraints.txt --editable ".[test]"
	touch $@

clean:
	rm -rf $(VENV) results state logs .snakemake
