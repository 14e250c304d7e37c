# make demo    profile a few networks and build the site
# make gallery build the site of the measured runs in results/ (DLPERF=FOLDER adds the bounds
#              that a clone of rai-project/dlperf in that folder publishes)
# make test    run the whole suite, a process for each core
#              (ARGS="-k store" for a part of it, ARGS=-n0 in one process)
# make test-export   export with torch and TensorFlow (in .venv-export, some 3 GB)
# make test-lowest   its core with the lowest declared versions (in .venv-lowest)
# make test-fleet    sweeps over a Ray cluster of several nodes, which wants an idle machine
# make test-hostile  thousands of damaged models and runs (a few hundred are in make test)
# make test-public   models out of published packages, which it downloads into .public/
# make lint    formatting, linter, types
# make results-readme   what results/README.md says of the runs in results/
# make pictures   the pictures of README.md and docs/: the gallery's pages, the board of a sweep
# make house   the picture and table of the packages in docs/architecture.md
# make docs    the documents as a site, in build/docs, with every link checked
# make release VERSION=1.2.3   a checked release, built, tried, committed and tagged (docs/releasing.md)
# make bench   speed of the tool itself, as ratios
# make clean   remove what the others made
# PYTHON=python3.12 chooses the interpreter for a new .venv.

NETWORKS ?= zoo:lenet zoo:squeezenet zoo:resnet50
BATCHES ?= 1,2,4,8,16,32
BUDGET ?= 1
DEMO ?= demo
GALLERY ?= gallery
DLPERF ?=
PUBLISHED ?= $(GALLERY)-published
#: Where onnxprof is from, as pyproject.toml says; its pages link to it.
PROJECT_URL ?= $(shell sed -n '/^\[project.urls\]/,/^$$/s/^\(Homepage\|Repository\|Source\) *= *"\(.*\)"/\2/p' pyproject.toml | head -n 1)
ARGS ?=
# A process that crashes ends the session: its tests would be waited for otherwise.
WORKERS := $(if $(findstring no:xdist,$(ARGS)),,-n auto --max-worker-restart 0)

BIN := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
RUN := .venv/$(BIN)/python -m
#: Hundreds of processes are started; none need compile what another has compiled.
TESTS := PYTHONDONTWRITEBYTECODE= $(RUN) pytest
ifneq ($(origin PYTHON),undefined)
export PYTHON
endif

.NOTPARALLEL:
.PHONY: help demo gallery pictures results-readme test test-export test-fleet test-lowest test-hostile test-public lint format house docs release bench clean

help:
	@sed -n 's/^# //p' Makefile

demo:
	@.ci/venv cpu,site
	$(RUN) onnxprof profile $(NETWORKS) --batch $(BATCHES) --budget $(BUDGET) --store $(DEMO)/runs
	$(RUN) onnxprof site build --store $(DEMO)/runs --out $(DEMO)/site
	@echo
	@echo "The site is built. Open it: file://$(abspath $(DEMO))/site/index.html"

gallery:
	@.ci/venv cpu,site
	$(if $(DLPERF),$(RUN) onnxprof runs import --dlperf "$(DLPERF)" --store $(PUBLISHED))
	$(RUN) onnxprof site build --store results $(if $(DLPERF),--store $(PUBLISHED)) --out $(GALLERY) --title "onnxprof gallery" $(if $(PROJECT_URL),--project-url "$(PROJECT_URL)")
	@echo
	@echo "The gallery is built. Open it: file://$(abspath $(GALLERY))/index.html"

pictures: gallery
	@.ci/venv cpu,openvino,site,test
	.venv/$(BIN)/python benchmarks/results/pictures.py --site $(GALLERY) $(ARGS)

results-readme:
	@.ci/venv cpu,site
	.venv/$(BIN)/python benchmarks/results/readme.py

test:
	@.ci/venv cpu,site,test
	$(TESTS) $(WORKERS) $(ARGS)

test-export:
	@.ci/venv cpu,export,test .venv-export
	.venv-export/$(BIN)/python -m pytest -m export $(ARGS)

test-lowest:
	@.ci/lowest $(ARGS)

test-fleet:
	@.ci/venv cpu,site,test
	$(TESTS) tests/sweeps/fleet -m cluster $(ARGS)

test-hostile:
	@.ci/venv cpu,site,test
	$(TESTS) tests/hostile -m hostile $(ARGS)

test-public:
	@.ci/venv cpu,site,test
	$(RUN) tools.public
	$(TESTS) tests/public $(WORKERS) $(ARGS)

lint:
	@.ci/venv cpu,site,lint
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy

house:
	@.ci/venv cpu,site,test
	cd tests && ../$(RUN) support.house
	cd tests && ../$(RUN) support.api.options

docs:
	@.ci/venv docs
	NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --strict
	@echo
	@echo "The documents are built. Open them: file://$(CURDIR)/build/docs/index.html"

release:
	@.ci/venv release
	$(RUN) tools.release $(VERSION) $(ARGS)

format:
	@.ci/venv cpu,site,lint
	$(RUN) ruff check --fix
	$(RUN) ruff format

bench:
	@.ci/venv cpu,site
	@for file in $(wildcard benchmarks/speed/*.py benchmarks/site/*.py); do .venv/$(BIN)/python $$file || exit 1; done

clean:
	rm -rf .venv .venv-export .venv-lowest .public build dist *.egg-info $(DEMO) $(GALLERY) $(PUBLISHED) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
