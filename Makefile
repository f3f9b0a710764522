# `make demo` and `make test` need make and Python 3.11, 3.12 or 3.13, nothing else: all the rest goes into .venv.
# What is installed are the files in requirements.lock, by their hashes; where they come from is pip's own setting:
# pip.conf and every PIP_* variable are honoured.

VENV := .venv
BIN := $(VENV)/bin
SUITABLE := import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3 python,$(shell $(name) -c '$(SUITABLE)' >/dev/null 2>&1 && echo $(name))))

# Extras that `make install` adds: make install EXTRAS='dicom encrypted'
EXTRAS ?=
# Of attacks on the demo, so that all of it takes less than five minutes on two cores.
AUDIT_SECONDS ?= 30
# Tests run in so many processes at once, for two cores: a third of a test's time is waiting for other processes. Each
# needs about 1 GB of memory.
WORKERS ?= 3

.PHONY: help demo test install site sbom lock wheels clean

help:
	@echo 'make demo     install into .venv, run the main study, attack it, say where report and audit lie'
	@echo 'make test     install into .venv with every extra, run every check and test'
	@echo 'make install  install into .venv, with the extras named: EXTRAS="dicom encrypted"'
	@echo 'make site     write build/site/: the documentation, with the reference of settings, commands and Python'
	@echo 'make sbom     write sbom.json: every package that is installed in .venv (CycloneDX)'
	@echo 'make lock     write requirements.lock anew from pyproject.toml; UPGRADE=1 takes the newest versions'
	@echo 'make wheels   write build/wheels: what a machine without internet installs from: EXTRAS="dicom encrypted"'
	@echo 'make clean    remove .venv'

demo: $(VENV)/installed
	$(BIN)/wardround run demo
	$(BIN)/wardround audit "$$(ls -td runs/demo/*/ | head -n 1)" --seconds $(AUDIT_SECONDS)

test: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal

install: $(VENV)/installed
	@[ -z '$(EXTRAS)' ] || $(BIN)/python .ci/install.py $(EXTRAS)

# Strict: a warning, such as of a link that leads nowhere, fails it.
site: $(VENV)/installed-test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo 'build/site/index.html'

sbom: $(VENV)/installed-test
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --of JSON -o sbom.json $(BIN)/python
	@echo 'sbom.json'

lock: $(VENV)/installed
	$(BIN)/python .ci/lock.py $(if $(UPGRADE),--upgrade)

wheels: $(VENV)/installed
	$(BIN)/python .ci/wheels.py $(EXTRAS)

clean:
	rm -rf $(VENV)

# Each stamp is older than pyproject.toml or the lock when what is installed may no longer be what is asked for.
$(VENV)/installed: pyproject.toml requirements.lock $(VENV)/pyvenv.cfg
	@echo 'Installing into $(VENV); the first time this takes some minutes.'
	$(BIN)/python .ci/install.py
	@touch $@

$(VENV)/installed-test: pyproject.toml requirements.lock $(VENV)/pyvenv.cfg
	@echo 'Installing into $(VENV); the first time this takes some minutes.'
	$(BIN)/python .ci/install.py dev
	@touch $(VENV)/installed $@

$(VENV)/pyvenv.cfg:
	@'$(PYTHON)' -c '$(SUITABLE)' 2>/dev/null || { \
	  echo 'Wardround needs Python 3.11, 3.12 or 3.13 with its venv module; $(or $(PYTHON),what is installed here) is not that.'; \
	  echo 'Install one (Debian, Ubuntu: apt install python3.11-venv), or name it: make demo PYTHON=/path/to/python3.11'; \
	  exit 1; } >&2
	@'$(PYTHON)' -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
