# Everything is set up in .venv, from PyPI, with nothing installed before but Python >= 3.10 (with venv), a C++20
# compiler and make. A second run does only what has changed.
#
#   make demo   train a small detector on the stream for a minute and draw demo.png
#               (MESHES=folder PHOTOS=folder: with files of yours)
#   make test   the test suite        make lint   style, types and formats
#   make bench  speed, into benchmarks/results and the README's table
#   make gpu    all that only a GPU can show: tests, sanitizers, throughput, into benchmarks/results/gpu.json
#   make wheel  dist/*.whl            make clean
#   make check-wheel TORCH=torch==2.13.0: the wheel's self-test in a fresh environment with this torch
PYTHON ?= python3
TORCH ?= torch>=2.13 torchvision
MESHES ?=
PHOTOS ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
SOURCES := $(shell find csrc -type f)

.PHONY: setup demo test lint bench gpu wheel check-wheel clean

setup: .venv/setup.stamp

# A torch that is in .venv already and new enough stays. The build runs against it (no isolation), so torch and the
# build requirements come first.
.venv/torch.stamp:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "fastsynth needs Python >= 3.10; make PYTHON=...")'
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(PIP) install $(foreach requirement,$(TORCH),'$(requirement)')
	$(PIP) install 'scikit-build-core>=0.10' 'cmake>=3.25' ninja
	touch $@

.venv/setup.stamp: .venv/torch.stamp pyproject.toml $(SOURCES)
	$(PIP) install --no-build-isolation --editable '.[test]'
	touch $@

.venv/lint.stamp: .venv/setup.stamp
	$(PIP) install ruff 'pyright[nodejs]' clang-format==23.1.5
	touch $@

demo: setup
	$(BIN)/python -m fastsynth.demo $(if $(MESHES),--meshes '$(MESHES)') $(if $(PHOTOS),--photos '$(PHOTOS)')

test: setup
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadgroup --no-loadscope-reorder

lint: .venv/lint.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/clang-format --dry-run -Werror $(filter %.h %.cpp %.cu %.cuh,$(SOURCES) $(wildcard tests/csrc/* tests/ptx/*))

bench: setup
	$(BIN)/python -m pytest -q benchmarks/test_throughput.py --benchmark-json=benchmarks/results/throughput.json
	$(BIN)/python benchmarks/ratio.py
	$(BIN)/python benchmarks/step.py
	$(BIN)/python benchmarks/stages.py
	$(BIN)/python benchmarks/soak.py
	$(BIN)/python benchmarks/table.py

# The check comes before anything is built.
gpu:
	$(PYTHON) benchmarks/gpu.py --check
	$(MAKE) setup
	$(BIN)/python benchmarks/gpu.py

wheel: .venv/torch.stamp
	rm -f dist/*.whl
	$(PIP) wheel . --no-build-isolation --no-deps --wheel-dir dist

check-wheel: wheel
	rm -rf build/check && $(PYTHON) -m venv build/check
	build/check/bin/python -m pip --disable-pip-version-check --quiet install $(foreach r,$(TORCH),'$(r)') dist/*.whl
	sha256sum build/check/lib/python3*/site-packages/fastsynth/_C.abi3.so
	cd build/check && bin/fastsynth doctor

clean:
	rm -rf build dist demo.png .venv/setup.stamp fastsynth/_C.abi3.so
