# make demo    upscale a photograph with the shipped weights and show before and after
# make test    the tests
# make test-web  those of the page alone, in Chromium, installed where it lacks
# make test-bulk  those that start clusters and stores
# make test-lowest  the tests with the oldest versions that pyproject.toml allows
# make fuzz    damaged pictures of every format for ten minutes
# make lint    ruff, mypy, strict, and hadolint
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q

.PHONY: demo test test-web test-bulk test-lowest fuzz lint clean

demo: $(VENV)/run.done
	$(BIN)/python examples/before_after.py examples/pictures/chelsea.png --crop 120,60,130,110 -o demo

test: $(VENV)/dev.done
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-web: $(VENV)/dev.done
	command -v chromium || command -v chromium-browser || command -v google-chrome || (apt-get update -q && apt-get install -qy chromium)
	SRGAN_TEST_BROWSER=1 $(BIN)/python -m pytest tests/web/test_page.py

test-bulk: $(VENV)/dev.done
	$(BIN)/python -m pytest -m cluster tests/bulk

test-lowest:
	$(PYTHON) -m venv --clear $(VENV)/lowest
	$(PYTHON) tests/lowest.py > $(VENV)/lowest/constraints.txt
	$(VENV)/lowest/bin/python -m pip --disable-pip-version-check -q install -c $(VENV)/lowest/constraints.txt -e '.[dev]'
	$(VENV)/lowest/bin/python -m pytest

fuzz: $(VENV)/dev.done
	$(BIN)/python tests/fuzz.py --seconds 600

lint: $(VENV)/dev.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache

$(VENV)/run.done: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install -c constraints.txt -e .
	touch $@

$(VENV)/dev.done: $(VENV)/run.done
	$(PIP) install -c constraints.txt -e '.[dev]'
	touch $@
