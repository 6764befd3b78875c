# `make run` and `make test` are all you need. Each sets up a virtual environment first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?= summary

.PHONY: run test lint types check format snapshots docs site bench matrix pythons zoo torture clean

run: $(READY) ## show the notebook's AlexNet; other commands: make run ARGS="params --by-type"
	@$(BIN)/alexnet $(ARGS)

test: lint ## everything that CI runs
	@$(MAKE) --no-print-directory --jobs 2 types check # the tests wait now and then, mypy does not

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

check: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder # each core has its worker already

format: $(READY) ## fix what can be fixed automatically
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

snapshots: $(READY) ## rewrite the golden files; read every line of the difference before committing it
	$(BIN)/pytest --snapshot-update

docs: $(READY) ## rewrite the outputs in the README and docs, and the pictures
	$(BIN)/python docs/refresh.py

site: ## build the documentation as a site in build/site, in an environment of its own
	$(PYTHON) -m venv .venv-site
	.venv-site/bin/pip install --quiet --requirement docs/site/requirements.txt
	.venv-site/bin/python docs/site/build.py

bench: ## compare with other tools, in an environment of its own; takes about a quarter of an hour
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --constraint constraints.txt --editable '.[watch]' --requirement benchmarks/requirements.txt
	.venv-bench/bin/python -m compileall -q src # as pip does for the others, which are not editable
	.venv-bench/bin/python benchmarks/run.py $(BENCH)

matrix: ## run the tests with every supported torch; downloads several gigabytes for each, see CONTRIBUTING.md
	$(PYTHON) benchmarks/matrix.py $(MATRIX)

pythons: ## run what needs no torch by every Python from 3.10 to 3.14 that is there
	$(PYTHON) benchmarks/pythons.py $(PYTHONS)

zoo: ## try hundreds of architectures of other libraries; downloads several gigabytes, see CONTRIBUTING.md
	cd benchmarks && $(PYTHON) -m zoo $(ZOO)

torture: $(READY) ## try to break it: takes hours, and goes on where it was stopped; see CONTRIBUTING.md
	cd benchmarks && ../$(BIN)/python -m torture $(TORTURE)

clean:
	rm -rf $(VENV) .venv-bench .venv-torch-* .venv-python-* .venv-zoo .venv-site build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "alexnet needs Python 3.10 or newer, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev]'
	@$(BIN)/python -m compileall -qq -j 0 $(VENV) src || true # on all cores; pip takes one, and leaves `src` out
	@touch $@
