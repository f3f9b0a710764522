# `make demo` and `make test` need make and Python 3.11 or 3.12, nothing else: all the rest goes into .venv.
# Where packages come from is pip's own setting: pip.conf and every PIP_* variable are honoured.

VENV := .venv
BIN := $(VENV)/bin
SUITABLE := import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3 python,$(shell $(name) -c '$(SUITABLE)' >/dev/null 2>&1 && echo $(name))))

# Tests run in so many processes at once; each needs a core and about 1 GB of memory.
WORKERS ?= 2

.PHONY: help demo test clean

help:
	@echo 'make demo    install into .venv, run the main study, say where its report lies'
	@echo 'make test    install into .venv, run every check and test'
	@echo 'make clean   remove .venv'

demo: $(VENV)/installed-demo
	$(BIN)/wardround run demo

test: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal

clean:
	rm -rf $(VENV)

# Each stamp is older than pyproject.toml when what is installed may no longer be what is asked for.
$(VENV)/installed-demo: pyproject.toml $(VENV)/pyvenv.cfg
	@echo 'Installing into $(VENV); the first time this takes some minutes.'
	$(BIN)/python -m pip install --quiet --editable '.[simulation]'
	@touch $@

$(VENV)/installed-test: pyproject.toml $(VENV)/pyvenv.cfg
	@echo 'Installing into $(VENV); the first time this takes some minutes.'
	$(BIN)/python -m pip install --quiet --editable '.[simulation,dev]'
	@touch $(VENV)/installed-demo $@

$(VENV)/pyvenv.cfg:
	@'$(PYTHON)' -c '$(SUITABLE)' 2>/dev/null || { \
	  echo 'Wardround needs Python 3.11 or 3.12 with its venv module; $(or $(PYTHON),what is installed here) is not that.'; \
	  echo 'Install one (Debian, Ubuntu: apt install python3.11-venv), or name it: make demo PYTHON=/path/to/python3.11'; \
	  exit 1; } >&2
	@'$(PYTHON)' -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
