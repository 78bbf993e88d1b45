# `make demo` and `make test` do all set-up; a second run of either sets nothing up again.
# PLATFORM=tf1 or tf2 chooses between TensorFlow 1.15 and 2.15; left out, what Python there is decides.
PLATFORM ?=
VENV ?= $(if $(filter tf2,$(PLATFORM)),.venv-tf2,.venv)
PY = $(VENV)/bin/python
export PLATFORM PYTHON VENV

.PHONY: demo check test test-all test-install coverage test-page test-audio soak lint format bench base-model clean

$(VENV)/stamp: requirements.txt requirements-tf2.txt requirements-dev.txt pyproject.toml tools/bootstrap.sh
	@tools/bootstrap.sh

demo: $(VENV)/stamp
	@tools/demo.sh $(PY)

lint: $(VENV)/stamp
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

format: $(VENV)/stamp
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

# Lint, and the tests that train nothing and load no model: under a minute.
check: lint
	@$(PY) -m pytest --fast -n 2 --dist loadfile

test: lint
	@$(PY) -m pytest -n 2 --dist loadfile

# And what `make test` tries with one MusicVAE of each family, with every other one, and slow cases that are like others.
test-all: lint
	@$(PY) -m pytest -n 2 --dist loadfile --every

# The tests again, and which lines and branches of the package they do not reach; fails below 90 %.
coverage: $(VENV)/stamp
	@$(PY) -m pytest -n 2 --dist loadfile --cov=lc_music_vae --cov-report=term

# The README's install, in an environment that nobody upgraded: it asks pip's index for every package.
test-install: $(VENV)/stamp
	@$(PY) -m pytest tests/system/test_install.py

# These two need a browser and FluidSynth, and say how to get them where they are not there. The pages' code is linted
# where npm is.
test-page: $(VENV)/stamp
	@if command -v npm > /dev/null; then tools/lint_pages.sh; else echo "no npm: the pages' code is not linted"; fi
	@$(PY) -m pytest -s tests/system/test_browser.py tests/system/test_play.py

test-audio: $(VENV)/stamp
	@$(PY) -m pytest tests/system/test_fluidsynth.py

# Commands killed at random, songs without end, damaged files, full disks, no network: up to two hours. Tables say what became
# of them; SOAK_KILLS and SOAK_SONGS say how many (50 and 1,000). Some of it needs root and Linux.
soak: $(VENV)/stamp
	@$(PY) -m pytest -s tests/soak

bench: $(VENV)/stamp
	@$(PY) benchmarks/side_by_side.py
	@$(PY) benchmarks/real_size.py
	@$(PY) benchmarks/many_files.py --runs=1
	@$(PY) benchmarks/streaming.py

# The weights that ship, from the tunes: tools/base_model/README.md says what it takes. It goes on where it was stopped.
# ABC=FOLDER adds a folder of ABC files; TRAIN= takes flags of the training, such as --steps=5500 --init=weights.tar.
base-model: $(VENV)/stamp
	@tools/base_model/make.sh $(PY)

# Not demo/: there is music in it.
clean:
	rm -rf .venv .venv-tf2 .venv-music21 build dist *.egg-info
