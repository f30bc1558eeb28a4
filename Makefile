# The phase-D workbench. `make` lists the targets; each one sets .venv up first.

PROFILE = quick
OUT =
ENGINE =
LIB =
FORCE =
REPORT =
BUNDLE =
A =
B =
REDACT =
DB =
PID =
EVERY =
UPGRADE =
PYTEST_ARGS =

BIN = .venv/bin
MAKEFLAGS += --no-print-directory

# PYTHON=/path/to/python3.12 insists on that interpreter; else any supported one will do.
ifeq ($(origin PYTHON),undefined)
PYTHON = python3
UP_TO_DATE = $(BIN)/python -IS tools/setup_env.py --check 2>/dev/null
else
EXACT = --exact
UP_TO_DATE = false
endif

# Jupyter, IPython and matplotlib keep files under HOME; where it cannot be written, here.
ifneq ($(shell test -d "$$HOME" && test -w "$$HOME" && echo writable),writable)
export HOME := $(CURDIR)/.venv/home
MAKE_HOME = mkdir -p "$$HOME"
endif

.PHONY: help setup lab report share verify compare attach test test-fast lint bench lock clean distclean venv

help: ## list the targets and variables
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  PROFILE=replay|smoke|quick|standard|full   what a report runs (now: $(PROFILE))"
	@echo "  OUT=DIR  ENGINE=NAME  FORCE=1              where to, on which engine, ignoring the cache"
	@echo "  ENGINE=librocksdb LIB=/path/librocksdb.so  on that RocksDB library; without LIB the one installed"
	@echo "  PYTHON=/path/to/python3.12                 the interpreter .venv is made with"
	@echo "  PYTEST_ARGS='-k name -x'                   passed to pytest;  UPGRADE=1  newer pins in make lock"

setup: venv ## make .venv from requirements.lock, or bring it up to date
	@echo "phase-d: .venv is up to date: $$($(BIN)/python -V)"

lab: venv ## open JupyterLab on this machine, at the start notebook (LAB_LANG=ko: Korean menus)
	@locale=default; $(if $(filter ko%,$(LAB_LANG)),if $(BIN)/python -c 'import jupyterlab_language_pack_ko_KR' \
		2>/dev/null; then locale=ko_KR; else echo \
		"phase-d: the menus stay English: jupyterlab-language-pack-ko-KR is not installed" >&2; fi;) \
	mkdir -p .venv/lab-settings && printf '{"@jupyterlab/translation-extension:plugin": {"locale": "%s"}}\n' \
		"$$locale" > .venv/lab-settings/overrides.json
	@$(BIN)/jupyter lab --ip=127.0.0.1 $(if $(filter 0,$(shell id -u)),--allow-root) \
		--ServerApp.root_dir="$(CURDIR)" --LabApp.app_settings_dir="$(CURDIR)/.venv/lab-settings" \
		$(if $(wildcard notebooks/explore/00_start.ipynb),--LabApp.default_url=/lab/tree/notebooks/explore/00_start.ipynb)

report: venv ## run the stages and write reports/latest (PROFILE, OUT, ENGINE, LIB, FORCE)
	@$(BIN)/phase-d report --profile "$(PROFILE)" $(if $(OUT),--out "$(OUT)") \
		$(if $(ENGINE)$(LIB),--engine "$(or $(ENGINE),librocksdb)$(if $(LIB),=$(abspath $(LIB)))") $(if $(filter-out 0 no false,$(FORCE)),--force)

share: venv ## one folder and one zip of a report for a reviewer (REPORT=DIR, OUT=DIR, REDACT=0 keeps names)
	@$(BIN)/phase-d share $(if $(REPORT),"$(REPORT)") $(if $(OUT),--out "$(OUT)") \
		$(if $(filter 0 no false,$(REDACT)),--no-redact)

verify: venv ## check a bundle: hashes, and its numbers again from the raw samples (BUNDLE=DIR or ZIP)
	@test -n "$(BUNDLE)" || { echo "phase-d: name a bundle: make verify BUNDLE=reports/shared/ID.zip" >&2; exit 2; }
	@$(BIN)/phase-d verify "$(BUNDLE)"

compare: venv ## two reports or bundles against each other, with tests (A, B, OUT=FILE.md or FILE.html)
	@test -n "$(A)" -a -n "$(B)" || { echo "phase-d: name two reports or bundles: make compare A=DIR B=DIR" >&2; exit 2; }
	@$(BIN)/phase-d compare "$(A)" "$(B)" $(if $(OUT),--out "$(OUT)")

attach: venv ## live monitor of a RocksDB that another program runs (DB=DIR, PID, EVERY)
	@test -n "$(DB)" || { echo "phase-d: make attach needs DB=DIR, the directory of a RocksDB" >&2; exit 2; }
	@$(BIN)/phase-d attach --db "$(DB)" $(if $(PID),--pid "$(PID)") $(if $(EVERY),--every "$(EVERY)")

test: venv ## all tests (PYTEST_ARGS)
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

test-fast: venv ## the tests that are not marked slow (PYTEST_ARGS)
	@$(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

lint: venv ## ruff, mypy, the floors of the library, notebooks without outputs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	find notebooks -name .ipynb_checkpoints -prune -o -name '*.ipynb' \
		! -name '*.part.ipynb' ! -name '*.failed.ipynb' -exec $(BIN)/nbstripout --keep-id --verify {} +

bench: venv ## what measuring costs, and how fast logs are read
	@$(BIN)/phase-d bench

# uv keeps the present pins unless UPGRADE=1; one version for all Pythons where one exists.
COMPILE = UV_CUSTOM_COMPILE_COMMAND="make lock (install with uv, or with pip --no-deps)" \
	$(BIN)/uv pip compile --quiet --system-certs --universal --python-version 3.11 \
	--fork-strategy fewest --extra dev pyproject.toml

lock: venv ## make requirements.lock and constraints.txt from pyproject.toml (UPGRADE=1)
	$(COMPILE) --generate-hashes $(if $(UPGRADE),--upgrade) --output-file requirements.lock
	$(COMPILE) --no-annotate --constraints requirements.lock --upgrade --output-file constraints.txt

clean: venv ## remove caches and data/work; runs, reports and calibrations stay
	@$(BIN)/phase-d clean

distclean: ## the same, and .venv with it
	@if [ -x $(BIN)/phase-d ]; then $(BIN)/phase-d clean; fi
	rm -rf .venv

venv:
	@$(UP_TO_DATE) || { command -v "$(PYTHON)" >/dev/null || { \
		echo "phase-d: no $(PYTHON) here: install Python 3.11, 3.12 or 3.13, or say where it is: make PYTHON=/path/to/python3" >&2; exit 2; }; \
		"$(PYTHON)" tools/setup_env.py $(EXACT); }
	@$(MAKE_HOME)
