# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt
# The Python code is used in place; what these name needs a rebuild.
BUILD_INPUTS := pyproject.toml constraints.txt CMakeLists.txt $(wildcard native/*)
# Said here in one line; pip would say it within thirty.
define need_compiler
@for compiler in $${CXX:-c++ g++ clang++}; do command -v $$compiler >/dev/null && exit; done; \
echo "dvmsr needs a C++17 compiler, and none was found: install g++ or clang++ (Debian, Ubuntu: apt install g++)" >&2; \
exit 1
endef

.PHONY: demo test check bench wheel clean

demo: $(VENV)/.base
	$(BIN)/dvmsr upscale examples/chelsea.png --output demo/chelsea_x4.png --overwrite

test: $(VENV)/.dev
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/inference.py
	$(BIN)/python benchmarks/plot.py
	$(BIN)/python benchmarks/readme_table.py

# The sdist and the wheels, each tried by every Python that is found.
wheel:
	$(need_compiler)
	$(PYTHON) release/wheels.py

clean:
	rm -rf $(VENV) build demo dist

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: $(BIN)/python $(BUILD_INPUTS)
	$(need_compiler)
	$(PIP) -e .
	touch $@

$(VENV)/.dev: $(BIN)/python $(BUILD_INPUTS)
	$(need_compiler)
	$(PIP) -e '.[check]'
	touch $@ $(VENV)/.base
