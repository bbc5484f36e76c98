# Every target sets up what it needs: a Python >= 3.11 with venv and pip, and make, are enough.
# PYTHON=...     interpreter that makes .venv (default: python3.11, else python3 if it is new enough)
# PIP_ARGS=...   further arguments of pip install      TEST_ARGS=...  further arguments of pytest
# DASHA_DATA=... folder with benchmark data

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
INPUTS := pyproject.toml constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench clean

help:  ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' Makefile | while IFS='|' read -r name text; do printf '%-8s %s\n' "$$name" "$$text"; done

# The stamp is written last and holds what the environment was made from. No stamp means a set-up that did not finish:
# start afresh. Another content means changed requirements: install into the environment that is there.
setup:  ## Make .venv, or leave it alone if nothing has changed
	@set -eu; \
	wanted="$$(cat $(INPUTS) | cksum) $(CURDIR) $(PYTHON)"; \
	if $(BIN)/python -c '' 2>/dev/null && [ "$$(cat $(STAMP) 2>/dev/null)" = "$$wanted" ]; then exit 0; fi; \
	if ! $(BIN)/python -m pip --version >/dev/null 2>&1 || [ ! -f $(STAMP) ] \
	   || [ "$$(cut -d' ' -f3- $(STAMP))" != "$$(echo "$$wanted" | cut -d' ' -f3-)" ]; then \
	  python=''; \
	  for candidate in $(or $(PYTHON),python3.11 python3); do \
	    if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python="$$candidate"; break; fi; \
	  done; \
	  if [ -z "$$python" ]; then \
	    echo "setup: no Python >= 3.11 with venv and pip found as $(or $(PYTHON),python3.11 or python3); install one, or pass PYTHON=/path/to/python3.11" >&2; exit 1; \
	  fi; \
	  echo "setup: making $(VENV) with $$("$$python" --version)"; \
	  "$$python" -m venv --clear $(VENV); \
	fi; \
	rm -f $(STAMP); \
	echo "setup: installing (the first time downloads PyTorch, which takes some minutes)"; \
	$(BIN)/python -m pip install --quiet --retries 10 $(PIP_ARGS) -c constraints.txt -e '.[darts,torchgeo,genomics,dev]'; \
	printf '%s\n' "$$wanted" > $(STAMP); \
	echo "setup: OK"

demo: setup  ## Backtest Auto-AR against Darts models on real series
	@$(BIN)/dasha demo
	@echo "demo: OK"

test: setup  ## Run the tests
	@$(BIN)/python -m pytest $(TEST_ARGS)
	@echo "tests: OK"

lint: setup  ## Check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@echo "lint: OK"

bench: setup  ## Run the benchmarks; DASHA_DATA names the folder with the data
	@if [ -z "$${DASHA_DATA:-}" ]; then echo "bench: set DASHA_DATA to the folder with the benchmark data, for example: make bench DASHA_DATA=~/data" >&2; exit 1; fi
	@$(BIN)/python benchmarks/autoar_speed.py --data-dir "$$DASHA_DATA"
	@$(BIN)/python benchmarks/autoar_scale.py
	@$(BIN)/python benchmarks/mixture.py
	@$(BIN)/python benchmarks/ltsf.py --preset paper --data-dir "$$DASHA_DATA"
	@$(BIN)/python benchmarks/monash.py --methods autoar-pooled naive linear theta --data-dir "$$DASHA_DATA"
	@echo "bench: OK"

clean:  ## Remove the environment and everything generated
	rm -rf $(VENV) build dist plugins/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find plugins tests benchmarks docs examples -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
