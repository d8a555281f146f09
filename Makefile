# make demo    govern the embedded model with policies/nsfw.yaml: erase, audit, sign, gate, report
# make test    lint, architecture, types and tests
# make nightly the long campaigns: thousands of forgeries
# make wheel   build the package, and do the quickstart with it in an empty environment
# make site    the documentation as pages, in build/site
# make install the environment that both use, in .venv
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Containers often set it; then every process of the tests would compile all that it imports anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test pytest nightly install check bench docs site wheel distclean

demo: install
	$(BIN)/mace-gov apply policies/nsfw.yaml

# The checks run beside the tests: mypy alone takes a minute.
test: install
	$(MAKE) --jobs=2 check pytest

# One worker more than processors: some tests wait, for servers, browsers and processes that they start.
WORKERS = $(shell $(BIN)/python -c 'from mace_gov.core.threads import usable_cpus; print(1 + usable_cpus())')

pytest: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not slow and not nightly and not full_size"

# With Ray, which `make test` does without: 80 MB to fetch, and minutes for a cluster to come and go.
nightly: install
	$(BIN)/python -m pip install --no-compile --quiet --disable-pip-version-check -c constraints.txt -e '.[ray]'
	$(BIN)/python -m pytest -m nightly

check: install
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy
	$(BIN)/mace-gov policy lint policies/*.yaml policies/*/*.yaml examples/*/policy.yaml --plugin mine=examples/own-detector/detector.py:Mine

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --no-compile --quiet --disable-pip-version-check -c constraints.txt -e '.[all,dev]'
	touch $@

docs: install
	for each in policy waivers report; do $(BIN)/mace-gov policy schema $$each > policies/schema/$$each.v1.json || exit 1; done
	$(BIN)/python docs/generate_cli.py

# The documentation as a site in build/site; links that lead nowhere are errors.
site: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# The quickstart from the wheel alone: in an environment and a folder that hold nothing else.
wheel:
	rm -rf dist build/wheel build/quickstart
	$(PYTHON) -m venv build/wheel
	build/wheel/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	build/wheel/bin/python -m pip install --no-compile --quiet --disable-pip-version-check -c constraints.txt "$$(ls dist/*.whl)[all]"
	mkdir -p build/quickstart
	cd build/quickstart && export HF_HUB_OFFLINE=1 PATH="$(CURDIR)/build/wheel/bin:$$PATH" && mace-gov policy init nsfw && \
	  mace-gov policy lint policies/nsfw.yaml && mace-gov apply policies/nsfw.yaml && \
	  mace-gov verify registry/versions/nsfw/1 --key registry/keys/pipeline.pub.pem && \
	  mace-gov gate registry/versions/nsfw/1 --policy policies/nsfw.yaml && \
	  python -c "import mace_gov; mace_gov.load('nsfw/1', key='registry/keys/pipeline.pub.pem')"

bench: install
	for each in benchmarks/*.py; do PYTHONPATH=. $(BIN)/python $$each || exit 1; done

distclean:
	rm -rf $(VENV) registry/* reports/*
