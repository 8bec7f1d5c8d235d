# Spica. Every target is one line that calls a script or a command a person could type.
SHELL := /bin/bash
VENV  := .venv/bin
.DEFAULT_GOAL := help
# Without bytecode every process compiles torch and vLLM anew (10 s each).
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help setup-system setup run serve tables study test test-unit check base lock golden clean images images-complete \
	cluster cluster-programs cluster-down test-cluster test-cluster-full bench-distill bench-decontaminate bench-score

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-19s %s\n", $$1, $$2}'

setup-system:  ## install what must come from the system (apt, as root)
	@.ci/setup-system

setup:  ## make or refresh the locked Python environment in .venv
	@.ci/setup

run: setup  ## the main job: the whole experiment in miniature, from nothing to a report and a served answer
	@$(VENV)/spica run miniature

serve: setup  ## put the best model of the last run behind vLLM's OpenAI API
	@$(VENV)/spica serve

tables: setup  ## the paper's tables 2 to 6 in miniature, beside the paper's numbers: .spica/tables/tables.html
	@$(VENV)/spica tables

study: setup  ## the finding over three base models, at least 300 questions per cell: .spica/study/tables.html
	@$(VENV)/spica tables study --out .spica/study

test: setup  ## all tests that need no cluster and no GPU
	@$(VENV)/python -m pytest

test-unit: setup  ## the tests that take seconds
	@$(VENV)/python -m pytest -m "not slow" tests/unit tests/contract

check: setup  ## ruff, mypy, import contracts, recipes, golden files: what CI checks
	@.ci/check

cluster: setup  ## a real Kubernetes with KFP, Kueue, KServe and 64 simulated GPUs on this machine (as root)
	@PYTHONPATH=tests/cluster $(VENV)/python -m bed up

cluster-programs: setup  ## only build what that Kubernetes is made of: half an hour of two cores, once
	@PYTHONPATH=tests/cluster $(VENV)/python -m bed build

cluster-down: setup  ## take it down again, whatever state it is in
	@PYTHONPATH=tests/cluster $(VENV)/python -m bed down

test-cluster: images  ## the tests on that cluster; takes down what it started
	@PYTHONPATH=tests/cluster $(VENV)/python -m bed test "cluster and not full"

test-cluster-full: images  ## the same and the campaign of faults
	@PYTHONPATH=tests/cluster $(VENV)/python -m bed test cluster

bench-score: setup  ## answers scored per second and core, beside Math-Verify (JUDGE=FOLDER PYTHON=..: beside OpenBMB's)
	@$(VENV)/python -m tests.bench.bench_score $(if $(JUDGE),--olympiadbench-judge $(JUDGE)) $(if $(PYTHON),--olympiadbench-python $(PYTHON))

base: setup  ## train the miniature's shipped base model again from nothing (minutes)
	@$(VENV)/python -m spica.miniature.base --out components/spica/miniature/data/base

lock: setup  ## resolve the dependencies again and write both lock files
	@.ci/lock

images: setup  ## build the images of images/refs.yaml for the test cluster (as root)
	@images/build mounted

images-complete: setup  ## build them with all packages, and import, check and train in them (gigabytes; nightly)
	@nice -n 19 images/build complete
	@nice -n 19 images/prove control train serve

bench-distill: setup  ## tokens, wall and client CPU of lossless cancelling against asking all five, 40 times kill -9
	@$(VENV)/python -m tests.bench.bench_distill

bench-decontaminate: setup  ## 5K training rows against the benchmarks' sizes: plants found, clean rows kept, the clock
	@$(VENV)/python -m tests.bench.bench_decontaminate

golden: setup  ## write the golden files again (review the diff)
	@SPICA_UPDATE_GOLDEN=1 $(VENV)/python -m pytest -q tests/contract

clean:  ## remove the environment, artifacts and caches
	@rm -rf .venv .venv.lock .spica .mypy_cache .ruff_cache .pytest_cache .import_linter_cache dist
