# `make demo` and `make test` do all set-up; a second run of either sets nothing up again.
VENV ?= .venv
PY = $(VENV)/bin/python
export PYTHON VENV

.PHONY: demo test lint format bench clean

$(VENV)/stamp: requirements.txt requirements-dev.txt tools/bootstrap.sh
	@tools/bootstrap.sh

demo: $(VENV)/stamp
	@tools/demo.sh $(PY)

lint: $(VENV)/stamp
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

format: $(VENV)/stamp
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

test: lint
	@$(PY) -m pytest

bench: $(VENV)/stamp
	@$(PY) benchmarks/real_size.py

clean:
	rm -rf $(VENV) demo build dist *.egg-info
