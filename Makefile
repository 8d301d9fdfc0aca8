# make demo: set everything up, build the vision sample for Android and iOS.
# make test: set everything up, run every check and test.
# make app-tools: the tools of `edgepack verify-app`; tests that need them skip where they cannot be had.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

# pip's find-links may hold PyTorch's CPU wheel; uv reads its own setting.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)

.PHONY: demo test setup app-tools check unit lock schemas bench kill-test conformance sample-apps clean

demo: setup
	$(BIN)/edgepack build sample_apps/vision

test: setup check
	-$(MAKE) app-tools
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade uv
	$(BIN)/uv pip install --quiet --python $(VENV) --compile-bytecode --editable . --group dev
	$(BIN)/python -m compileall -q packager targets templates
	touch $@

app-tools: setup
	$(BIN)/python tests/apptools/setup.py

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: setup
	$(BIN)/python -m pytest tests/unit

lock: setup
	$(BIN)/python .ci/lock.py

schemas: setup
	$(BIN)/python -m edgepack.schemas

bench: setup
	for target in litert executorch coreml; do $(BIN)/python tests/bench/overhead.py $$target 3 || exit 1; done

clean:
	rm -rf $(VENV) dist sample_apps/*/dist

kill-test: setup
	EDGEPACK_KILLS=100 $(BIN)/python -m pytest tests/e2e/test_kill.py -k killed_at --timeout 7200

# Builds the samples and keeps the sources of their apps, as a unit test wants them.
sample-apps: setup
	$(BIN)/python .ci/sample_apps.py

# Apple's own tests on the Core ML emulator, for hours; it goes on where it was interrupted.
conformance: setup
	$(BIN)/python tests/conformance/run.py --sample 0 --write tests/conformance/RESULTS.md
