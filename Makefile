# The two commands of the README, and what developers use. Everything is installed in .venv.
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help demo test test-long test-slurm test-least coverage wheel soak soak-slurm fuzz faults lint lock schema site install
.PHONY: gallery bench-simulate bench-emulate bench-screen bench-discover bench-gpu

PYTHON ?= python3
CONFIG ?= config/demo.yaml
TESTS ?= tests
BIN := .venv/bin
INSTALLED := .venv/.installed
AUTOEMULATE := .venv-autoemulate/.installed
SNAKEMAKE := $(BIN)/snakemake --workflow-profile cluster_profiles/local

help: ## Show these lines
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(INSTALLED) ## Install, run config/demo.yaml, write results/demo/report.html
	$(SNAKEMAKE) --configfile config/demo.yaml

test: $(INSTALLED) ## Install and run all tests but those on SLURM, two files at a time
	$(BIN)/python -m pytest -n 2 --dist loadfile --ignore=tests/slurm -m "not long"

test-long: $(INSTALLED) ## Install and run the tests that take minutes each: whole examples
	$(BIN)/python -m pytest --ignore=tests/slurm -m long

test-slurm: $(INSTALLED) ## Start a SLURM on this machine (root; munge, mariadb-server, slurm-wlm, slurmdbd) and run its tests
	$(BIN)/python -m pytest tests/slurm

test-least: $(INSTALLED) ## Run a part of the tests with the oldest packages that pyproject.toml allows, in .venv-least
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-least
	$(BIN)/uv pip install --quiet --python .venv-least/bin/python --resolution lowest-direct -e '.[all]' pytest==8.4.0 pytest-timeout==2.3.1 hypothesis==6.120.0
	.venv-least/bin/python -m pytest tests/storage tests/reading/test_folder.py tests/spaces tests/models/test_base.py tests/discovery/test_pipeline.py

coverage: $(INSTALLED) ## Say which lines the tests of TESTS (tests) run, those on SLURM and long ones left out
	$(BIN)/python -m pytest -n 2 --dist loadfile --ignore=tests/slurm -m "not long" --cov --cov-report=term:skip-covered $(TESTS)

wheel: ## Build the wheel, install it into a new environment, and run a small campaign there
	$(PYTHON) tests/try_wheel.py

soak-slurm: $(INSTALLED) ## Put 50 faults of a cluster into a running campaign on a SLURM of its own, as root (half an hour)
	cd tests && $(abspath $(BIN))/python -m slurm.soak

fuzz: $(INSTALLED) ## Try 10,000 mutated configurations, tables and command lines each
	MECHSCREEN_FUZZ=10000 $(BIN)/python -m pytest --timeout 0 tests/test_bad_input.py

faults: $(INSTALLED) ## Let each call of each stage to the file system fail with each error (hours)
	MECHSCREEN_FAULTS=1 $(BIN)/python -m pytest tests/faults

lint: $(INSTALLED) ## Check style, types, who imports whom, and workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/windows src/mechscreen
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/macos src/mechscreen
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check Snakefile workflow benchmarks

bench-simulate: $(INSTALLED) ## Time the pattern model beside the published procedure
	$(BIN)/python benchmarks/simulate.py

bench-emulate: $(INSTALLED) $(AUTOEMULATE) ## Time and judge our networks beside others, on the training set of CONFIG (config/demo.yaml)
	$(SNAKEMAKE) dataset --configfile $(CONFIG)
	$(BIN)/python benchmarks/emulate.py $(CONFIG)

bench-screen: $(INSTALLED) ## Time the screen with the trained networks of CONFIG (config/demo.yaml), by one rank and two
	$(SNAKEMAKE) emulators --configfile $(CONFIG)
	$(BIN)/python benchmarks/screen.py $(CONFIG)

bench-gpu: $(INSTALLED) ## Measure screens and trainings on a GPU, piece by piece, in results/gpu (docs/howto/gpu.md)
	$(BIN)/python benchmarks/gpu.py results/gpu all

bench-discover: $(INSTALLED) ## Compare methods of discovery; tables and figures in results/study/discovery (hours; continues)
	$(SNAKEMAKE) --snakefile benchmarks/discovery_study/Snakefile --configfile benchmarks/discovery_study/study.yaml

soak: $(INSTALLED) ## Put 100 random faults into a running campaign and compare its results (half an hour and more)
	$(BIN)/python tests/soak.py

schema: $(INSTALLED) ## Generate the JSON Schema of campaigns, and the table of keys in config/README.md
	$(BIN)/mechscreen schema > workflow/schemas/campaign.schema.json
	$(BIN)/python -m mechscreen.campaign.table config/README.md

gallery: $(INSTALLED) ## Run the gallery's campaigns, or ONLY some ("turing fit"), and write their pages (10 minutes each; continues)
	$(BIN)/python docs/gallery.py $(ONLY)

site: $(INSTALLED) ## Build the documentation in site/, to be opened at site/index.html; needs no network
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

install: $(INSTALLED) ## Install into .venv

$(INSTALLED): pyproject.toml requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --progress-bar off -r requirements.lock -e .
	touch $@

lock: ## Pin versions anew in requirements.lock
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --python-version 3.11 --all-extras --no-header --no-emit-index-url --no-annotate pyproject.toml -o requirements.lock

# An environment of its own, of some 6 GB: it wants a newer NumPy than TensorFlow allows.
$(AUTOEMULATE):
	$(PYTHON) -m venv .venv-autoemulate
	.venv-autoemulate/bin/python -m pip install --quiet --progress-bar off autoemulate==2.1.2
	touch $@
